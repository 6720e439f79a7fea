// What stands above the captions: who, how long, whose colour is whose, who is speaking now.

import { byId, el, setText } from "./dom.js";
import { callName, carrierName, clock, endReason, moment, phone, spoken, voiceName } from "./format.js";

export class CallHead {
  #api;
  #speaking = new Set();
  #drawn = new Map(); // part → what it was drawn from

  constructor(api) {
    this.#api = api;
  }

  clear() {
    this.#speaking.clear();
    this.#drawn.clear();
    for (const id of ["call-heading", "call-facts", "legend"]) byId(id).replaceChildren();
  }

  speaking(leg, now) {
    if (now) this.#speaking.add(leg);
    else this.#speaking.delete(leg);
  }

  draw(call, transcript) {
    const live = call.status === "in_progress";
    setText(byId("call-heading"), callName(call));
    // Only when they say something else: the running time ticks inside the facts.
    if (this.#changed("facts", [call.call_id, call.status, call.settled])) this.#drawFacts(call, live);
    if (this.#changed("legend", [call.call_id, live, ...this.#speaking])) this.#drawLegend(call, live);
    setText(byId("strip-title"), `Who spoke when. ${talkTime(call, transcript)}`);
  }

  scale(ms) {
    setText(byId("scale-end"), clock(ms));
  }

  #changed(part, from) {
    const text = JSON.stringify(from);
    if (this.#drawn.get(part) === text) return false;
    this.#drawn.set(part, text);
    return true;
  }

  #drawFacts(call, live) {
    const now = this.#api.now();
    const parts = [
      el("span", { class: "badge", "data-status": call.status }, statusOf(call)),
      live ? el("time", { "data-since": call.started_at }, clock(now - Date.parse(call.started_at))) : clock(call.duration_ms ?? 0),
      carrierName(call.carrier),
      call.metadata.to ? `to ${phone(call.metadata.to)}` : null,
      moment(call.started_at, now),
      live ? null : endReason(call.reason, call.error),
    ];
    byId("call-facts").replaceChildren(...parts.filter(Boolean).map((part) => el("span", {}, part)));
  }

  #drawLegend(call, live) {
    const rows = call.legs.map((leg) => {
      const speaking = live && this.#speaking.has(leg);
      return el("li", { "data-voice": leg, "data-speaking": speaking ? "yes" : "no" }, voiceName(leg), speaking ? ", speaking" : "");
    });
    byId("legend").replaceChildren(...rows);
  }
}

function statusOf(call) {
  if (call.status === "in_progress") return "Live";
  if (call.status === "failed") return "Failed";
  return call.settled ? "Completed" : "Ended, settling the text";
}

function talkTime(call, transcript) {
  return call.legs.map((leg) => {
    const lines = transcript.lines.filter((line) => line.kind === "speech" && line.leg === leg);
    return `${voiceName(leg)}: ${spoken(lines.reduce((sum, line) => sum + line.endMs - line.startMs, 0))}`;
  }).join(". ");
}
