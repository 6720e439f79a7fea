// A microphone's way to the server: WHIP (RFC 9725), with candidates trickled behind the offer.

const CONNECT_MS = 15_000;
const FRAGMENT = "application/trickle-ice-sdpfrag";

export class LineError extends Error {}

export class Line {
  #api;
  #peer;
  #session = null; // its address and ETag, once the server has answered
  #waiting = []; // candidates found before that
  #closed = false;

  constructor(api) {
    this.#api = api;
  }

  /**
   * Send `stream` as the call that `query` describes. Resolves when audio flows, to a promise of the line's end; rejects
   * with an ApiError when the server refuses, with a LineError when nothing gets through.
   */
  async open(stream, query) {
    const peer = new RTCPeerConnection({ iceServers: await iceServers(this.#api) });
    this.#peer = peer;
    peer.addEventListener("icecandidate", ({ candidate }) => candidate && this.#found(candidate));
    for (const track of stream.getAudioTracks()) peer.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    await peer.setLocalDescription();
    const response = await this.#api.open(`v1/whip?${query}`, {
      method: "POST", headers: { "Content-Type": "application/sdp" }, body: peer.localDescription.sdp,
    });
    // Relative to the page, so that a proxy may mount us anywhere.
    const id = response.headers.get("Location").split("/").at(-1);
    this.#session = { path: `v1/whip/${id}`, etag: response.headers.get("ETag") };
    if (this.#closed) return this.#delete(); // hung up while it rang
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    for (const candidate of this.#waiting.splice(0)) void this.#trickle(candidate);
    await connected(peer);
    return { over: over(peer) };
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
    await this.#api.open(path, { method: "DELETE", keepalive: true }).catch(() => {});
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
    await this.#api.open(path, { method: "PATCH", headers, body: lines.join("\r\n") }).catch(() => {});
  }
}

/** The STUN and TURN servers that the server names to who may call (RFC 9725 §4.6). */
async function iceServers(api) {
  const response = await api.open("v1/whip", { method: "OPTIONS" });
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

function connected(peer) {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new LineError("No audio gets through to the server. Something between may be blocking UDP."));
    const timer = setTimeout(fail, CONNECT_MS);
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
