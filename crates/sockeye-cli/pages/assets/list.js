// Owns a list of entries that never grows past its bound and follows its own end, as a log does.
// It does not know what an entry shows.

/** Keeps the newest entries of a scrolling list element and drops the oldest. */
export class BoundedList {
  #list;
  #limit;
  #following = true;
  #scrollDue = false;

  /** How many entries have been dropped since the list was last cleared. */
  dropped = 0;

  /**
   * @param {HTMLElement} list the element that holds the entries and scrolls
   * @param {number} limit entries kept, at least 1
   */
  constructor(list, limit) {
    this.#list = list;
    this.#limit = limit;
    list.addEventListener("scroll", () => (this.#following = this.#isAtEnd()), { passive: true });
    new ResizeObserver(() => this.#follow()).observe(list);
  }

  /** How many entries are kept now. */
  get size() {
    return this.#list.childElementCount;
  }

  /** The newest entry, or null. */
  get last() {
    return this.#list.lastElementChild;
  }

  /**
   * Adds an entry at the end. Someone who has scrolled up to read stays where they are.
   *
   * @param {HTMLElement} entry
   */
  append(entry) {
    this.#list.append(entry);
    while (this.size > this.#limit) {
      this.#list.firstElementChild?.remove();
      this.dropped += 1;
    }
    this.#follow();
  }

  /** Removes every entry and forgets the count of dropped ones. */
  clear() {
    this.#list.replaceChildren();
    this.dropped = 0;
    this.#following = true;
  }

  /** Shows the end of the list, and follows it from now on. */
  showEnd() {
    this.#following = true;
    this.#follow();
  }

  // Measuring forces a layout; once per frame keeps a flood of entries cheap.
  #follow() {
    if (!this.#following || this.#scrollDue) return;
    this.#scrollDue = true;
    requestAnimationFrame(() => {
      this.#scrollDue = false;
      this.#list.scrollTop = this.#list.scrollHeight;
    });
  }

  #isAtEnd() {
    return this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < NEARLY_AT_END_PX;
  }
}

const NEARLY_AT_END_PX = 24;
