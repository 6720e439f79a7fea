// Which call the page's address names: `#call=ID`. Plain links, Back and Forward do the rest.

/** The address of a call's view; without a call, of the list. */
export function addressOf(callId) {
  return callId ? `#call=${encodeURIComponent(callId)}` : "#";
}

export function namedCall() {
  return new URLSearchParams(location.hash.slice(1)).get("call");
}

/** Call `show(callId | null, {moved})` now, and whenever the reader moves. */
export function onAddress(show) {
  window.addEventListener("hashchange", () => show(namedCall(), { moved: true }));
  show(namedCall(), { moved: false });
}

export function goTo(callId) {
  location.hash = addressOf(callId);
}
