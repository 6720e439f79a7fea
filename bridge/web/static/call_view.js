// One call, from its first event on: captions as they come, or all at once when it is over.

import { Announcer } from "./announcer.js";
import { Autoscroll } from "./autoscroll.js";
import { CallHead } from "./call_head.js";
import { Captions } from "./captions.js";
import { Deliveries } from "./deliveries.js";
import { byId, oncePerFrame, setText } from "./dom.js";
import { saveTranscript } from "./downloads.js";
import { follow } from "./feed.js";
import { callName } from "./format.js";
import { Strip } from "./strip.js";
import { Transcript } from "./transcript.js";

export class CallView {
  #api;
  #onState;
  #onRefused;
  #head;
  #captions = new Captions(byId("captions"));
  #strip = new Strip(byId("strip"));
  #announcer = new Announcer(byId("announcer"));
  #scroll = new Autoscroll(byId("call"), byId("jump"));
  #deliveries;
  #reading = new AbortController();
  #call = null;
  #backlog = 0; // `seq` of the last event there was when the call was opened
  #transcript = new Transcript();
  #waiting = fresh();
  #draw = oncePerFrame(() => this.#drawNow());

  /** `onState` hears how the feed is, `onRefused` of a key that is refused. */
  constructor(api, { onState, onRefused }) {
    this.#api = api;
    this.#onState = onState;
    this.#onRefused = onRefused;
    this.#head = new CallHead(api);
    this.#deliveries = new Deliveries(api);
    for (const button of document.querySelectorAll("[data-format]")) {
      button.addEventListener("click", () => this.#save(button));
    }
    setInterval(() => document.hidden || this.#growStrip(), 1000);
  }

  get callId() {
    return this.#call?.call_id ?? null;
  }

  close() {
    this.#reading.abort();
    this.#call = null;
    this.#scroll.reset(false);
  }

  /** Show a call; resolves when nothing more will come of it, or another was opened. */
  async open(callId, { focus }) {
    if (callId === this.callId) return;
    this.close();
    this.#reading = new AbortController();
    const { signal } = this.#reading;
    const path = `v1/calls/${encodeURIComponent(callId)}`;
    this.#empty();
    try {
      this.#call = await this.#api.json(path, { signal });
      const live = this.#call.status === "in_progress";
      this.#backlog = this.#call.last_seq;
      this.#announcer.reset();
      this.#scroll.reset(live);
      this.#deliveries.reset(callId);
      this.#drawNow();
      document.title = `${callName(this.#call)} – callbridge`;
      if (focus) byId("call-heading").focus();
      await follow(this.#api, `${path}/events`, {
        signal,
        resume: true,
        onEvent: (event) => this.#take(event),
        onState: (state) => signal.aborted || this.#onState(state),
        isOver: () => this.#isOver(path, signal),
      });
      if (!signal.aborted) this.#onState("over");
    } catch (error) {
      if (signal.aborted) return;
      this.#onState("over");
      if (error.status === 401) this.#onRefused();
      else this.#showFault(error);
    }
  }

  jump() {
    this.#scroll.jump();
  }

  /** The feed ends when the text is settled; a server that is going down ends it, too. */
  async #isOver(path, signal) {
    const call = await this.#api.json(path, { signal });
    if (signal.aborted) return true;
    this.#call = call;
    this.#draw();
    return call.settled;
  }

  #take(event) {
    this.#waiting.seq = event.seq;
    const { changed, removed } = this.#transcript.apply(event);
    for (const key of changed) {
      this.#waiting.changed.add(key);
      this.#waiting.removed.delete(key);
    }
    for (const key of removed) {
      this.#waiting.removed.add(key);
      this.#waiting.changed.delete(key);
    }
    if (event.type === "transcript.final" && event.text.trim()) {
      this.#waiting.finals += 1;
      this.#announce(event);
    }
    if (event.type === "speech.started" || event.type === "speech.ended") {
      this.#head.speaking(event.leg, event.type === "speech.started");
    }
    if (event.type === "call.ended") this.#ended(event);
    this.#draw();
  }

  #ended(event) {
    const status = event.reason === "error" ? "failed" : "completed";
    this.#call = { ...this.#call, status, ended_at: event.time, reason: event.reason, error: event.error ?? null, duration_ms: event.duration_ms };
    this.#announce(event);
  }

  /** What the call said before it was opened is for reading, not for saying aloud. */
  #announce(event) {
    if (event.seq > this.#backlog) this.#announcer.say(event);
  }

  #empty() {
    this.#transcript = new Transcript();
    this.#waiting = fresh();
    this.#captions.clear();
    this.#strip.clear();
    this.#head.clear();
    setText(byId("call-fault"), "");
    byId("call").dataset.found = "yes";
    byId("waiting").hidden = true;
    byId("deliveries").hidden = true;
  }

  #drawNow() {
    if (!this.#call) return;
    const { finals, seq, ...change } = this.#waiting;
    this.#waiting = fresh();
    this.#captions.draw(this.#transcript, change, seq > this.#backlog);
    this.#strip.draw(this.#transcript, change, (line) => this.#captions.voice(line));
    this.#head.draw(this.#call, this.#transcript);
    this.#growStrip();
    const over = this.#call.status !== "in_progress";
    byId("waiting").hidden = over || this.#transcript.lines.length > 0;
    this.#scroll.drawn(finals);
    byId("deliveries").hidden = !over;
    if (over) this.#scroll.over();
  }

  #growStrip() {
    if (!this.#call) return;
    const running = this.#call.status === "in_progress" ? this.#api.now() - Date.parse(this.#call.started_at) : 0;
    this.#head.scale(this.#strip.grow(Math.max(running, this.#call.duration_ms ?? 0, this.#transcript.endMs)));
  }

  #showFault(error) {
    const missing = error.status === 404;
    byId("call").dataset.found = missing ? "no" : "yes";
    if (missing) setText(byId("call-heading"), "No such call");
    setText(byId("call-fault"), missing ? "There is no call under this address. It may have been deleted." : error.message);
  }

  async #save(button) {
    button.disabled = true;
    try {
      await saveTranscript(this.#api, this.#call.call_id, button.dataset.format);
      setText(byId("call-fault"), "");
    } catch (error) {
      setText(byId("call-fault"), `The transcript was not saved. ${error.message}`);
    } finally {
      button.disabled = false;
      button.focus();
    }
  }
}

function fresh() {
  return { changed: new Set(), removed: new Set(), finals: 0, seq: 0 };
}
