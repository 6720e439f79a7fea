// The call at a glance: one lane a voice, a mark a word, as tall as the recogniser was sure of it.

const NAMESPACE = "http://www.w3.org/2000/svg";
const SHORTEST_MS = 30_000; // so that the first words of a call do not fill the whole width
const HEIGHT = 100;
const MIDDLE = HEIGHT / 2;
const GAP = 3; // between the lanes
const LOWEST = 0.3; // of a lane: a word the recogniser doubts is still a mark

export class Strip {
  #svg;
  #marks = new Map();
  #widthMs = SHORTEST_MS;

  constructor(svg) {
    this.#svg = svg;
  }

  clear() {
    for (const mark of this.#marks.values()) mark.remove();
    this.#marks.clear();
    this.#widthMs = 0;
    this.grow(SHORTEST_MS);
  }

  /** How long the strip stands for, at least; returns what it now stands for. */
  grow(ms) {
    if (ms > this.#widthMs) {
      this.#widthMs = ms;
      this.#svg.setAttribute("viewBox", `0 0 ${Math.ceil(ms)} ${HEIGHT}`);
    }
    return this.#widthMs;
  }

  draw(transcript, { changed, removed }, voice) {
    for (const key of removed) this.#drop(key);
    for (const key of changed) {
      const line = transcript.line(key);
      if (line?.kind === "speech") this.#mark(key, wordMarks(line), { "data-voice": voice(line), "data-state": line.final ? "final" : "tentative" });
      else if (line?.event.type === "media.gap") this.#mark(key, gapMark(line), { "data-voice": "gap" });
    }
  }

  #mark(key, d, attributes) {
    let path = this.#marks.get(key);
    if (!path) {
      path = document.createElementNS(NAMESPACE, "path");
      this.#marks.set(key, path);
      this.#svg.append(path);
    }
    for (const [name, value] of Object.entries({ d, ...attributes })) path.setAttribute(name, value);
  }

  #drop(key) {
    this.#marks.get(key)?.remove();
    this.#marks.delete(key);
  }
}

function wordMarks(line) {
  const words = line.words.length ? line.words : [{ start_ms: line.startMs, end_ms: line.endMs, confidence: 0 }];
  return words.map(({ start_ms, end_ms, confidence }) => {
    const share = LOWEST + (1 - LOWEST) * Math.min(1, Math.max(0, confidence));
    return block(line.leg, start_ms, Math.max(end_ms, start_ms + 1), share);
  }).join("");
}

function gapMark(line) {
  return block(line.leg, line.event.at_ms, line.event.at_ms + line.event.missing_ms, 1);
}

/** A block that stands on the middle line (caller), hangs from it (agent), or both (a mixed line). */
function block(leg, fromMs, toMs, share) {
  const tall = (MIDDLE - GAP) * share;
  const upper = `M${fromMs} ${MIDDLE - GAP}V${MIDDLE - GAP - tall}H${toMs}V${MIDDLE - GAP}Z`;
  const lower = `M${fromMs} ${MIDDLE + GAP}V${MIDDLE + GAP + tall}H${toMs}V${MIDDLE + GAP}Z`;
  return { caller: upper, agent: lower }[leg] ?? upper + lower;
}
