// Owns one lasting connection: a WebSocket that is opened again, with growing and random pauses, whenever it is lost.
// It knows nothing of what the messages mean; whoever needs delivery to be sure must notice answers and send again.

/** @typedef {"connecting" | "open" | "closed"} State */

/**
 * Tells how a connection ended, in the words of the browser's CloseEvent.
 *
 * @typedef {object} Closing
 * @property {number} code
 * @property {string} reason
 */

/**
 * Keeps a WebSocket to one URL open.
 *
 * Fires `state` whenever `state` changes, and `message` (a MessageEvent whose data is a string or an ArrayBuffer).
 * After `close` it fires nothing more, until `connect` starts anew.
 */
export class LastingSocket extends EventTarget {
  #url;
  /** @type {WebSocket | null} */
  #socket = null;
  #failures = 0;
  #openedAt = 0;
  #retryTimer = 0;
  #patienceTimer = 0;
  #retryNow = () => this.retryNow();

  /** @type {State} */
  state = "closed";

  /**
   * How the last connection ended; null while none has. An attempt that comes to nothing does not count, unless
   * there never was more than attempts: it would hide what the server said when it went.
   *
   * @type {Closing | null}
   */
  lastClose = null;

  /** When the next attempt is due, on the clock of `performance.now()`. */
  retryAt = 0;

  /** @param {string} url */
  constructor(url) {
    super();
    this.#url = url;
  }

  /** Opens the connection. What comes of it is told by `state` events. */
  connect() {
    window.addEventListener("online", this.#retryNow);
    this.#open();
  }

  /** Tries again at once if the socket is waiting to. */
  retryNow() {
    if (this.#retryTimer) this.#open();
  }

  /**
   * Sends a message if the connection is open; answers whether it did. The server is expected to send something
   * soon after, whatever it is: a line that stays silent counts as dead, which a browser cannot notice by itself.
   *
   * @param {string} text
   * @returns {boolean}
   */
  send(text) {
    if (this.state !== "open" || !this.#socket) return false;
    this.#socket.send(text);
    this.#expectSomething(ANSWER_PATIENCE_MS, "the server fell silent");
    return true;
  }

  /**
   * Closes the connection, which stays closed until `connect` is called.
   *
   * @param {string} reason at most 123 bytes, for the server's log
   */
  close(reason) {
    window.removeEventListener("online", this.#retryNow);
    this.#stopTimers();
    this.#letGo(1000, reason);
    this.state = "closed";
  }

  #open() {
    this.#stopTimers();
    const socket = new WebSocket(this.#url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = ({ code, reason }) => this.#lost({ code, reason });
    this.#socket = socket;
    this.#enter("connecting");
    this.#expectSomething(CONNECT_PATIENCE_MS, "no answer from the server");
  }

  #opened() {
    this.#stopTimers();
    this.#openedAt = performance.now();
    this.#enter("open");
  }

  /** @param {string | ArrayBuffer} data */
  #received(data) {
    this.#stopTimers();
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  /** @param {Closing} closing */
  #lost(closing) {
    this.#stopTimers();
    // A server that accepts and hangs up at once must not be asked again and again without a pause.
    const wasStable = this.state === "open" && performance.now() - this.#openedAt > STABLE_MS;
    this.#failures = wasStable ? 0 : this.#failures + 1;
    const pause = fullJitter(this.#failures);
    if (this.state === "open" || !this.lastClose) this.lastClose = closing;
    this.retryAt = performance.now() + pause;
    this.#retryTimer = setTimeout(() => this.#open(), pause);
    this.#enter("closed");
  }

  /**
   * @param {number} milliseconds
   * @param {string} complaint
   */
  #expectSomething(milliseconds, complaint) {
    this.#patienceTimer ||= setTimeout(() => {
      this.#letGo();
      this.#lost({ code: 1006, reason: complaint });
    }, milliseconds);
  }

  /**
   * Closes the socket without waiting for what it has left to say.
   *
   * @param {number} [code]
   * @param {string} [reason]
   */
  #letGo(code, reason) {
    if (!this.#socket) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close(code, reason);
    this.#socket = null;
  }

  #stopTimers() {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#patienceTimer);
    this.#retryTimer = this.#patienceTimer = 0;
  }

  /** @param {State} state */
  #enter(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

/**
 * Draws the pause before the next attempt: anything up to a bound that doubles with every failure, so that a thousand
 * pages which lost one server do not come back in one wave.
 *
 * @param {number} failures in a row
 * @returns {number} milliseconds
 */
function fullJitter(failures) {
  const doublings = Math.max(failures - 1, 0);
  return Math.random() * Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** doublings);
}

/**
 * Says in a few words what a close code stands for; empty for a code of the application's own.
 *
 * @param {number} code
 * @returns {string}
 */
export function closeMeaning(code) {
  return CLOSE_MEANINGS.get(code) ?? "";
}

const CLOSE_MEANINGS = new Map([
  [1000, "normal closure"],
  [1001, "going away"],
  [1002, "protocol error"],
  [1003, "unsupported data"],
  [1005, "no code given"],
  [1006, "connection lost"],
  [1007, "invalid data"],
  [1008, "policy violation"],
  [1009, "message too big"],
  [1010, "extension missing"],
  [1011, "server error"],
  [1012, "server restarting"],
  [1013, "try again later"],
  [1014, "bad gateway"],
  [1015, "TLS failed"],
]);

const RETRY_BASE_MS = 500;
const RETRY_CAP_MS = 20_000;
const STABLE_MS = 10_000;
const CONNECT_PATIENCE_MS = 10_000;
const ANSWER_PATIENCE_MS = 15_000;
