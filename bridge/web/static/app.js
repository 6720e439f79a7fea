// The live page, put together: key, list of calls, one call at a time.

import { goTo, onAddress, namedCall } from "./address.js";
import { Api } from "./api.js";
import { CallList } from "./call_list.js";
import { CallView } from "./call_view.js";
import { Calls } from "./calls.js";
import { byId } from "./dom.js";
import { follow } from "./feed.js";
import { Gate } from "./gate.js";
import { listenForKeys } from "./shortcuts.js";
import { Welcome } from "./welcome.js";

const api = new Api();
const gate = new Gate(api);
const calls = new Calls(api);
const feeds = new Map(); // "calls" and "call" → how each is
const welcome = new Welcome(api, calls);
const list = new CallList(api, calls, { onDrawn: () => welcome.draw(), onRefused: askForKey });
const view = new CallView(api, { onState: (state) => report("call", state), onRefused: askForKey });
let watching = new AbortController();

listenForKeys({
  j: () => list.neighbour(1)?.click(),
  k: () => list.neighbour(-1)?.click(),
  l: () => view.jump(),
  "/": () => byId("words").focus(),
  Escape: () => document.body.dataset.view === "call" && goTo(null),
});
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
await gate.pass();
onAddress(show);
void watchCalls();

function show(callId, { moved }) {
  const left = view.callId;
  list.markOpen(callId);
  document.body.dataset.view = callId ? "call" : "list";
  if (callId) {
    void view.open(callId, { focus: moved });
  } else {
    view.close();
    report("call", "over");
    document.title = "callbridge";
    if (moved && left) list.focusRow(left);
  }
}

async function watchCalls() {
  watching = new AbortController();
  const { signal } = watching;
  try {
    await follow(api, "v1/events", {
      signal,
      resume: false,
      onEvent: (event) => {
        if (calls.apply(event)) list.draw();
        // An address may be handed out before its call begins.
        if (event.type === "call.started" && event.call_id === namedCall()) void view.open(event.call_id, { focus: false });
        if (calls.overgrown) void list.reload();
      },
      onState: (state) => {
        report("calls", state);
        // This feed tells of now: what happened while it was away is in the list.
        if (state === "open") void list.reload();
      },
      isOver: () => false,
    });
  } catch (error) {
    if (error.status === 401) await askForKey();
    else list.showFault(error.message);
  }
}

/** The key was good and is not any more: revoked, or a token that ran out. */
async function askForKey() {
  if (document.body.dataset.view === "gate") return;
  watching.abort();
  view.close();
  await gate.pass("This key is no longer accepted.");
  show(namedCall(), { moved: true });
  void watchCalls();
}

function report(feed, state) {
  feeds.set(feed, state);
  const lost = [...feeds.values()].includes("waiting");
  const line = byId("connection");
  line.dataset.state = lost ? "lost" : "open";
  const text = lost ? "Connection lost. Trying again…" : "Connected";
  if (line.textContent !== text) line.textContent = text;
}
