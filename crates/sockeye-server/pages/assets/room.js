// Owns one chat room as this page sees it: who is here, what was said, and what of our own is still on its way.
// The server only hands every message to everyone on the topic, so presence is kept among the pages themselves.
// Nothing here touches the document.

import { LastingSocket } from "./socket.js";
import { bye, here, message, read } from "./words.js";

/** @typedef {import("./words.js").Person} Person */
/** @typedef {import("./words.js").Message} Message */
/** @typedef {import("./words.js").Foreign} Foreign */

/**
 * A chat room on one topic.
 *
 * Fires `state` (the connection's state changed), `members` (who is here changed), `said` (a CustomEvent with a
 * Message or Foreign to show) and `delivered` (a CustomEvent with the Message of ours that came back).
 */
export class Room extends EventTarget {
  #me;
  #socket;
  /** @type {Map<string, { name: string, seenAt: number }>} */
  #others = new Map();
  /** @type {Map<string, Message>} */
  #undelivered = new Map();
  #heardKeys = new Set();
  #announcedAt = 0;
  #lastAt = 0;
  #answerTimer = 0;
  #tickTimer = 0;

  /**
   * @param {string} url the topic's WebSocket URL
   * @param {Person} me
   */
  constructor(url, me) {
    super();
    this.#me = { ...me };
    this.#socket = new LastingSocket(url);
    this.#socket.addEventListener("state", () => this.#changedState());
    this.#socket.addEventListener("message", (event) => this.#received(/** @type {MessageEvent} */ (event).data));
  }

  /** The connection below, to be looked at and hurried, not to be sent on. */
  get connection() {
    return this.#socket;
  }

  /**
   * Lists who is here: this page first, the others by name.
   *
   * @returns {Person[]}
   */
  members() {
    const others = Array.from(this.#others, ([id, { name }]) => ({ id, name }));
    return [this.#me, ...others.sort((a, b) => a.name.localeCompare(b.name))];
  }

  /** Goes in, and stays in whatever the connection does, until `leave`. */
  enter() {
    this.#tickTimer = setInterval(() => this.#tick(), TICK_MS);
    this.#socket.connect();
  }

  /** Says goodbye and goes out. */
  leave() {
    clearInterval(this.#tickTimer);
    this.#cancelAnswer();
    this.#socket.send(bye(this.#me));
    this.#socket.close("left the room");
  }

  /** @param {string} name */
  rename(name) {
    this.#me.name = name;
    this.#announce();
    this.#fire("members");
  }

  /**
   * Says something. It counts as delivered when the server has sent it back; until then it is kept and said again
   * after a reconnect, with the same time, by which everyone knows it for the same message.
   *
   * @param {string} text
   * @returns {Message | null} null when too much is waiting already
   */
  say(text) {
    if (this.#undelivered.size >= UNDELIVERED_LIMIT) return null;
    this.#lastAt = Math.max(Date.now(), this.#lastAt + 1);
    /** @type {Message} */
    const said = { type: "message", ...this.#me, text, at: this.#lastAt };
    this.#undelivered.set(keyOf(said), said);
    this.#socket.send(message(said));
    return said;
  }

  #changedState() {
    if (this.#socket.state === "open") this.#join();
    this.#fire("state");
  }

  // Only a stranger's arrival is answered. To those who still remember us from before the connection was lost, the
  // goodbye makes us a stranger again.
  #join() {
    this.#socket.send(bye(this.#me));
    this.#announce();
    for (const said of this.#undelivered.values()) this.#socket.send(message(said));
  }

  #announce() {
    this.#cancelAnswer();
    if (this.#socket.send(here(this.#me))) this.#announcedAt = performance.now();
  }

  // The pause is random, and one answer does for all who came in meanwhile: a full room must not shout at once.
  #answerSoon() {
    this.#answerTimer ||= setTimeout(() => this.#announce(), Math.random() * ANSWER_WITHIN_MS);
  }

  #cancelAnswer() {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = 0;
  }

  /** @param {string | ArrayBuffer} data */
  #received(data) {
    const words = read(data);
    if (words.type === "here") this.#saw(words);
    else if (words.type === "bye") this.#forget(words.id);
    else if (words.type === "message") this.#heard(words);
    else this.#fire("said", words);
    // Browsers slow the timers of hidden pages to one a minute, but not their messages.
    this.#tick();
  }

  /** @param {Person} person */
  #saw({ id, name }) {
    if (id === this.#me.id) return;
    const known = this.#others.get(id);
    if (!known && this.#others.size >= MEMBERS_LIMIT) return;
    this.#others.set(id, { name, seenAt: performance.now() });
    if (!known) this.#answerSoon();
    if (known?.name !== name) this.#fire("members");
  }

  /** @param {string} id */
  #forget(id) {
    if (this.#others.delete(id)) this.#fire("members");
  }

  /** @param {Message} said */
  #heard(said) {
    const key = keyOf(said);
    if (this.#undelivered.delete(key)) this.#fire("delivered", said);
    else if (!this.#heardKeys.has(key)) this.#fire("said", said);
    this.#rememberHearing(key);
  }

  /** @param {string} key */
  #rememberHearing(key) {
    this.#heardKeys.add(key);
    if (this.#heardKeys.size > HEARD_LIMIT) this.#heardKeys.delete(this.#heardKeys.values().next().value);
  }

  #tick() {
    const now = performance.now();
    if (now - this.#announcedAt >= ANNOUNCE_EVERY_MS) this.#announce();
    for (const [id, { seenAt }] of this.#others) {
      if (now - seenAt >= UNSEEN_LIMIT_MS) this.#forget(id);
    }
  }

  /**
   * @param {string} type
   * @param {unknown} [detail]
   */
  #fire(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * Tells messages apart, and the same message said twice as one.
 *
 * @param {Message} message
 * @returns {string}
 */
export function keyOf({ id, at, text }) {
  return `${id} ${at} ${text}`;
}

const ANNOUNCE_EVERY_MS = 20_000;
const UNSEEN_LIMIT_MS = 50_000;
const ANSWER_WITHIN_MS = 300;
const TICK_MS = 1_000;
const MEMBERS_LIMIT = 500;
const UNDELIVERED_LIMIT = 50;
const HEARD_LIMIT = 500;
