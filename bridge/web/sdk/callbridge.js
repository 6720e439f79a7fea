// callbridge in a web page: captions of what a microphone hears, while it is heard, and recordings sent in to be put into
// words. One module to import, without a build step; types stand beside it in callbridge.d.ts.

/** Where this module came from is where the server is, a proxy's path included. */
const HERE = new URL("..", import.meta.url);

const RENEW_S = 30; // before its end a token is not begun with any more
const CONNECT_MS = 15_000;
const TRY_MS = 5_000; // for WebRTC, where there is another way
const BEGUN_MS = 10_000; // within which a call that was answered has its first event
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;
const SETTLED = 1000; // how the server closes a call's events when nothing more will come
const FRAGMENT = "application/trickle-ice-sdpfrag";
const MICROPHONE = { audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true } };
const PART_BYTES = 5 * 1024 * 1024; // above it a recording is sent in parts
const RECORDED_AS = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];

/** Whatever goes wrong. `code` is stable; `status` is the server's where it answered, `retryAfter` its seconds to wait. */
export class CallbridgeError extends Error {
  constructor(code, message, { status = 0, retryAfter = 0, cause } = {}) {
    super(message, { cause });
    this.name = "CallbridgeError";
    Object.assign(this, { code, status, retryAfter });
  }
}

/** The server that this module came from, or the one at `baseUrl`, with tokens that your own `tokenEndpoint` gives out. */
export function init({ tokenEndpoint, baseUrl = HERE, request = {} }) {
  const tokens = new Tokens(tokenEndpoint, request);
  const server = new Server(new URL(`${String(baseUrl).replace(/\/+$/, "")}/`, location.href), () => tokens.get());
  return {
    liveCaptions: (options = {}) => liveCaptions(server, options),
    createRecorder: (options = {}) => new Recorder(server, options),
  };
}

// -- the server ------------------------------------------------------------------------------------------------------

/** Tokens of your own endpoint, each used until shortly before its end; asked for once, however many wait. */
class Tokens {
  #endpoint;
  #request;
  #token = "";
  #until = 0;
  #asking = null;

  constructor(endpoint, request) {
    this.#endpoint = endpoint;
    this.#request = request;
  }

  async get() {
    if (Date.now() < this.#until) return this.#token;
    this.#asking ??= this.#ask().finally(() => (this.#asking = null));
    return this.#asking;
  }

  async #ask() {
    const response = await reach(this.#endpoint, { method: "POST", ...this.#request });
    if (!response.ok) throw await refusal(response);
    const told = await response.json();
    const { token, expires_in: forS, expires_at: until } = told.token ? told : (told.data ?? {});
    if (!token) throw new CallbridgeError("no_token", "The token endpoint answered without a token.");
    const left = forS ?? (until ? (Date.parse(until) - Date.now()) / 1000 : 0);
    this.#until = Date.now() + 1000 * (left - RENEW_S);
    this.#token = token;
    return token;
  }
}

/** Requests with a token. */
class Server {
  #base;
  #token;
  /** Whether WebRTC has been found not to get through. */
  blocked = false;

  constructor(base, token) {
    this.#base = base;
    this.#token = token;
  }

  /** A response whose status is good. Rejects with a CallbridgeError. */
  async open(path, { headers = {}, ...init } = {}) {
    const given = { Authorization: `Bearer ${await this.#token()}`, ...headers };
    const response = await reach(new URL(path, this.#base), { ...init, headers: given });
    if (response.ok) return response;
    throw await refusal(response);
  }

  token() {
    return this.#token();
  }

  /** A WebSocket's address. A browser can send it no header: the token goes another way. */
  socket(path, query = {}) {
    const url = new URL(path, this.#base);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = new URLSearchParams(query);
    return url;
  }
}

async function reach(url, init) {
  try {
    return await fetch(url, { cache: "no-store", ...init });
  } catch (cause) {
    throw new CallbridgeError("unreachable", "The server does not answer.", { cause });
  }
}

async function refusal(response) {
  const more = { status: response.status, retryAfter: Number(response.headers.get("Retry-After")) || 0 };
  try {
    const { error } = await response.json();
    return new CallbridgeError(error.code, error.message, more);
  } catch {
    return new CallbridgeError("unknown", `The server answered ${response.status}.`, more);
  }
}

// -- the microphone ----------------------------------------------------------------------------------------------------

const REFUSALS = {
  NotAllowedError: ["microphone_refused", "The microphone was refused."],
  SecurityError: ["microphone_refused", "The microphone was refused."],
  NotFoundError: ["no_microphone", "No microphone was found."],
  NotReadableError: ["microphone_busy", "The microphone is in use by another program."],
};

async function askForMicrophone() {
  if (!navigator.mediaDevices) {
    throw new CallbridgeError("not_secure", "Browsers give a microphone only to pages that were opened with https.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia(MICROPHONE);
  } catch (cause) {
    const [code, message] = REFUSALS[cause.name] ?? ["no_microphone", cause.message];
    throw new CallbridgeError(code, message, { cause });
  }
}

function giveUp(stream) {
  for (const track of stream.getTracks()) track.stop();
}

// -- live captions -----------------------------------------------------------------------------------------------------

/** Callbacks by event type; `onEvent` hears every event as well. */
const HEARD_BY = {
  "transcript.partial": "onPartial",
  "transcript.final": "onFinal",
  "transcript.revised": "onRevised",
  "call.ended": "onEnded",
};

/** Begin a call with the microphone, or with `stream`, and read along. Resolves once the call has begun. */
async function liveCaptions(
  server,
  { stream, callId = `web_${crypto.randomUUID()}`, language, keywords, turns, metadata, transport = "auto", onReply, ...callbacks },
) {
  const query = new URLSearchParams({ call_id: callId });
  if (language) query.set("language", language);
  if (keywords) query.set("keywords", keywords.join(","));
  if (turns) query.set("turns", turns);
  for (const [name, value] of Object.entries(metadata ?? {})) query.set(`metadata.${name}`, value);
  const heard = stream ?? (await askForMicrophone());
  const letGo = () => stream ?? giveUp(heard);
  let dialled;
  try {
    dialled = await dial(server, heard, query, transport, { hears: Boolean(onReply) });
  } catch (error) {
    letGo();
    throw error;
  }
  const { line, over, reply } = dialled;
  if (reply) onReply(reply);
  const captions = new LiveCaptions(server, query.get("call_id"), callbacks, async () => {
    letGo();
    await line.close();
  });
  void over.then((fault) => captions.hungUp(fault));
  await captions.begun;
  return captions;
}

/**
 * A line that is open, and the promise of its end. Where WebRTC does not get through, a WebSocket takes its place, for as
 * long as the page lives: a second call, whose id in `query` then ends in `-2`.
 */
async function dial(server, stream, query, transport, wanted) {
  if (transport === "websocket" || (transport === "auto" && server.blocked)) return openLine(await socketLine(server), stream, query);
  try {
    return await openLine(new Line(server, transport === "auto" ? TRY_MS : CONNECT_MS), stream, query, wanted);
  } catch (error) {
    if (transport !== "auto" || error.code !== "no_connection") throw error;
    const second = await socketLine(server);
    query.set("call_id", `${query.get("call_id")}-2`);
    const opened = await openLine(second, stream, query);
    server.blocked = true;
    return opened;
  }
}

async function socketLine(server) {
  const { SocketLine } = await import("./socket_line.js");
  return new SocketLine(server);
}

async function openLine(line, stream, query, wanted) {
  try {
    return { line, ...(await line.open(stream, query, wanted)) };
  } catch (error) {
    await line.close();
    throw error;
  }
}

/** A call in progress. Its events come in order, none missing: a connection that drops is taken up where it broke off. */
class LiveCaptions {
  #server;
  #callbacks;
  #hangUp;
  #socket = null;
  #seq = 0;
  #leaving = false;
  #begin;
  #refuse;

  constructor(server, callId, callbacks, hangUp) {
    this.#server = server;
    this.#callbacks = callbacks;
    this.#hangUp = hangUp;
    this.callId = callId;
    /** Resolves with the first event; rejects where there is none. */
    this.begun = new Promise((resolve, reject) => [this.#begin, this.#refuse] = [resolve, reject]);
    this.settled = this.#follow();
    this.settled.catch(() => {}); // whoever does not wait for it has onError
  }

  /** Hang up. What was said last is still told; `settled` resolves when all is. */
  async stop() {
    const hangUp = this.#hangUp;
    this.#hangUp = null;
    await hangUp?.();
  }

  /** The line has come to its end; before the first event that is the call's refusal. */
  hungUp(fault) {
    if (fault && !this.#seq) {
      this.#refuse(fault);
      void this.close();
    }
    void this.stop();
  }

  /** Hang up and hear no more. */
  async close() {
    this.#leaving = true;
    this.#socket?.close();
    await this.stop();
  }

  async #follow() {
    try {
      const began = Date.now();
      for (let wait = FIRST_WAIT_MS; !this.#leaving; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
        const before = this.#seq;
        const code = await this.#read();
        if (code === SETTLED) return;
        if (this.#seq > before) wait = FIRST_WAIT_MS;
        if (!this.#seq && Date.now() - began > BEGUN_MS) {
          throw new CallbridgeError("no_events", "The call's events cannot be read: does the token have calls:read?");
        }
        if (this.#seq && !this.#leaving) this.#callbacks.onReconnecting?.();
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    } catch (error) {
      if (this.#seq) this.#callbacks.onError?.(error);
      else this.#refuse(error);
      void this.stop();
      throw error;
    }
  }

  /** One connection, to its end: how it was closed. */
  async #read() {
    const query = { after: this.#seq, token: await this.#server.token() };
    const socket = new WebSocket(this.#server.socket(`v1/calls/${this.callId}/live`, query));
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(data)));
    const { code } = await new Promise((resolve) => socket.addEventListener("close", resolve));
    return code;
  }

  #take(event) {
    if (event.seq <= this.#seq || this.#leaving) return;
    this.#seq = event.seq;
    this.#begin();
    if (event.type === "call.ended") void this.stop();
    this.#callbacks.onEvent?.(event);
    this.#callbacks[HEARD_BY[event.type]]?.(event);
  }
}

// -- a microphone's way to the server: WHIP (RFC 9725), with candidates trickled behind the offer --------------------------

/** `server` has `open(path, init)`, which answers or rejects. */
export class Line {
  #server;
  #patienceMs;
  #peer;
  #session = null; // its address and ETag, once the server has answered
  #waiting = []; // candidates found before that
  #closed = false;

  constructor(server, patienceMs = CONNECT_MS) {
    this.#server = server;
    this.#patienceMs = patienceMs;
  }

  /**
   * Send `stream` as the call that `query` describes. Resolves when audio flows, to a promise of the line's end, and to
   * what a bot will say where somebody `hears` it; rejects when the server refuses, or nothing gets through.
   */
  async open(stream, query, { hears = false } = {}) {
    const peer = new RTCPeerConnection({ iceServers: await iceServers(this.#server) });
    this.#peer = peer;
    peer.addEventListener("icecandidate", ({ candidate }) => candidate && this.#found(candidate));
    const direction = hears ? "sendrecv" : "sendonly";
    for (const track of stream.getAudioTracks()) peer.addTransceiver(track, { direction, streams: [stream] });
    await peer.setLocalDescription();
    const response = await this.#server.open(`v1/whip?${query}${hears ? "&talk=on" : ""}`, {
      method: "POST", headers: { "Content-Type": "application/sdp" }, body: peer.localDescription.sdp,
    });
    // Relative to the server's address, so that a proxy may mount it anywhere.
    const id = response.headers.get("Location").split("/").at(-1);
    this.#session = { path: `v1/whip/${id}`, etag: response.headers.get("ETag") };
    if (this.#closed) return this.#delete(); // hung up while it rang
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    for (const candidate of this.#waiting.splice(0)) void this.#trickle(candidate);
    await connected(peer, this.#patienceMs);
    const reply = hears ? new MediaStream(peer.getReceivers().map(({ track }) => track)) : null;
    return { over: over(peer), reply };
  }

  /** Hang up; resolves when the server knows. A page that is being closed is heard out, too. */
  async close() {
    this.#closed = true;
    this.#peer?.close();
    await this.#delete();
  }

  async #delete() {
    if (!this.#session) return;
    const { path } = this.#session;
    this.#session = null;
    // A failure says that the call is over already, or that the server is away: it will notice by itself.
    await this.#server.open(path, { method: "DELETE", keepalive: true }).catch(() => {});
  }

  #found(candidate) {
    if (this.#session) void this.#trickle(candidate);
    else this.#waiting.push(candidate);
  }

  /** A candidate that does not arrive is none the call depends on: the answer has all of the server's. */
  async #trickle({ candidate, sdpMid }) {
    const { path, etag } = this.#session ?? {};
    if (!path) return;
    const credentials = this.#peer.localDescription.sdp.match(/^a=ice-(?:ufrag|pwd):.*$/gm).slice(0, 2);
    const lines = [...credentials, "m=audio 9 UDP/TLS/RTP/SAVPF 0", `a=mid:${sdpMid}`, `a=${candidate}`, ""];
    const headers = { "Content-Type": FRAGMENT, "If-Match": etag };
    await this.#server.open(path, { method: "PATCH", headers, body: lines.join("\r\n") }).catch(() => {});
  }
}

/** The STUN and TURN servers that the server names to who may call (RFC 9725 §4.6). */
async function iceServers(server) {
  const response = await server.open("v1/whip", { method: "OPTIONS" });
  return readLinks(response.headers.get("Link") ?? "");
}

/** `<turn:…>; rel="ice-server"; username="…"; credential="…"`, comma-separated. */
export function readLinks(text) {
  return [...text.matchAll(/<([^>]+)>((?:\s*;\s*[\w-]+="[^"]*")*)/g)].flatMap(([, urls, rest]) => {
    const found = Object.fromEntries([...rest.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
    if (found.rel !== "ice-server") return [];
    return [found.username ? { urls, username: found.username, credential: found.credential } : { urls }];
  });
}

function connected(peer, patienceMs) {
  return new Promise((resolve, reject) => {
    const fail = () =>
      reject(new CallbridgeError("no_connection", "No audio gets through to the server. Something between may be blocking UDP."));
    const timer = setTimeout(fail, patienceMs);
    const look = () => {
      if (peer.connectionState === "connected") resolve();
      else if (["failed", "closed"].includes(peer.connectionState)) fail();
      else return;
      clearTimeout(timer);
      peer.removeEventListener("connectionstatechange", look);
    };
    peer.addEventListener("connectionstatechange", look);
    look();
  });
}

function over(peer) {
  return new Promise((resolve) => {
    peer.addEventListener("connectionstatechange", () => {
      if (["failed", "closed"].includes(peer.connectionState)) resolve();
    });
  });
}

// -- recordings ----------------------------------------------------------------------------------------------------------

/** Recordings of the microphone, one after another: begun, ended by hand or after `maxDuration` seconds, and sent in. */
class Recorder {
  #server;
  #options;
  #busy = false;
  #recorder = null;
  #dropped = false;
  #sent = null;

  constructor(server, options) {
    this.#server = server;
    this.#options = options;
  }

  /** `inactive`, `recording` or `paused`. */
  get state() {
    return this.#recorder?.state ?? "inactive";
  }

  /** Rejects with a CallbridgeError when there is no microphone, or a recording goes on. */
  async start() {
    if (this.#busy) throw new CallbridgeError("already_recording", "A recording goes on already.");
    this.#busy = true;
    try {
      this.#record(this.#options.stream ?? (await askForMicrophone()));
    } catch (error) {
      this.#busy = false;
      throw error;
    }
  }

  #record(stream) {
    const { maxDuration, onComplete, onError } = this.#options;
    const recorder = new MediaRecorder(stream, { mimeType: RECORDED_AS.find((type) => MediaRecorder.isTypeSupported(type)) });
    const pieces = [];
    let timer = 0;
    recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
    const over = new Promise((resolve) => recorder.addEventListener("stop", resolve));
    this.#sent = over.then(() => {
      clearTimeout(timer);
      if (!this.#options.stream) giveUp(stream);
      this.#busy = false;
      if (this.#dropped) throw new CallbridgeError("cancelled", "The recording was cancelled.");
      return send(this.#server, new Blob(pieces, { type: recorder.mimeType }));
    });
    this.#sent.then(onComplete, onError ?? (() => {}));
    this.#dropped = false;
    this.#recorder = recorder;
    recorder.start();
    if (maxDuration) timer = setTimeout(() => end(recorder), 1000 * maxDuration);
  }

  pause() {
    this.#recorder?.pause();
  }

  resume() {
    this.#recorder?.resume();
  }

  /** End the recording; resolves with its id once all of it is at the server. */
  async stop() {
    if (!this.#sent) throw new CallbridgeError("not_recording", "There is nothing to stop.");
    end(this.#recorder);
    return this.#sent;
  }

  /** End it, and send nothing: whoever waits for it gets the error `cancelled`. */
  cancel() {
    this.#dropped = true;
    if (this.#recorder) end(this.#recorder);
  }
}

function end(recorder) {
  if (recorder.state !== "inactive") recorder.stop();
}

/** Ask for leave, then send the file: in one piece, or in several side by side where it is large. */
async function send(server, recording) {
  const form = recording.type.match(/^audio\/(\w+)/)[1];
  const asked = { file_size: recording.size, audio_format: form, use_multipart: recording.size > PART_BYTES };
  const headers = { "Content-Type": "application/json" };
  const granted = await (await server.open("upload", { method: "POST", headers, body: JSON.stringify(asked) })).json();
  const whole = [{ presigned_url: granted.presigned_url, start_byte: 0, end_byte: recording.size - 1 }];
  await Promise.all((granted.upload_info?.parts ?? whole).map(async (part) => {
    const body = recording.slice(part.start_byte, part.end_byte + 1, recording.type);
    const response = await reach(part.presigned_url, { method: "PUT", body });
    if (!response.ok) throw await refusal(response);
  }));
  return { recordingId: granted.recording_id, bytes: recording.size };
}
