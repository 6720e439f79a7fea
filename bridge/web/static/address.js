// Which call the page's address names, and moving between addresses without loading the page again.

/** The address of a call's view; without a call, of the list. */
export function callAddress(callId) {
  return callId ? `?call=${encodeURIComponent(callId)}` : "./";
}

export function openCall() {
  return new URLSearchParams(location.search).get("call");
}

/** Call `show(callId | null, {moved})` now and whenever the reader moves: a link marked `data-link`, Back, Forward. */
export function onAddress(show) {
  const moved = () => show(openCall(), { moved: true });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-link]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (link.href !== location.href) history.pushState(null, "", link.href);
    moved();
  });
  window.addEventListener("popstate", moved);
  show(openCall(), { moved: false });
}

export function goTo(callId) {
  history.pushState(null, "", callAddress(callId));
  window.dispatchEvent(new PopStateEvent("popstate"));
}
