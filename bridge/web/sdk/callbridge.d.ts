/** callbridge in a web page: captions while a microphone is heard, and recordings sent in to be put into words. */

export interface Options {
  /**
   * An address of your own server that answers a POST with `{ token, expires_in }` or `{ token, expires_at }`: what
   * callbridge's `POST /v1/tokens` gives it, with the scopes `media` and, for captions, `calls:read`.
   */
  tokenEndpoint: string | URL;
  /** Where callbridge is; left out, where this module came from. */
  baseUrl?: string | URL;
  /** Goes along to the token endpoint: `credentials`, `headers`, a `body` … */
  request?: RequestInit;
}

export function init(options: Options): Callbridge;

export interface Callbridge {
  /** Begin a call with the microphone and read along. Resolves once the call has begun; rejects with a CallbridgeError. */
  liveCaptions(options?: LiveCaptionsOptions): Promise<LiveCaptions>;
  createRecorder(options?: RecorderOptions): Recorder;
}

export interface LiveCaptionsOptions {
  /** Another source than the microphone. It is yours to stop. */
  stream?: MediaStream;
  /** Chooses the call's id; left out, one is made. `LiveCaptions.callId` has it. */
  callId?: string;
  /**
   * How audio goes to the server. `auto`, as when it is left out, is WebRTC, and where that does not get through within
   * five seconds a WebSocket: then the call is a second one, whose id is the first one's and `-2`.
   */
  transport?: "auto" | "webrtc" | "websocket";
  /** `en`, `de` …; left out, the server's own setting. */
  language?: string;
  /** Words to listen for. */
  keywords?: readonly string[];
  /** How turns are told: `bot` for who answers them; left out, `captions`. */
  turns?: "captions" | "bot" | "off";
  /** Comes back with the call, in webhooks and lists. */
  metadata?: Readonly<Record<string, string>>;
  /** What is being said; `stable_text` is how far it will not change. */
  onPartial?(event: PartialText): void;
  /** What was said, in place of the partials of its leg and segment. */
  onFinal?(event: FinalText): void;
  /** A better text for earlier finals. */
  onRevised?(event: RevisedText): void;
  onEnded?(event: Ended): void;
  /** Every event, of whatever type, in order and none twice. */
  onEvent?(event: CallEvent): void;
  /** The connection dropped; it is taken up again where it broke off, and nothing is missing. */
  onReconnecting?(): void;
  /** What a bot on the call says, for an `<audio>` element's `srcObject`. Over WebRTC alone. */
  onReply?(stream: MediaStream): void;
  /** The captions came to an end that is not the call's. */
  onError?(error: CallbridgeError): void;
}

export interface LiveCaptions {
  readonly callId: string;
  /** Resolves once the call is over and its text will not change any more. */
  readonly settled: Promise<void>;
  /** Hang up. What was said last still comes. */
  stop(): Promise<void>;
  /** Hang up, and hear no more. */
  close(): Promise<void>;
}

export interface RecorderOptions {
  /** Another source than the microphone. It is yours to stop. */
  stream?: MediaStream;
  /** Seconds after which a recording ends by itself. */
  maxDuration?: number;
  /** It is at the server, and will be put into words: webhooks tell, and `/v1/transcriptions/{recordingId}`. */
  onComplete?(sent: Sent): void;
  onError?(error: CallbridgeError): void;
}

export interface Recorder {
  readonly state: "inactive" | "recording" | "paused";
  start(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Resolves once the whole recording is at the server. */
  stop(): Promise<Sent>;
  /** Send nothing; `stop` and `onError` tell `cancelled`. */
  cancel(): void;
}

export interface Sent {
  recordingId: string;
  bytes: number;
}

export type Leg = "caller" | "agent" | "mixed";

export interface CallEvent {
  id: string;
  /** From 1, without gaps. */
  seq: number;
  type: string;
  call_id: string;
  /** RFC 3339, UTC. */
  time: string;
  [field: string]: unknown;
}

export interface PartialText extends CallEvent {
  type: "transcript.partial";
  leg: Leg;
  segment: number;
  start_ms: number;
  end_ms: number;
  text: string;
  stable_text: string;
}

export interface Segment {
  leg: Leg;
  segment: number;
  speaker: string | null;
  start_ms: number;
  end_ms: number;
  text: string;
  language: string;
  /** 0 to 1. */
  confidence: number;
  words: Word[];
}

export interface FinalText extends CallEvent, Segment {
  type: "transcript.final";
  leg: Leg;
}

export interface Word {
  word: string;
  start_ms: number;
  end_ms: number;
  confidence: number;
}

export interface RevisedText extends CallEvent {
  type: "transcript.revised";
  leg: Leg;
  /** Numbers of the segments that these take the place of. */
  replaces: number[];
  segments: Segment[];
}

export interface Ended extends CallEvent {
  type: "call.ended";
  reason: string;
  duration_ms: number;
}

export class CallbridgeError extends Error {
  /** Stable: `unauthorised`, `at_capacity`, `microphone_refused`, `no_connection`, `cancelled` … */
  readonly code: string;
  /** The server's, where it answered; else 0. */
  readonly status: number;
  /** Seconds to wait, where the server said so; else 0. */
  readonly retryAfter: number;
}
