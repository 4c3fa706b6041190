// Owns what was sent before, to be fetched back with the arrow keys as a shell does.

/** Remembers a bounded number of lines and walks through them. */
export class History {
  /** @type {string[]} */
  #lines = [];
  #position = 0;
  #draft = "";

  /** @param {number} limit lines remembered */
  constructor(limit) {
    this.limit = limit;
  }

  /**
   * Remembers a line, unless it only repeats the last one, and goes back to the end.
   *
   * @param {string} line
   */
  add(line) {
    if (this.#lines.at(-1) !== line) this.#lines.push(line);
    if (this.#lines.length > this.limit) this.#lines.shift();
    this.#position = this.#lines.length;
  }

  /**
   * Goes one line back; what is being written is kept and comes again after the newest line.
   *
   * @param {string} written
   * @returns {string | null} null at the oldest line
   */
  older(written) {
    if (this.#position === 0) return null;
    if (this.#position === this.#lines.length) this.#draft = written;
    this.#position -= 1;
    return this.#lines[this.#position];
  }

  /**
   * Goes one line forward.
   *
   * @returns {string | null} null when already at the end
   */
  newer() {
    if (this.#position === this.#lines.length) return null;
    this.#position += 1;
    return this.#lines[this.#position] ?? this.#draft;
  }
}
