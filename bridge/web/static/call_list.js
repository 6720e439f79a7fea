// The list of calls on the page: search, rows that keep their focus while they change, running times.

import { byId, el, oncePerFrame, setText } from "./dom.js";
import { callName, carrierName, clock, moment, phone } from "./format.js";
import { addressOf } from "./address.js";

const TYPING_PAUSE_MS = 250;
const STATUS = { completed: "Completed", failed: "Failed" };

export class CallList {
  #api;
  #calls;
  #rows = new Map();
  #open = null;
  #typing;
  #onDrawn;
  #onRefused;

  /** `onDrawn` is told of every change on the page, `onRefused` of a key that is not accepted. */
  constructor(api, calls, { onDrawn, onRefused }) {
    this.#api = api;
    this.#calls = calls;
    this.#onDrawn = onDrawn;
    this.#onRefused = onRefused;
    this.draw = oncePerFrame(() => this.#draw());
    byId("search").addEventListener("submit", (event) => event.preventDefault());
    byId("words").addEventListener("input", () => this.#searchSoon());
    byId("status").addEventListener("change", () => this.reload());
    byId("more").addEventListener("click", () => this.#more());
    setInterval(() => document.hidden || this.#tick(), 1000);
  }

  /** Read the list again, with what is in the search form. */
  async reload() {
    clearTimeout(this.#typing);
    const filter = { text: byId("words").value.trim(), status: byId("status").value };
    await this.#guard(() => this.#calls.load(filter));
  }

  showFault(text) {
    setText(byId("list-fault"), text);
  }

  focusRow(callId) {
    this.#rows.get(callId)?.firstElementChild.focus();
  }

  markOpen(callId) {
    this.#open = callId;
    this.draw();
  }

  /** The call `step` rows below (or above) the open one, as the list stands; null at either end. */
  neighbour(step) {
    const links = [...document.querySelectorAll("nav .row")];
    const at = links.findIndex((link) => link.getAttribute("aria-current"));
    const next = at < 0 ? links[step > 0 ? 0 : links.length - 1] : links[at + step];
    return next ?? null;
  }

  #searchSoon() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.reload(), TYPING_PAUSE_MS);
  }

  async #more() {
    const last = this.#calls.finished.length;
    await this.#guard(() => this.#calls.loadMore());
    this.#draw();
    // The button may be gone now: a keyboard reader goes on at the first row it brought.
    byId("finished-rows").children[last]?.querySelector("a").focus();
  }

  async #guard(work) {
    try {
      await work();
      this.showFault("");
    } catch (error) {
      if (error.status === 401) this.#onRefused();
      else this.showFault(error.message);
    }
    this.draw();
  }

  #draw() {
    if (!this.#calls.loaded) return;
    const { live, finished, filtered, filter } = this.#calls;
    this.#fill(byId("live-rows"), live);
    this.#fill(byId("finished-rows"), finished);
    setText(byId("live-count"), live.length ? String(live.length) : "");
    byId("live-section").hidden = ["completed", "failed"].includes(filter.status);
    byId("finished-section").hidden = filter.status === "in_progress";
    byId("live-none").hidden = live.length > 0;
    byId("finished-none").hidden = finished.length > 0;
    setText(byId("live-none"), filtered ? "No call in progress fits." : "Nobody is on the line.");
    setText(byId("finished-none"), filtered ? "No finished call fits." : "No finished calls yet.");
    byId("more").hidden = !this.#calls.hasMore;
    for (const callId of this.#rows.keys()) if (!this.#calls.has(callId)) this.#rows.delete(callId);
    this.#onDrawn();
  }

  #fill(list, calls) {
    const rows = calls.map((call) => this.#row(call));
    const stale = new Set(list.children);
    for (const row of rows) stale.delete(row);
    for (const row of stale) row.remove();
    rows.forEach((row, place) => {
      if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
    });
  }

  #row(call) {
    let row = this.#rows.get(call.call_id);
    if (!row) {
      row = rowElement(call.call_id);
      this.#rows.set(call.call_id, row);
    }
    const link = row.firstElementChild;
    const [who, when, what, words] = link.children;
    const live = call.status === "in_progress";
    const said = live ? this.#calls.words(call.call_id) : null;
    link.dataset.status = call.status;
    if (call.call_id === this.#open) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    setText(who, callName(call));
    this.#fillTime(when, call);
    const facts = live
      ? [carrierName(call.carrier), call.metadata.to && `to ${phone(call.metadata.to)}`]
      : [carrierName(call.carrier), STATUS[call.status], clock(call.duration_ms ?? 0)];
    setText(what, facts.filter(Boolean).join(" · "));
    words.dataset.voice = said?.leg ?? "";
    setText(words.firstElementChild, said?.text ?? "");
    return row;
  }

  #fillTime(element, call) {
    const now = this.#api.now();
    if (call.status === "in_progress") {
      element.dataset.since = call.started_at;
      setText(element, clock(now - Date.parse(call.started_at)));
    } else {
      delete element.dataset.since;
      element.setAttribute("datetime", call.started_at);
      setText(element, moment(call.started_at, now));
    }
  }

  #tick() {
    for (const element of document.querySelectorAll("[data-since]")) {
      const ms = this.#api.now() - Date.parse(element.dataset.since);
      setText(element, clock(ms));
      element.setAttribute("datetime", `PT${Math.floor(ms / 1000)}S`);
    }
  }
}

function rowElement(callId) {
  return el("li", {}, el("a", { class: "row", href: addressOf(callId) },
    el("span", { class: "row-who" }), el("time", { class: "row-when" }), el("span", { class: "row-what" }),
    el("span", { class: "row-words", "aria-hidden": "true" }, el("span"))));
}
