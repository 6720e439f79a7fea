// The key: asked for once, kept in this tab, forgotten with it. A server without authentication needs none.

import { byId, setText } from "./dom.js";

const KEPT_AS = "callbridge.key";

export class Gate {
  #api;

  constructor(api) {
    this.#api = api;
    byId("sign-out").addEventListener("click", () => this.signOut());
  }

  /** Resolves when the server lets us read calls: at once, with the kept key, or with one that is typed in. */
  async pass(fault = "") {
    this.#api.key = fault ? "" : sessionStorage.getItem(KEPT_AS) ?? "";
    let refusal = fault || (await this.#refusal());
    while (refusal !== null) {
      this.#api.key = await this.#typed(refusal);
      refusal = await this.#refusal();
    }
    if (this.#api.key) sessionStorage.setItem(KEPT_AS, this.#api.key);
    byId("sign-out").hidden = !this.#api.key;
  }

  /** A new page: what was shown under the key must not stay in memory. */
  signOut() {
    sessionStorage.removeItem(KEPT_AS);
    location.assign("./");
  }

  /** Why the server does not let us read calls, in words for the reader ("" on the first visit); null when it does. */
  async #refusal() {
    try {
      await this.#api.json("v1/calls?limit=1");
      return null;
    } catch (error) {
      if (error.status === 401) return this.#api.key ? "This key is not known here. It may be mistyped or revoked." : "";
      if (error.status === 403) return "This key may not read calls.";
      return error.message;
    }
  }

  #typed(fault) {
    sessionStorage.removeItem(KEPT_AS);
    document.body.dataset.view = "gate";
    const field = byId("key");
    setText(byId("gate-fault"), fault);
    field.setAttribute("aria-invalid", String(Boolean(fault)));
    field.focus();
    field.select();
    return new Promise((resolve) => {
      byId("gate-form").addEventListener("submit", (event) => {
        event.preventDefault();
        setText(byId("gate-fault"), "");
        resolve(field.value.trim());
      }, { once: true });
    });
  }
}
