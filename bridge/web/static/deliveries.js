// Which webhooks were told of a call, and how that went; read only when somebody looks.

import { byId, el } from "./dom.js";
import { moment } from "./format.js";

const LOOKED_AT = 200; // the most a page of deliveries has
const STATUS = { held: "waiting for the settled text", pending: "to be tried", delivered: "delivered", exhausted: "given up" };

export class Deliveries {
  #api;
  #callId = null;

  constructor(api) {
    this.#api = api;
    byId("deliveries").addEventListener("toggle", () => byId("deliveries").open && this.#load());
  }

  reset(callId) {
    this.#callId = callId;
    byId("deliveries").open = false;
    byId("deliveries-body").replaceChildren();
  }

  async #load() {
    const body = byId("deliveries-body");
    const callId = this.#callId;
    try {
      const { webhooks } = await this.#api.json("v1/webhooks");
      const found = await this.#find(callId, webhooks);
      if (callId !== this.#callId) return;
      const none = webhooks.length ? `None among each webhook’s latest ${LOOKED_AT}.` : "No webhook is set up.";
      body.replaceChildren(found.length ? el("ul", { role: "list" }, ...found.map((pair) => this.#row(pair))) : el("p", {}, none));
    } catch (error) {
      this.#showFault(error);
    }
  }

  #showFault(error) {
    const text = error.status === 403 ? "This key may not see webhooks." : error.message;
    byId("deliveries-body").replaceChildren(el("p", { class: "fault" }, text));
  }

  /** Pairs of endpoint and delivery, newest first. */
  async #find(callId, webhooks) {
    const lists = await Promise.all(webhooks.map(async (endpoint) => {
      const { deliveries } = await this.#api.json(`v1/webhooks/${encodeURIComponent(endpoint.id)}/deliveries?limit=${LOOKED_AT}&call_id=${encodeURIComponent(callId)}`);
      return deliveries.map((delivery) => [endpoint, delivery]);
    }));
    return lists.flat().sort(([, a], [, b]) => Date.parse(b.created_at) - Date.parse(a.created_at));
  }

  #row([endpoint, delivery]) {
    const last = delivery.attempts.at(-1);
    const tries = last ? `${moment(last.at, this.#api.now())}, ${last.status ?? last.error}` : "";
    const row = el("li", { "data-status": delivery.status },
      el("code", {}, delivery.type), el("span", {}, `${STATUS[delivery.status]}${tries && ` (${tries})`}`), el("span", {}, endpoint.url));
    if (delivery.status === "exhausted") {
      const again = el("button", { type: "button", class: "quiet" }, "Send again");
      again.addEventListener("click", () => this.#again(delivery));
      row.append(again);
    }
    return row;
  }

  async #again(delivery) {
    try {
      await this.#api.open(`v1/deliveries/${encodeURIComponent(delivery.id)}/redeliver`, { method: "POST" });
      await this.#load();
    } catch (error) {
      this.#showFault(error);
    }
  }
}
