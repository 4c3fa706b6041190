// Owns the console on the front page: one plain WebSocket under the person's control, and a log of all that befalls it.
//
// For tests, these ids and attributes stay as they are:
//   #connect-form     form: #url, #protocols, #connect
//   #close-form       form: #close-code, #close-reason, #disconnect
//   #ready-state      text "OPEN (1)"; data-state = 0 | 1 | 2 | 3, absent before the first connection
//   #buffered         bufferedAmount, in bytes
//   #send-form        form: #kind-text, #kind-hex, #kind-file (radio buttons); #payload, #file; #send
//   #log              li: data-kind = connecting | open | sent | received | closing | error | close | note
//                     sent and received: data-type = text | binary, data-size in bytes
//                     open: data-protocol, data-extensions; close: data-code, data-reason, data-clean = true | false
//   #clear, #dropped  the log's button, and how many old entries were dropped
//   [data-address]    buttons that fill #url and connect

import { countBytes, hexDump, parseHex, textSize } from "./bytes.js";
import { addMessageKeys, byId, element, onSubmit, setText, webSocketUrl } from "./dom.js";
import { History } from "./history.js";
import { BoundedList } from "./list.js";
import { closeMeaning } from "./socket.js";

const STATES = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];
const LOG_LIMIT = 1_000;
const HISTORY_LIMIT = 100;
const DUMPED_BYTES = 512;
const SHOWN_CHARACTERS = 4_000;
const GAUGES_MS = 100;

const url = byId("url", HTMLInputElement);
const protocols = byId("protocols", HTMLInputElement);
const connectButton = byId("connect", HTMLButtonElement);
const disconnectButton = byId("disconnect", HTMLButtonElement);
const closeCode = byId("close-code", HTMLInputElement);
const closeReason = byId("close-reason", HTMLInputElement);
const readyState = byId("ready-state", HTMLElement);
const buffered = byId("buffered", HTMLElement);
const sendForm = byId("send-form", HTMLFormElement);
const payload = byId("payload", HTMLTextAreaElement);
const file = byId("file", HTMLInputElement);
const dropped = byId("dropped", HTMLElement);

const log = new BoundedList(byId("log", HTMLElement), byId("journal", HTMLElement), LOG_LIMIT);
const sentBefore = { text: new History(HISTORY_LIMIT), hex: new History(HISTORY_LIMIT) };
/** @type {WebSocket | null} */
let socket = null;

// ---- Connecting and closing ----------------------------------------------------------------------------------------

function connect() {
  if (isBusy()) return note("note", "Disconnect first: this console holds one connection at a time.");
  orNote(() => {
    const address = webSocketUrl(url.value.trim());
    const offered = protocols.value.split(/[\s,]+/).filter(Boolean);
    socket = watch(new WebSocket(address, offered));
    note("connecting", address + (offered.length ? `, offering ${offered.join(", ")}` : ""));
  });
  showGauges();
}

function disconnect() {
  const code = closeCode.value === "" ? undefined : Number(closeCode.value);
  const reason = closeReason.value || undefined;
  orNote(() => {
    socket?.close(code, reason);
    note("closing", code ? `${code} ${reason ?? ""}` : "without a code");
  });
  showGauges();
}

function isBusy() {
  return socket !== null && socket.readyState !== WebSocket.CLOSED;
}

/**
 * Logs everything that happens to a socket.
 *
 * @param {WebSocket} watched
 * @returns {WebSocket} the same socket
 */
function watch(watched) {
  watched.binaryType = "arraybuffer";
  watched.onopen = () => opened(watched);
  watched.onmessage = ({ data }) => logMessage("received", data);
  watched.onerror = () => note("error", "The connection failed. Browsers do not tell a page why.");
  watched.onclose = closed;
  return watched;
}

/** @param {WebSocket} connection */
function opened({ protocol, extensions }) {
  const text = `protocol: ${protocol || "none"}, extensions: ${extensions || "none"}`;
  append("open", { "data-protocol": protocol, "data-extensions": extensions }, text);
  showGauges();
  if (document.activeElement === connectButton) payload.focus();
}

/** @param {CloseEvent} event */
function closed({ code, reason, wasClean }) {
  const meaning = closeMeaning(code);
  const why = `${code}${meaning && ` (${meaning})`}, reason: ${reason ? `“${reason}”` : "none"}`;
  const attributes = { "data-code": code, "data-reason": reason, "data-clean": String(wasClean) };
  append("close", attributes, `${why}, wasClean: ${wasClean}`);
  showGauges();
}

function showGauges() {
  const state = socket?.readyState;
  setText(readyState, state === undefined ? "none yet" : `${STATES[state]} (${state})`);
  if (state !== undefined) readyState.dataset.state = String(state);
  setText(buffered, String(socket?.bufferedAmount ?? 0));
  connectButton.disabled = isBusy();
  disconnectButton.disabled = !isBusy() || state === WebSocket.CLOSING;
}

// ---- Sending -------------------------------------------------------------------------------------------------------

function send() {
  if (socket?.readyState !== WebSocket.OPEN) return note("note", "Not connected, so nothing was sent.");
  orNote(() => {
    const kind = chosenKind();
    if (kind === "file") return sendFile();
    sendData(kind === "hex" ? parseHex(payload.value) : payload.value);
    sentBefore[kind].add(payload.value);
    payload.value = "";
  });
}

function sendFile() {
  const [chosen] = file.files ?? [];
  if (!chosen) return note("note", "Choose a file first.");
  sendData(chosen);
}

/** @param {string | Uint8Array<ArrayBuffer> | File} data */
function sendData(data) {
  socket?.send(data);
  logMessage("sent", data);
  showGauges();
}

/** @returns {"text" | "hex" | "file"} */
function chosenKind() {
  return /** @type {"text" | "hex" | "file"} */ (new FormData(sendForm).get("kind"));
}

function showKind() {
  const kind = chosenKind();
  byId("payload-row", HTMLElement).hidden = kind === "file";
  byId("file-row", HTMLElement).hidden = kind !== "file";
  setText(byId("payload-label", HTMLElement), kind === "hex" ? "Bytes in hex, such as 48 65 6c 6c 6f" : "Text");
}

/**
 * Fetches back what was sent before when an arrow key would leave the text; inside it, the key moves as ever.
 *
 * @param {KeyboardEvent} event
 */
function walkHistory(event) {
  const kind = chosenKind();
  if (kind === "file" || event.shiftKey || event.isComposing) return;
  const { value, selectionStart, selectionEnd } = payload;
  let line = null;
  if (event.key === "ArrowUp" && !value.slice(0, selectionStart).includes("\n")) line = sentBefore[kind].older(value);
  if (event.key === "ArrowDown" && !value.slice(selectionEnd).includes("\n")) line = sentBefore[kind].newer();
  if (line === null) return;
  event.preventDefault();
  payload.value = line;
}

// ---- The log -------------------------------------------------------------------------------------------------------

/**
 * @param {"sent" | "received"} direction
 * @param {string | ArrayBuffer | Uint8Array | File} data
 */
function logMessage(direction, data) {
  const type = typeof data === "string" ? "text" : "binary";
  const size = sizeOf(data);
  const content = element("pre", { tabindex: 0, "aria-label": `${type} message` });
  append(direction, { "data-type": type, "data-size": size }, `${type}, ${countBytes(size)}`, content);
  if (typeof data === "string") showTextIn(content, data);
  else showBytesIn(content, data, size);
}

/** @param {string | ArrayBuffer | Uint8Array | File} data */
function sizeOf(data) {
  if (typeof data === "string") return textSize(data);
  return data instanceof Blob ? data.size : data.byteLength;
}

/**
 * @param {HTMLElement} content
 * @param {string} text
 */
function showTextIn(content, text) {
  content.append(text.slice(0, SHOWN_CHARACTERS));
  const rest = text.length - SHOWN_CHARACTERS;
  if (rest > 0) content.after(cutNotice(`${rest.toLocaleString("en")} more characters are not shown`));
}

/**
 * @param {HTMLElement} content
 * @param {ArrayBuffer | Uint8Array | File} data
 * @param {number} size
 */
async function showBytesIn(content, data, size) {
  if (size > DUMPED_BYTES) content.after(cutNotice(`${countBytes(size - DUMPED_BYTES)} more are not shown`));
  const start = data.slice(0, DUMPED_BYTES);
  content.append(hexDump(new Uint8Array(start instanceof Blob ? await start.arrayBuffer() : start)));
}

/** @param {string} text */
function cutNotice(text) {
  return element("p", { class: "cut" }, `… ${text}`);
}

/**
 * @param {string} kind
 * @param {string} text
 */
function note(kind, text) {
  append(kind, {}, text);
}

/**
 * @param {string} kind
 * @param {Record<string, string | number>} attributes
 * @param {string} text
 * @param {...HTMLElement} content
 */
function append(kind, attributes, text, ...content) {
  const time = element("time", { datetime: new Date().toISOString() }, clock());
  const head = element("p", {}, time, " ", element("b", {}, kind), " ", element("span", { class: "what" }, text));
  log.append(element("li", { "data-kind": kind, ...attributes }, head, ...content));
  showDropped();
}

function clock() {
  const now = new Date();
  return `${now.toLocaleTimeString("en-GB")}.${String(now.getMilliseconds()).padStart(3, "0")}`;
}

function clearLog() {
  log.clear();
  showDropped();
}

function showDropped() {
  const count = log.dropped.toLocaleString("en");
  setText(dropped, log.dropped ? `Only the newest ${LOG_LIMIT.toLocaleString("en")} are kept; ${count} dropped.` : "");
}

/**
 * Does something the browser may refuse, and logs the refusal in the browser's words.
 *
 * @param {() => void} action
 */
function orNote(action) {
  try {
    action();
  } catch (refusal) {
    note("error", String(refusal));
  }
}

// ---- The page ------------------------------------------------------------------------------------------------------

/** @param {HTMLElement} button */
function setUpAddress(button) {
  const address = webSocketUrl(button.dataset.address ?? "/");
  button.addEventListener("click", () => {
    url.value = address;
    url.scrollIntoView({ block: "nearest" });
    connect();
  });
}

function showAddresses() {
  for (const shown of document.querySelectorAll("[data-shows]")) {
    if (shown instanceof HTMLElement) setText(shown, webSocketUrl("/").slice(0, -1) + shown.dataset.shows);
  }
}

function listen() {
  onSubmit(byId("connect-form", HTMLFormElement), connect);
  onSubmit(byId("close-form", HTMLFormElement), disconnect);
  onSubmit(sendForm, send);
  sendForm.addEventListener("change", showKind);
  addMessageKeys(payload);
  payload.addEventListener("keydown", walkHistory);
  byId("clear", HTMLButtonElement).addEventListener("click", clearLog);
  for (const button of document.querySelectorAll("[data-address]")) setUpAddress(/** @type {HTMLElement} */ (button));
  setInterval(showGauges, GAUGES_MS);
}

url.value = webSocketUrl("/echo");
showAddresses();
listen();
showKind();
showGauges();
