// The text/event-stream format (WHATWG HTML, "Server-sent events"), apart from any connection.

/** Text in, whole events out; what is not yet whole is kept for the next push. */
export class EventStreamParser {
  #rest = "";
  #data = [];
  #id = "";

  /** Events `{id, data}` that `text` completed. Comments, unknown fields and events without data yield nothing. */
  push(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    const events = [];
    for (const line of lines) {
      if (line === "") this.#dispatch(events);
      else this.#field(line);
    }
    return events;
  }

  #field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "id" && !value.includes("\0")) this.#id = value;
  }

  #dispatch(events) {
    if (this.#data.length) events.push({ id: this.#id, data: this.#data.join("\n") });
    this.#data = [];
  }
}
