// Owns a list of entries that never grows past its bound and follows its own end, as a log does.
// It does not know what an entry shows.

/** Keeps the newest entries of a list that scrolls and drops the oldest. */
export class BoundedList {
  #list;
  #scroller;
  #limit;
  #following = true;
  #scrollDue = false;
  #shownEnd = 0;

  /** How many entries have been dropped since the list was last cleared. */
  dropped = 0;

  /**
   * @param {HTMLElement} list the element that holds the entries
   * @param {HTMLElement} scroller the element around it that scrolls
   * @param {number} limit entries kept, at least 1
   */
  constructor(list, scroller, limit) {
    this.#list = list;
    this.#scroller = scroller;
    this.#limit = limit;
    this.#setFollowing(true);
    scroller.addEventListener("scroll", () => this.#noticeScroll(), { passive: true });
    new ResizeObserver(() => this.#follow()).observe(scroller);
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
    this.#setFollowing(true);
  }

  /** Shows the end of the list, and follows it from now on. */
  showEnd() {
    this.#setFollowing(true);
    this.#follow();
  }

  // Measuring forces a layout; once per frame keeps a flood of entries cheap.
  #follow() {
    if (!this.#following || this.#scrollDue) return;
    this.#scrollDue = true;
    requestAnimationFrame(() => {
      this.#scrollDue = false;
      this.#scroller.scrollTop = this.#scroller.scrollHeight;
      this.#shownEnd = this.#scroller.scrollTop;
    });
  }

  // The event tells of our own scrolling too, and late: new entries may lie below by then. Only a way up is a person's.
  #noticeScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < NEARLY_PX;
    const hasGoneUp = scrollTop < this.#shownEnd - NEARLY_PX;
    this.#setFollowing(isAtEnd || (this.#following && !hasGoneUp));
  }

  // The style sheet turns scroll anchoring off meanwhile, or dropping old entries would look like a way up.
  /** @param {boolean} following */
  #setFollowing(following) {
    this.#following = following;
    this.#scroller.toggleAttribute("data-following", following);
  }
}

const NEARLY_PX = 24;
