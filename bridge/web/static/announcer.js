// What a screen reader says of a call in progress: finals as they come. Partials would have it stutter.

import { el } from "./dom.js";
import { noteText } from "./captions.js";
import { voiceName } from "./format.js";

const KEPT = 20; // said long ago: nobody reads this list, it is only spoken

export class Announcer {
  #region;

  constructor(region) {
    this.#region = region;
  }

  reset() {
    this.#region.replaceChildren();
  }

  say(event) {
    const words = event.type === "transcript.final" ? `${voiceName(event.leg, event.speaker)}: ${event.text}` : noteText(event);
    this.#region.append(el("p", { lang: event.language ?? null }, words));
    while (this.#region.childElementCount > KEPT) this.#region.firstElementChild.remove();
  }
}
