// A microphone's way to the server over a WebSocket, as samples: where no UDP gets through. Fetched when it is needed.

import { CallbridgeError } from "./callbridge.js";

const OPEN_MS = 10_000;
const RATE = 16_000; // what the server listens at
const MOST_UNSENT_S = 10; // of audio that the network does not take
const PARTING_MS = 2_000;
const HUNG_UP = new ArrayBuffer(0);

/** `server` has `socket(path)` and `token()`. */
export class SocketLine {
  #server;
  #socket = null;
  #context = null;
  #over = null;

  constructor(server) {
    this.#server = server;
  }

  /**
   * Send `stream` as the call that `query` describes. Resolves when audio flows, to a promise of the line's end, which
   * resolves to a CallbridgeError where the server ended it because of a fault; rejects when no socket opens.
   */
  async open(stream, query) {
    const socket = new WebSocket(this.#server.socket("v1/media/websocket"));
    this.#socket = socket;
    this.#over = new Promise((resolve) => socket.addEventListener("close", (event) => resolve(faultOf(event))));
    await opened(socket);
    const { context, source } = listen(stream);
    this.#context = context;
    await context.audioWorklet.addModule(new URL("./samples.js", import.meta.url));
    const samples = new AudioWorkletNode(context, "callbridge-samples", { channelCount: 1, channelCountMode: "explicit" });
    socket.send(JSON.stringify({ ...Object.fromEntries(query), rate: context.sampleRate, token: await this.#server.token() }));
    samples.port.onmessage = ({ data }) => this.#send(data);
    source.connect(samples).connect(context.destination); // which hears nothing: without it some browsers do not run it
    void context.resume();
    void this.#over.then(() => context.close());
    return { over: this.#over };
  }

  /** Hang up; resolves when the server has heard all. */
  async close() {
    const socket = this.#socket;
    this.#send(HUNG_UP);
    if (socket) await Promise.race([this.#over, new Promise((resolve) => setTimeout(resolve, PARTING_MS))]);
    socket?.close();
    this.#socket = null;
  }

  #send(data) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const most = 2 * MOST_UNSENT_S * (this.#context?.sampleRate ?? RATE);
    if (this.#socket.bufferedAmount > most) this.#socket.close();
    else this.#socket.send(data);
  }
}

/** The stream at the server's rate; Firefox gives it at the device's own alone, and then it is sent so. */
function listen(stream) {
  const context = new AudioContext({ sampleRate: RATE });
  try {
    return { context, source: context.createMediaStreamSource(stream) };
  } catch {
    void context.close();
    const device = new AudioContext();
    return { context: device, source: device.createMediaStreamSource(stream) };
  }
}

function opened(socket) {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new CallbridgeError("no_connection", "The server cannot be reached, or has no line free."));
    const timer = setTimeout(() => (fail(), socket.close()), OPEN_MS);
    socket.addEventListener("open", resolve);
    socket.addEventListener("close", fail);
    for (const type of ["open", "close"]) socket.addEventListener(type, () => clearTimeout(timer));
  });
}

/** The server's reasons are `code: message`; here nobody is a carrier. */
function faultOf({ code, reason }) {
  const [, what, message] = reason.match(/^(?:carrier_)?(\w+): (.*)$/) ?? [];
  if (what) return new CallbridgeError(what, message);
  return code === 1000 ? null : new CallbridgeError("no_connection", "The connection to the server was lost.");
}
