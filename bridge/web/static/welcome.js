// What stands beside the list while no call is open: how to place the first one, or that one can be chosen.

import { byId, setText } from "./dom.js";

const OWN_MACHINE = ["localhost", "127.0.0.1", "[::1]"];

export class Welcome {
  #calls;

  constructor(calls) {
    this.#calls = calls;
    const here = new URL("./", location.href);
    const media = new URL("v1/media/twilio", here);
    media.protocol = here.protocol === "https:" ? "wss:" : "ws:";
    setText(byId("play-command"), `callbridge play call.wav --to ${media}`);
    setText(byId("twilio-address"), String(new URL("v1/twilio/voice", here)));
    byId("twilio-private").hidden = !OWN_MACHINE.includes(here.hostname);
  }

  draw() {
    const { live, finished, filtered } = this.#calls;
    const first = !filtered && live.length + finished.length === 0;
    byId("first-call").hidden = !first;
    byId("choose").hidden = first;
    document.body.dataset.empty = String(first);
  }
}
