// Keep the newest line in view, until the reader scrolls up; then say how much they have not seen.

const AT_END_PX = 48;

export class Autoscroll {
  #pane;
  #button;
  #live = false;
  #following = false;
  #lastTop = 0;
  #unseen = 0;

  constructor(pane, button) {
    this.#pane = pane;
    this.#button = button;
    pane.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    button.addEventListener("click", () => this.jump());
    new ResizeObserver(() => this.#following && this.#toEnd()).observe(pane);
  }

  /** Another call is shown: a live one from its end, a finished one from its beginning. */
  reset(live) {
    this.#live = live;
    this.#following = live;
    this.#unseen = 0;
    this.#lastTop = 0;
    this.#pane.scrollTop = 0;
    this.#show();
  }

  /** The page has been drawn, with `added` new firm lines. */
  drawn(added) {
    if (this.#following) this.#toEnd();
    else this.#unseen += added;
    this.#show();
  }

  jump() {
    if (!this.#live) return;
    this.#following = true;
    this.#unseen = 0;
    this.#toEnd();
    this.#show();
  }

  /** The call is over: a reader at its end stays there, one further up is left in peace. */
  over() {
    this.#live = false;
    this.#show();
  }

  #toEnd() {
    this.#pane.scrollTop = this.#pane.scrollHeight;
    this.#lastTop = this.#pane.scrollTop;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#pane;
    const atEnd = scrollHeight - scrollTop - clientHeight < AT_END_PX;
    // Only going up lets go: lines that grow below the reader leave them short of the end, too.
    if (this.#following && scrollTop < this.#lastTop && !atEnd) this.#following = false;
    else if (!this.#following && atEnd) this.jump();
    this.#lastTop = scrollTop;
    this.#show();
  }

  #show() {
    const hidden = !this.#live || this.#following;
    if (this.#button.hidden !== hidden) this.#button.hidden = hidden;
    const label = this.#unseen ? `Jump to live · ${this.#unseen} new` : "Jump to live";
    if (this.#button.textContent !== label) this.#button.textContent = label;
  }
}
