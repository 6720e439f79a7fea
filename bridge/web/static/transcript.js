// A call's events as the lines of its transcript. Pure: events in, what changed out; no page, no clock.

const LEG_ORDER = ["caller", "agent", "mixed"];

/**
 * Lines in the order they were said. A spoken line is
 * `{kind: "speech", key, leg, segment, startMs, endMs, text, stable, final, revised, speaker, language, words}`,
 * a note `{kind: "note", key, leg, startMs, event}` for what is not speech but belongs in the reading.
 */
export class Transcript {
  lines = [];
  #byKey = new Map();
  #gone = new Set(); // segments a revision has replaced: nothing that still arrives for them counts
  #startedAt = 0;

  line(key) {
    return this.#byKey.get(key);
  }

  /** Where the call's own clock stands, as far as its lines tell. */
  get endMs() {
    return this.lines.reduce((latest, line) => (line.kind === "speech" ? Math.max(latest, line.endMs) : latest), 0);
  }

  /** Take one event; returns `{changed, removed}`, keys of lines. */
  apply(event) {
    const change = { changed: [], removed: [] };
    switch (event.type) {
      case "call.started":
        this.#startedAt = Date.parse(event.time);
        break;
      case "transcript.partial":
        this.#partial(event, change);
        break;
      case "transcript.final":
        this.#final(event, false, change);
        break;
      case "transcript.revised":
        this.#revised(event, change);
        break;
      case "speaker.updated":
        this.#speaker(event, change);
        break;
      case "dtmf.received":
      case "media.gap":
        this.#note(event, event.at_ms, change);
        break;
      case "call.degraded":
        this.#note(event, this.#sinceStart(event), change);
        break;
      case "call.ended":
        this.#dropTentative(change);
        this.#note(event, Infinity, change);
        break;
      default: // speech.*, turn.* and kinds to come: not part of the reading
    }
    return change;
  }

  #partial(event, change) {
    const key = keyOf(event.leg, event.segment);
    if (this.#gone.has(key) || this.#byKey.get(key)?.final) return;
    if (!event.text.trim()) this.#remove(key, change);
    else this.#put({ ...spoken(event), stable: event.stable_text, final: false }, change);
  }

  #final(segment, revised, change) {
    const key = keyOf(segment.leg, segment.segment);
    if (!revised && this.#gone.has(key)) return;
    if (!segment.text.trim()) this.#remove(key, change);
    else this.#put({ ...spoken(segment), stable: segment.text, final: true, revised }, change);
  }

  #revised(event, change) {
    for (const segment of event.replaces) {
      const key = keyOf(event.leg, segment);
      this.#gone.add(key);
      if (!event.segments.some((settled) => settled.segment === segment)) this.#remove(key, change);
    }
    for (const segment of event.segments) this.#final({ leg: event.leg, ...segment }, true, change);
  }

  #speaker(event, change) {
    const line = this.#byKey.get(keyOf(event.leg, event.segment));
    if (line) this.#put({ ...line, speaker: event.speaker }, change);
  }

  #note(event, startMs, change) {
    this.#put({ kind: "note", key: `note:${event.seq}`, leg: event.leg ?? null, startMs, event }, change);
  }

  #dropTentative(change) {
    for (const line of this.lines.filter((found) => found.kind === "speech" && !found.final)) this.#remove(line.key, change);
  }

  #sinceStart(event) {
    return this.#startedAt ? Math.max(0, Date.parse(event.time) - this.#startedAt) : this.endMs;
  }

  #put(line, change) {
    const known = this.#byKey.get(line.key);
    if (known) this.lines.splice(this.lines.indexOf(known), 1);
    let place = this.lines.length; // nearly always the end, so look from there
    while (place > 0 && before(line, this.lines[place - 1])) place -= 1;
    this.lines.splice(place, 0, line);
    this.#byKey.set(line.key, line);
    change.changed.push(line.key);
  }

  #remove(key, change) {
    const line = this.#byKey.get(key);
    if (!line) return;
    this.lines.splice(this.lines.indexOf(line), 1);
    this.#byKey.delete(key);
    change.removed.push(key);
  }
}

function keyOf(leg, segment) {
  return `${leg}:${segment}`;
}

function spoken({ leg, segment, start_ms, end_ms, text, speaker = null, language = null, words = [] }) {
  return { kind: "speech", key: keyOf(leg, segment), leg, segment, startMs: start_ms, endMs: end_ms, text, speaker, language, words };
}

function before(a, b) {
  if (a.startMs !== b.startMs) return a.startMs < b.startMs;
  return LEG_ORDER.indexOf(a.leg) < LEG_ORDER.indexOf(b.leg);
}
