// The page at /call, put together: key, one button, microphone out, captions in.

import { Announcer } from "./announcer.js";
import { Api } from "./api.js";
import { Autoscroll } from "./autoscroll.js";
import { Captions } from "./captions.js";
import { byId, oncePerFrame, setText } from "./dom.js";
import { follow } from "./feed.js";
import { clock } from "./format.js";
import { Gate } from "./gate.js";
import { MicrophoneError, askForMicrophone, giveUp, watchLevel } from "./microphone.js";
import { Transcript } from "./transcript.js";
import { CallbridgeError, Line } from "../sdk/callbridge.js";

const BEGUN_TRIES = 40;
const BEGUN_MS = 100;
/** Of the page's own address, what goes on with the call. */
const HANDED_ON = /^(?:language|keywords|diarize|turns|(?:eager_)?eot_\w+|metadata\..+)$/;

const LABELS = { ready: "Start the call", dialling: "Cancel", talking: "Hang up" };

const api = new Api();
const gate = new Gate(api);
const captions = new Captions(byId("captions"));
const announcer = new Announcer(byId("announcer"));
const scroll = new Autoscroll(byId("call"), byId("jump"));
let transcript = new Transcript();
let current = null; // the call in progress: { line, stream, ending, … }
let previous = new AbortController(); // whose captions are still being read
let waiting = { changed: new Set(), removed: new Set(), finals: 0 };
const draw = oncePerFrame(drawNow);

byId("dial").addEventListener("click", () => void (current ? hangUp(current, "You hung up.") : call()));
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("dial").focus();
});
window.addEventListener("pagehide", () => current?.line.close());
await gate.pass();
document.body.dataset.view = "call";
show("ready", "Nobody is on the line.");

async function call() {
  const mine = { line: new Line(api), stream: null, talking: false, undo: [], reading: new AbortController() };
  current = mine;
  empty();
  show("dialling", "Asking for the microphone…");
  try {
    mine.stream = await askForMicrophone();
    if (current !== mine) return giveUp(mine.stream);
    show("dialling", "Connecting…");
    const callId = `web_${crypto.randomUUID()}`;
    const opened = await mine.line.open(mine.stream, queryOf(callId), { hears: true });
    if (current !== mine) return undefined;
    talk(mine, opened.reply);
    void opened.over.then(() => hangUp(mine, "The connection ended."));
    await read(mine, callId);
  } catch (error) {
    // Another call has begun since, or this one was cancelled while it rang.
    if (mine.reading.signal.aborted || (current !== mine && !mine.talking)) return undefined;
    await hangUp(mine, "Nobody is on the line.");
    if (error.status === 401) await askForKey();
    else setText(byId("call-fault"), reasonOf(error));
  }
  return undefined;
}

function talk(mine, reply) {
  mine.talking = true;
  const began = Date.now();
  const bar = byId("level-bar");
  const timer = setInterval(() => setText(byId("length"), clock(Date.now() - began)), 500);
  mine.undo.push(() => clearInterval(timer));
  mine.undo.push(watchLevel(mine.stream, (level) => bar.style.setProperty("transform", `scaleX(${level.toFixed(2)})`)));
  byId("reply").srcObject = reply;
  mine.undo.push(() => (byId("reply").srcObject = null));
  // A phone that puts its screen to sleep takes the microphone away.
  void navigator.wakeLock?.request("screen").then((lock) => mine.undo.push(() => lock.release()), () => {});
  scroll.reset(true);
  show("talking", "You are on the line. Speak.");
}

/** The captions, until the text is settled: what is still being put into words comes after hanging up, too. */
async function read(mine, callId) {
  const path = `v1/calls/${callId}`;
  await begun(path);
  await follow(api, `${path}/events`, {
    signal: mine.reading.signal,
    resume: true,
    onEvent: (event) => take(event, mine),
    onState: (state) => state === "waiting" && current === mine && setText(byId("state"), "Connection lost. Trying again…"),
    isOver: async () => (await api.json(path)).settled,
  });
}

/** The call's first event may be a moment behind the answer to its offer. */
async function begun(path) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await api.json(path);
    } catch (error) {
      if (error.status !== 404 || tries === BEGUN_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, BEGUN_MS));
    }
  }
}

function take(event, mine) {
  const { changed, removed } = transcript.apply(event);
  for (const key of changed) {
    waiting.changed.add(key);
    waiting.removed.delete(key);
  }
  for (const key of removed) {
    waiting.removed.add(key);
    waiting.changed.delete(key);
  }
  if (event.type === "transcript.final" && event.text.trim()) {
    waiting.finals += 1;
    announcer.say(event);
  }
  if (event.type === "call.ended") {
    scroll.over();
    void hangUp(mine, event.reason === "drained" ? "The server was restarted." : "The call is over.");
  }
  draw();
}

/** End the call in progress, from either side; once. */
async function hangUp(mine, why) {
  if (current !== mine) return;
  current = null;
  for (const undo of mine.undo.splice(0)) undo();
  giveUp(mine.stream);
  show("ready", why);
  await mine.line.close();
}

function show(state, text) {
  const button = byId("dial");
  button.dataset.state = state;
  setText(button, LABELS[state]);
  setText(byId("state"), text);
}

function empty() {
  previous.abort();
  previous = current.reading;
  transcript = new Transcript();
  waiting = { changed: new Set(), removed: new Set(), finals: 0 };
  captions.clear();
  announcer.reset();
  setText(byId("call-fault"), "");
  setText(byId("length"), "");
  byId("waiting").hidden = false;
}

function drawNow() {
  const { finals, ...change } = waiting;
  waiting = { changed: new Set(), removed: new Set(), finals: 0 };
  captions.draw(transcript, change, true);
  byId("waiting").hidden = transcript.lines.length > 0;
  scroll.drawn(finals);
}

function queryOf(callId) {
  const query = new URLSearchParams([...new URLSearchParams(location.search)].filter(([name]) => HANDED_ON.test(name)));
  query.set("call_id", callId);
  return query;
}

/** What went wrong, in words for who wanted to call. */
function reasonOf(error) {
  if (error instanceof MicrophoneError || error instanceof CallbridgeError) return error.message;
  if (error.status === 403) return "This key may not place calls: it needs the scope media.";
  if (error.status === 503) {
    const wait = error.retryAfterS ? ` Try again in ${error.retryAfterS} seconds.` : "";
    return `The server is busy: no line is free.${wait}`;
  }
  return error.message;
}

async function askForKey() {
  await gate.pass("This key is no longer accepted.");
  document.body.dataset.view = "call";
}
