// Requests to this server with the reader's key. Every failure is an ApiError that says what to tell them.

export class ApiError extends Error {
  constructor(status, code, message, retryAfterS = 0) {
    super(message);
    Object.assign(this, { status, code, retryAfterS });
  }

  /** Whether the same request may succeed a little later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export class Api {
  #skewMs = 0;

  constructor() {
    this.key = "";
  }

  /** Now by the server's clock, in ms: a phone's own may be minutes off. */
  now() {
    return Date.now() + this.#skewMs;
  }

  /** A response whose status is good; `path` is relative to the page, so that a proxy may mount us anywhere. */
  async open(path, { headers = {}, ...init } = {}) {
    const credential = this.key ? { Authorization: `Bearer ${this.key}` } : {};
    let response;
    try {
      response = await fetch(path, { cache: "no-store", ...init, headers: { ...credential, ...headers } });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "unreachable", "The server does not answer.");
    }
    this.#keepTime(response);
    if (response.ok) return response;
    throw await refusal(response);
  }

  async json(path, init) {
    return (await this.open(path, init)).json();
  }

  #keepTime(response) {
    const theirs = Date.parse(response.headers.get("Date"));
    // The header has whole seconds: a smaller difference is no difference.
    if (Math.abs(theirs - Date.now()) > 2000) this.#skewMs = theirs - Date.now();
    else if (!Number.isNaN(theirs)) this.#skewMs = 0;
  }
}

async function refusal(response) {
  const wait = Number(response.headers.get("Retry-After")) || 0;
  try {
    const { error } = await response.json();
    return new ApiError(response.status, error.code, error.message, wait);
  } catch {
    return new ApiError(response.status, "unknown", `The server answered ${response.status}.`, wait);
  }
}
