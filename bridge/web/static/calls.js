// The calls of this tenant: those in progress kept up to date by the live feed, finished ones page by page.

const PAGE = 25;
const LARGEST_PAGE = 200; // the server gives no more at once
const MOST_FINISHED = 500; // kept here; a page left open for weeks begins again at the first page
const WORDS_SHOWN = 44;

export class Calls {
  #api;
  #records = new Map();
  #words = new Map(); // the newest words of each call in progress
  #cursor = null;
  #loaded = false;
  #filter = { text: "", status: "" };
  #asked = 0;
  #meanwhile = null; // events that came while a list was being read, which may not know of them yet

  constructor(api) {
    this.#api = api;
  }

  get live() {
    return this.#sorted((call) => call.status === "in_progress");
  }

  get finished() {
    return this.#sorted((call) => call.status !== "in_progress");
  }

  get hasMore() {
    return this.#cursor !== null;
  }

  /** Whether the lists have been read at all. */
  get loaded() {
    return this.#loaded;
  }

  /** Whether the reader asked for less than everything: an empty list then means "nothing found". */
  get filtered() {
    return Boolean(this.#filter.text || this.#filter.status);
  }

  get filter() {
    return this.#filter;
  }

  has(callId) {
    return this.#records.has(callId);
  }

  words(callId) {
    return this.#words.get(callId) ?? null;
  }

  /** Whether the feed has brought more than is worth keeping: time to `load` again. */
  get overgrown() {
    return this.#records.size > MOST_FINISHED + this.live.length;
  }

  /** Read the lists anew, as long as the reader has made them; a later call overtakes an earlier one. */
  async load(filter) {
    const turn = ++this.#asked;
    const limit = this.overgrown || !same(filter, this.#filter) ? PAGE : clamp(this.finished.length, PAGE, LARGEST_PAGE);
    this.#filter = filter;
    this.#meanwhile = [];
    const none = { calls: [], cursor: null };
    const wantsLive = !filter.status || filter.status === "in_progress";
    const [live, page] = await Promise.all([
      wantsLive ? this.#read({ status: "in_progress", limit: LARGEST_PAGE }) : none,
      filter.status === "in_progress" ? none : this.#read({ status: filter.status, limit }),
    ]);
    if (turn !== this.#asked) return;
    this.#records = new Map([...page.calls, ...live.calls].map((call) => [call.call_id, call]));
    for (const callId of this.#words.keys()) if (!this.#records.has(callId)) this.#words.delete(callId);
    this.#cursor = page.cursor;
    this.#loaded = true;
    const missed = this.#meanwhile;
    this.#meanwhile = null;
    for (const event of missed) this.apply(event);
  }

  async loadMore() {
    const turn = this.#asked;
    const page = await this.#read({ status: this.#filter.status, limit: PAGE, cursor: this.#cursor });
    if (turn !== this.#asked) return;
    // What is known already came by the feed, and is newer than the page.
    for (const call of page.calls) if (!this.#records.has(call.call_id)) this.#records.set(call.call_id, call);
    this.#cursor = page.cursor;
  }

  /** Take an event of the tenant's feed; false when it changes nothing that the list shows. */
  apply(event) {
    this.#meanwhile?.push(event);
    switch (event.type) {
      case "call.started":
        return this.#started(event);
      case "call.ended":
        return this.#ended(event);
      case "transcript.partial":
      case "transcript.final":
        if (!this.#records.has(event.call_id) || !event.text) return false;
        this.#words.set(event.call_id, { leg: event.leg, text: tail(event.text) });
        return true;
      default:
        return false;
    }
  }

  #started(event) {
    const { call_id, carrier, carrier_call_id, legs, metadata, time } = event;
    const { text, status } = this.#filter;
    if (text || (status && status !== "in_progress") || this.#records.has(call_id)) return false;
    this.#records.set(call_id, { call_id, carrier, carrier_call_id, legs, metadata, status: "in_progress", started_at: time });
    return true;
  }

  #ended(event) {
    this.#words.delete(event.call_id);
    const call = this.#records.get(event.call_id);
    if (!call) return false;
    const status = event.reason === "error" ? "failed" : "completed";
    if (this.#filter.status && this.#filter.status !== status) this.#records.delete(event.call_id);
    else this.#records.set(event.call_id, { ...call, status, ended_at: event.time, reason: event.reason, duration_ms: event.duration_ms });
    return true;
  }

  #read(query) {
    const parameters = new URLSearchParams({ text: this.#filter.text, ...query });
    for (const [name, value] of [...parameters]) if (!value) parameters.delete(name);
    return this.#api.json(`v1/calls?${parameters}`);
  }

  #sorted(wanted) {
    const found = [...this.#records.values()].filter(wanted);
    return found.sort((a, b) => Date.parse(b.started_at) - Date.parse(a.started_at));
  }
}

function same(a, b) {
  return a.text === b.text && a.status === b.status;
}

function clamp(n, least, most) {
  return Math.min(Math.max(n, least), most);
}

/** The end of what is being said, cut between words. */
function tail(text) {
  if (text.length <= WORDS_SHOWN) return text;
  return text.slice(text.indexOf(" ", text.length - WORDS_SHOWN) + 1);
}
