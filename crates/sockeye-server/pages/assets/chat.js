// Owns the chat page: it shows a Room and passes on what the person types.
//
// For tests, these ids and attributes stay as they are:
//   #join         form: #name, #room; #copy-link
//   #status       text; data-state = connecting | open | closed; data-code = the last close code; #retry-now beside it
//   #messages     li: data-kind = message | foreign, data-from, data-text, data-state = pending | delivered
//   #who          li: data-id, data-name; #who-count
//   #compose      form: #message, #send; #hint says what a key does or what went wrong
//   #invite       the command that reaches this room from a terminal

import { addMessageKeys, byId, copy, element, onSubmit, recall, remember, setText, webSocketUrl } from "./dom.js";
import { BoundedList } from "./list.js";
import { Room, keyOf } from "./room.js";
import { closeMeaning } from "./socket.js";
import { cleanName } from "./words.js";

/** @typedef {import("./room.js").Message} Message */
/** @typedef {import("./room.js").Foreign} Foreign */

const nameField = byId("name", HTMLInputElement);
const roomField = byId("room", HTMLInputElement);
const status = byId("status", HTMLElement);
const statusText = byId("status-text", HTMLElement);
const countdown = byId("countdown", HTMLElement);
const retryNow = byId("retry-now", HTMLButtonElement);
const who = byId("who", HTMLElement);
const compose = byId("compose", HTMLFormElement);
const messageField = byId("message", HTMLTextAreaElement);
const hint = byId("hint", HTMLElement);

const MESSAGES_LIMIT = 500;
const COUNTDOWN_STEP_MS = 250;
const GROUP_WITHIN_MS = 5 * 60_000;
const NOTICE_MS = 4_000;
const TINTS = 8;
const NAME_KEY = "sockeye.name";
const DEFAULT_ROOM = "lobby";

const messages = new BoundedList(byId("messages", HTMLElement), byId("talk", HTMLElement), MESSAGES_LIMIT);
const usualHint = hint.textContent ?? "";
const me = { id: randomId(), name: cleanName(recall(NAME_KEY) ?? "") || guestName() };
let unread = 0;
let noticeTimer = 0;
/** @type {Map<string, HTMLElement>} */
let pendingEntries = new Map();
let roomName = roomInAddress();
let room = openRoom();

// ---- The room ------------------------------------------------------------------------------------------------------

function openRoom() {
  const topic = webSocketUrl(`/t/${encodeURIComponent(roomName)}`);
  const opened = new Room(topic, me);
  opened.addEventListener("state", showState);
  opened.addEventListener("members", showMembers);
  opened.addEventListener("said", (event) => showSaid(/** @type {CustomEvent} */ (event).detail));
  opened.addEventListener("delivered", (event) => showDelivered(/** @type {CustomEvent} */ (event).detail));
  roomField.value = roomName;
  setText(byId("room-title", HTMLElement), roomName);
  setText(byId("invite", HTMLElement), `sockeye connect ${topic}`);
  return opened;
}

function changeRoom() {
  const wanted = roomInAddress();
  if (wanted === roomName) return;
  room.leave();
  messages.clear();
  pendingEntries = new Map();
  roomName = wanted;
  room = openRoom();
  enter();
}

function enter() {
  room.enter();
  showMembers();
  showTitle();
}

/** Reads the room's name from the address, which is where it lives; `.` and `..` cannot be part of a URL's path. */
function roomInAddress() {
  const name = cleanName(decode(location.hash.slice(1)));
  return ["", ".", ".."].includes(name) ? DEFAULT_ROOM : name;
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// ---- Who I am and where --------------------------------------------------------------------------------------------

function applyName() {
  const name = cleanName(nameField.value) || me.name;
  nameField.value = name;
  if (name === me.name) return;
  me.name = name;
  remember(NAME_KEY, name);
  room.rename(name);
}

function applyRoom() {
  location.hash = encodeURIComponent(roomField.value.toWellFormed());
  roomField.value = roomInAddress();
}

/** Draws an id for this page. Not kept anywhere, since a duplicated tab would then share it. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function guestName() {
  const colours = ["Amber", "Blue", "Coral", "Golden", "Green", "Grey", "Ruby", "Silver"];
  const animals = ["Bear", "Crane", "Dipper", "Eagle", "Heron", "Mink", "Otter", "Osprey", "Trout"];
  return `${anyOf(colours)} ${anyOf(animals)}`;
}

/** @param {string[]} choices */
function anyOf(choices) {
  return choices[Math.floor(Math.random() * choices.length)];
}

// ---- The state of the connection -----------------------------------------------------------------------------------

function showState() {
  const { state, lastClose } = room.connection;
  status.dataset.state = state;
  if (lastClose) status.dataset.code = String(lastClose.code);
  else delete status.dataset.code;
  setText(statusText, stateText());
  showCountdown();
  if (state !== "closed" && document.activeElement === retryNow) messageField.focus();
  retryNow.hidden = state !== "closed";
}

function stateText() {
  const { state, lastClose } = room.connection;
  if (state === "open") return "Connected";
  if (!lastClose) return "Connecting…";
  if (state === "connecting") return "Connecting again…";
  const why = lastClose.reason || closeMeaning(lastClose.code) || "no reason given";
  return `Connection closed (${lastClose.code}): ${why}`;
}

// The count changes every second, so it is hidden from screen readers, which would read out each one.
function showCountdown() {
  const { state, retryAt } = room.connection;
  const seconds = Math.max(Math.ceil((retryAt - performance.now()) / 1000), 0);
  setText(countdown, state === "closed" ? `, trying again in ${seconds} s` : "");
}

function showMembers() {
  const members = room.members();
  setText(byId("who-count", HTMLElement), String(members.length));
  who.replaceChildren(...members.map(({ id, name }) => memberEntry(id, name)));
}

/**
 * @param {string} id
 * @param {string} name
 */
function memberEntry(id, name) {
  const entry = element("li", { "data-id": id, "data-name": name, ...lookOf(id, name) }, element("bdi", {}, name));
  if (id === me.id) entry.append(element("span", { class: "you" }, "you"));
  return entry;
}

/**
 * Gives someone a colour and a letter to be told apart by.
 *
 * @param {string} id
 * @param {string} name
 */
function lookOf(id, name) {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  return { "data-tint": sum % TINTS, "data-initial": Array.from(name)[0].toUpperCase() };
}

// ---- Messages ------------------------------------------------------------------------------------------------------

/** @param {Message | Foreign} said */
function showSaid(said) {
  messages.append(messageEntry(said, "delivered"));
  if (!document.hidden) return;
  unread += 1;
  showTitle();
}

/** @param {Message} said */
function showDelivered(said) {
  const entry = pendingEntries.get(keyOf(said));
  if (entry) entry.dataset.state = "delivered";
  pendingEntries.delete(keyOf(said));
}

/**
 * @param {Message | Foreign} said
 * @param {"pending" | "delivered"} state
 */
function messageEntry(said, state) {
  const { name, text, at } = said;
  const id = said.type === "message" ? said.id : "";
  const attributes = { "data-kind": said.type, "data-id": id, "data-at": at, "data-from": name, "data-text": text };
  const entry = element("li", { ...attributes, "data-state": state, ...lookOf(id, name) });
  entry.append(byline(name, at), element("p", { class: "text", dir: "auto" }, text));
  entry.classList.toggle("mine", id === me.id);
  entry.classList.toggle("follows", continues(messages.last, entry));
  return entry;
}

/**
 * @param {string} name
 * @param {number} at
 */
function byline(name, at) {
  const when = new Date(at);
  const clock = when.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
  const time = element("time", { datetime: when.toISOString(), title: when.toLocaleString() }, clock);
  return element("p", { class: "by" }, element("bdi", {}, name), " ", time);
}

/**
 * Tells whether a message goes on where the one before it stopped, so that its byline need not be shown.
 *
 * @param {Element | null} before
 * @param {HTMLElement} entry
 */
function continues(before, entry) {
  if (!(before instanceof HTMLElement)) return false;
  const samePerson = before.dataset.id === entry.dataset.id && before.dataset.from === entry.dataset.from;
  return samePerson && Math.abs(Number(entry.dataset.at) - Number(before.dataset.at)) < GROUP_WITHIN_MS;
}

function sendMessage() {
  const text = messageField.value.trim();
  if (text === "") return;
  const said = room.say(text);
  if (!said) return showNotice("Too much is waiting for the connection; this message stays here until it is back.");
  const entry = messageEntry(said, "pending");
  pendingEntries.set(keyOf(said), entry);
  messages.append(entry);
  messages.showEnd();
  messageField.value = "";
}

// ---- Around it -----------------------------------------------------------------------------------------------------

function showTitle() {
  document.title = `${unread ? `(${unread}) ` : ""}${roomName} · Sockeye chat`;
}

function readAll() {
  if (document.hidden) return;
  unread = 0;
  showTitle();
}

/** @param {string} text */
function showNotice(text) {
  setText(hint, text);
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => setText(hint, usualHint), NOTICE_MS);
}

async function copyLink() {
  const link = `${location.origin}${location.pathname}#${encodeURIComponent(roomName)}`;
  showNotice((await copy(link)) ? "Link copied." : `Could not copy; the link is ${link}`);
}

function listen() {
  nameField.addEventListener("change", applyName);
  roomField.addEventListener("change", applyRoom);
  onSubmit(byId("join", HTMLFormElement), () => (applyName(), applyRoom(), messageField.focus()));
  onSubmit(compose, sendMessage);
  addMessageKeys(messageField);
  retryNow.addEventListener("click", () => room.connection.retryNow());
  byId("copy-link", HTMLButtonElement).addEventListener("click", copyLink);
  window.addEventListener("hashchange", changeRoom);
  window.addEventListener("pagehide", () => room.leave());
  window.addEventListener("pageshow", ({ persisted }) => persisted && room.enter());
  document.addEventListener("visibilitychange", readAll);
  setInterval(showCountdown, COUNTDOWN_STEP_MS);
}

nameField.value = me.name;
listen();
enter();
