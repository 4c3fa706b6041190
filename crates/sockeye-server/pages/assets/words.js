// Owns what chat pages say to each other: small JSON texts, made here and read here, with their limits.
// What was said by others is judged here and nowhere else: past this file every field has its type and its bound.

/** @typedef {{ id: string, name: string }} Person */

/** @typedef {Person & { type: "here" }} Here says that a page is in the room, on joining, renaming and now and then */
/** @typedef {{ type: "bye", id: string }} Bye says that a page has left */

/**
 * Says something to everyone.
 *
 * @typedef {Person & { type: "message", text: string, at: number }} Message
 */

/** @typedef {{ type: "foreign", name: string, text: string, at: number }} Foreign anything no chat page would say */

/** @param {Person} person */
export function here({ id, name }) {
  return JSON.stringify({ type: "here", id, name });
}

/** @param {Person} person */
export function bye({ id }) {
  return JSON.stringify({ type: "bye", id });
}

/** @param {Message} message */
export function message({ id, name, text, at }) {
  return JSON.stringify({ type: "message", id, name, text, at });
}

/**
 * Reads whatever arrived on the topic. Nothing is refused: what is not ours is a plain message from someone.
 *
 * @param {string | ArrayBuffer} data
 * @returns {Here | Bye | Message | Foreign}
 */
export function read(data) {
  if (typeof data !== "string") return foreign(`[${data.byteLength} bytes]`);
  return readOurs(parse(data)) ?? foreign(cut(data, TEXT_LIMIT));
}

/**
 * @param {Record<string, unknown>} said
 * @returns {Here | Bye | Message | null}
 */
function readOurs({ type, id, name, text, at }) {
  if (typeof id !== "string" || id === "" || id.length > ID_LIMIT) return null;
  if (type === "bye") return { type, id };
  if (typeof name !== "string") return null;
  const person = { id, name: cleanName(name) || SOMEONE };
  if (type === "here") return { type, ...person };
  if (type !== "message" || typeof text !== "string") return null;
  return { type, ...person, text: cut(text, TEXT_LIMIT), at: isTime(at) ? at : Date.now() };
}

/**
 * @param {string} text
 * @returns {Foreign}
 */
function foreign(text) {
  return { type: "foreign", name: SOMEONE, text, at: Date.now() };
}

/**
 * @param {string} text
 * @returns {Record<string, unknown>}
 */
function parse(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

/**
 * @param {unknown} at
 * @returns {at is number}
 */
function isTime(at) {
  return typeof at === "number" && !Number.isNaN(new Date(at).getTime());
}

/**
 * Brings a name into shape: one line, no white space around it, no longer than names may be.
 *
 * @param {string} name
 * @returns {string}
 */
export function cleanName(name) {
  return cut(name.replace(/[\s\p{Cc}]+/gu, " ").trim(), NAME_LIMIT);
}

/**
 * Cuts a text to so many characters, never through the middle of one.
 *
 * @param {string} text
 * @param {number} limit
 */
function cut(text, limit) {
  if (text.length <= limit) return text;
  const characters = Array.from(text.slice(0, limit * 2 + 2));
  return characters.length <= limit ? text : `${characters.slice(0, limit - 1).join("")}…`;
}

const SOMEONE = "someone";
const ID_LIMIT = 64;
const NAME_LIMIT = 40;
const TEXT_LIMIT = 2_000;
