// Single keys for people who live on the keyboard; they can be turned off (WCAG 2.1.4).

import { byId } from "./dom.js";

const KEPT_AS = "callbridge.shortcuts";

/** `actions` by key, e.g. `{ j: nextCall }`; none fires while the reader types, or with a modifier. */
export function listenForKeys(actions) {
  const card = byId("shortcuts");
  const box = byId("shortcuts-on");
  box.checked = localStorage.getItem(KEPT_AS) !== "off";
  box.addEventListener("change", () => localStorage.setItem(KEPT_AS, box.checked ? "on" : "off"));
  byId("open-shortcuts").addEventListener("click", () => card.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || card.open) return;
    const typing = event.target.closest("input, select, textarea");
    if (typing || (!box.checked && event.key !== "Escape")) return;
    const action = { ...actions, "?": () => card.showModal() }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
