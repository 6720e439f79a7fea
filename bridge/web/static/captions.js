// The transcript's lines on the page: finals firm, the stable part of a partial firmer than the rest.

import { el, setText } from "./dom.js";
import { clock, endReason, missing, shedding, spoken, voiceName } from "./format.js";
import { piecesOf } from "./together.js";

const VOICES_OF_A_MIXED_LINE = 6; // colours in captions.css; a seventh speaker shares the first one's

export class Captions {
  #list;
  #caughtUp = false;
  #elements = new Map();
  #voices = new Map(); // speakers of a mixed line, in the order they were first heard

  constructor(list) {
    this.#list = list;
  }

  clear() {
    this.#list.replaceChildren();
    this.#elements.clear();
    this.#voices.clear();
  }

  /**
   * Bring the page's lines named in `changed` and `removed` to what `transcript` says. `caughtUp`: this happens now,
   * and is not the story so far.
   */
  draw(transcript, { changed, removed }, caughtUp) {
    this.#caughtUp = caughtUp;
    for (const key of removed) {
      this.#elements.get(key)?.remove();
      this.#elements.delete(key);
    }
    if (!changed.size && !removed.size) return;
    const drawn = transcript.lines.map((line) => (changed.has(line.key) ? this.#drawLine(line) : this.#elements.get(line.key)));
    this.#order(drawn);
    this.#markTurns(transcript.lines);
  }

  /** Which colour a line has: its leg's, or on a mixed line its speaker's. */
  voice(line) {
    if (line.leg !== "mixed" || !line.speaker) return line.leg;
    if (!this.#voices.has(line.speaker)) this.#voices.set(line.speaker, this.#voices.size);
    return `speaker-${(this.#voices.get(line.speaker) % VOICES_OF_A_MIXED_LINE) + 1}`;
  }

  #drawLine(line) {
    let element = this.#elements.get(line.key);
    if (!element) {
      element = line.kind === "speech" ? speechElement() : el("li", { class: "note" });
      this.#elements.set(line.key, element);
    }
    if (line.kind === "speech") this.#fillSpeech(element, line);
    else fillNote(element, line);
    return element;
  }

  #fillSpeech(element, line) {
    const [time, who, said] = element.children;
    element.dataset.voice = this.voice(line);
    element.dataset.state = line.final ? "final" : "tentative";
    element.classList.toggle("revised", line.revised === true && this.#caughtUp);
    time.setAttribute("datetime", `PT${line.startMs / 1000}S`);
    setText(time, clock(line.startMs));
    setText(who, voiceName(line.leg, line.speaker));
    if (line.language) said.setAttribute("lang", line.language);
    const [firm, loose] = said.children;
    const stable = line.stable.length + line.text.slice(line.stable.length).search(/\S|$/); // the gap is no word in doubt
    this.#fillFirm(firm, line, line.text.slice(0, stable));
    setText(loose, line.text.slice(stable));
  }

  /** Words that somebody else speaks at the same time as are underlined in the other's colour and say who it is. */
  #fillFirm(firm, line, text) {
    const pieces = piecesOf(text, line.words);
    if (!firm.childElementCount && pieces.every(({ other }) => !other)) return setText(firm, text);
    firm.replaceChildren(...pieces.map(({ text, other }) => (other ? this.#together(text, line.leg, other) : text)));
  }

  #together(text, leg, other) {
    const voice = this.voice({ leg, speaker: other });
    return el("span", { class: "together", "data-voice": voice, "data-other": other, title: `${other} speaks, too` }, text);
  }

  #order(drawn) {
    let place = this.#list.firstElementChild;
    for (const element of drawn) {
      if (element === place) place = place.nextElementSibling;
      else this.#list.insertBefore(element, place);
    }
  }

  /** A voice that goes on needs no second name; it stays there for screen readers. */
  #markTurns(lines) {
    let last = null;
    for (const line of lines) {
      if (line.kind !== "speech") continue;
      const voice = voiceName(line.leg, line.speaker);
      this.#elements.get(line.key).classList.toggle("goes-on", voice === last);
      last = voice;
    }
  }
}

/** What a note says, in a sentence. */
export function noteText({ type, ...event }) {
  const who = event.leg ? voiceName(event.leg) : "";
  switch (type) {
    case "dtmf.received":
      return `${who} pressed ${event.digit}`;
    case "media.gap":
      return `${who}: ${seconds(event.missing_ms)} ${missing(event.reason)}`;
    case "call.degraded":
      return shedding(event.what, event.reason);
    default:
      return `Call ended after ${spoken(event.duration_ms)}: ${endReason(event.reason, event.error)}`;
  }
}

function seconds(ms) {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function speechElement() {
  const said = el("p", { class: "said", dir: "auto" }, el("span", { class: "firm" }), el("span", { class: "loose" }));
  return el("li", { class: "line" }, el("time"), el("span", { class: "who" }), said);
}

function fillNote(element, line) {
  element.dataset.type = line.event.type;
  const at = Number.isFinite(line.startMs) ? el("time", { datetime: `PT${line.startMs / 1000}S` }, clock(line.startMs)) : null;
  element.replaceChildren(...[at, el("p", {}, noteText(line.event))].filter(Boolean));
}
