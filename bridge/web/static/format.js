// Times, names and sizes as a reader wants them. Pure: the clock is handed in.

const CARRIERS = {
  twilio: "Twilio", telnyx: "Telnyx", signalwire: "SignalWire", plivo: "Plivo", vonage: "Vonage", exotel: "Exotel",
  bandwidth: "Bandwidth", genesys: "Genesys", asterisk: "Asterisk", audiosocket: "AudioSocket",
  freeswitch: "FreeSWITCH", jambonz: "jambonz", webrtc: "WebRTC", rtp: "RTP", siprec: "SIPREC", recording: "Recording",
};
const VOICES = { caller: "Caller", agent: "Agent", mixed: "Mixed line" };
const REASONS = {
  hangup: "hung up", closed: "connection closed", idle: "line went quiet", drained: "server was restarted",
};
const ERRORS = {
  carrier_protocol: "the carrier sent what its protocol forbids",
  carrier_silent: "no audio came",
  carrier_flood: "the carrier sent more than a call has",
  unsupported_media: "the audio is of a kind that is not known here",
  unreadable_recording: "the recording could not be read",
  fetch_failed: "the recording could not be fetched",
  cancelled: "cancelled",
  interrupted: "the server was interrupted",
  internal: "something went wrong at the server",
};
const MISSING = { lost: "of audio missing", undecoded: "heard but not transcribed" };

/** Milliseconds as `0:04`, `12:31` or `1:02:03`; fractions are cut, so that a clock never runs ahead. */
export function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const two = (n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** Milliseconds in words a screen reader says well: `1 minute 5 seconds`. */
export function spoken(ms) {
  const seconds = Math.round(ms / 1000);
  const parts = [[Math.floor(seconds / 3600), "hour"], [Math.floor(seconds / 60) % 60, "minute"], [seconds % 60, "second"]];
  const said = parts.filter(([n]) => n).map(([n, unit]) => `${n} ${unit}${n === 1 ? "" : "s"}`);
  return said.join(" ") || "0 seconds";
}

/** When something was: the time alone on the same day, with the date before it otherwise. */
export function moment(iso, now) {
  const then = new Date(iso);
  const time = then.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
  if (then.toDateString() === new Date(now).toDateString()) return time;
  const sameYear = then.getFullYear() === new Date(now).getFullYear();
  const date = then.toLocaleDateString([], { day: "numeric", month: "short", ...(sameYear ? {} : { year: "numeric" }) });
  return `${date}, ${time}`;
}

/** A telephone number with the gaps people read by, where the plan is known (NANP); anything else as it came. */
export function phone(text) {
  const found = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(text);
  return found ? `+1 ${found[1]} ${found[2]} ${found[3]}` : text;
}

/** Who called, as far as anybody knows. */
export function callName(call) {
  const { from } = call.metadata;
  return from ? phone(from) : `Call ${call.call_id.length > 14 ? `${call.call_id.slice(0, 12)}…` : call.call_id}`;
}

export function carrierName(carrier) {
  return CARRIERS[carrier] ?? carrier;
}

export function voiceName(leg, speaker) {
  if (!speaker) return VOICES[leg] ?? leg;
  return leg === "mixed" ? speaker : `${VOICES[leg] ?? leg}, ${speaker}`;
}

export function endReason(reason, error) {
  return error ? ERRORS[error] ?? `error: ${error}` : REASONS[reason] ?? reason;
}

export function missing(reason) {
  return MISSING[reason] ?? `left out (${reason})`;
}

export function shedding(what, reason) {
  if (what === "partials" && reason === "load") return "Busy: words may appear only once they are final";
  return `Left out: ${what} (${reason})`;
}
