// A live feed over fetch: EventSource cannot send an Authorization header. Whatever cuts it, it goes on where it was.

import { EventStreamParser } from "./sse.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** A server that is there says something, if only a comment, more often than this; a dead phone link says nothing. */
const SILENCE_MS = 45_000;

/**
 * Read events from `path` until `isOver()` is true at the stream's end, or `signal` aborts.
 *
 * `onEvent` gets each event once, in order of `seq`, none left out by a lost connection: with `resume` every
 * connection asks for what is behind the last event seen. `onState` is told `open` and `waiting`. Rejects with an
 * ApiError that trying again would not mend (a key that is refused, a call that is not there).
 */
export async function follow(api, path, { signal, resume, onEvent, onState, isOver }) {
  let seq = 0;
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted) {
    await shown(signal);
    if (signal.aborted) return;
    const attempt = new AbortController();
    const undo = cutWith(attempt, signal);
    let asked = 0;
    try {
      const response = await api.open(resume ? `${path}?after=${seq}` : path, {
        signal: attempt.signal,
        headers: { Accept: "text/event-stream" },
      });
      onState("open");
      for await (const event of eventsIn(response, attempt)) {
        if (resume && event.seq <= seq) continue;
        seq = event.seq;
        wait = FIRST_WAIT_MS;
        onEvent(event);
      }
      if (await isOver()) return;
    } catch (error) {
      if (error.status && !error.passing) throw error;
      asked = (error.retryAfterS ?? 0) * 1000;
    } finally {
      undo();
    }
    if (signal.aborted) return;
    if (document.hidden) continue;
    onState("waiting");
    // Jitter: after a restart, a room full of open pages must not come back in one instant.
    await pause(Math.max(asked, wait * (0.75 + Math.random() / 2)), signal);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

async function* eventsIn(response, attempt) {
  const parser = new EventStreamParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let quiet;
  try {
    for (;;) {
      quiet = setTimeout(() => attempt.abort(), SILENCE_MS);
      const { done, value } = await reader.read();
      clearTimeout(quiet);
      if (done) return;
      for (const { data } of parser.push(value)) yield JSON.parse(data);
    }
  } finally {
    clearTimeout(quiet);
    reader.cancel().catch(() => {}); // already cut: nothing is left to give back
  }
}

/**
 * Abort `attempt` when the reader leaves, and while the page is hidden: browsers allow six connections to a server,
 * and forgotten tabs would hold them all. Resuming makes up for it when the page is looked at again.
 */
function cutWith(attempt, signal) {
  const cut = () => attempt.abort();
  const cutIfHidden = () => document.hidden && cut();
  signal.addEventListener("abort", cut);
  document.addEventListener("visibilitychange", cutIfHidden);
  return () => {
    signal.removeEventListener("abort", cut);
    document.removeEventListener("visibilitychange", cutIfHidden);
  };
}

function shown(signal) {
  if (!document.hidden) return undefined;
  return new Promise((resolve) => {
    const go = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", go);
      signal.removeEventListener("abort", go);
      resolve();
    };
    document.addEventListener("visibilitychange", go);
    signal.addEventListener("abort", go);
  });
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      for (const [target, name] of wakers) target.removeEventListener(name, done);
      resolve();
    };
    const wakers = [[signal, "abort"], [window, "online"], [document, "visibilitychange"]];
    const timer = setTimeout(done, ms);
    for (const [target, name] of wakers) target.addEventListener(name, done);
  });
}
