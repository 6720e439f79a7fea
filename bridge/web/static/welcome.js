// What stands beside the list while no call is open: how to place the first one, or that one can be chosen.

import { byId, setText } from "./dom.js";

const OWN_MACHINE = ["localhost", "127.0.0.1", "[::1]"];

export class Welcome {
  #api;
  #calls;

  constructor(api, calls) {
    this.#api = api;
    this.#calls = calls;
    setText(byId("twilio-address"), String(new URL("v1/twilio/voice", document.baseURI)));
    byId("twilio-private").hidden = !OWN_MACHINE.includes(location.hostname);
  }

  draw() {
    const { live, finished, filtered, loaded } = this.#calls;
    if (!loaded) return;
    const first = !filtered && live.length + finished.length === 0;
    setText(byId("play-command"), this.#playCommand());
    byId("first-call").hidden = !first;
    byId("choose").hidden = first;
    document.body.dataset.empty = String(first);
  }

  #playCommand() {
    const media = new URL("v1/media/twilio", document.baseURI);
    media.protocol = media.protocol === "https:" ? "wss:" : "ws:";
    // The key itself stays out of sight: commands end up in shell histories and screenshots.
    return `callbridge play call.wav --to ${media}${this.#api.key ? " --token YOUR_KEY" : ""}`;
  }
}
