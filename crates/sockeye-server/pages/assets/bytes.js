// Owns the ways bytes are written for people: hex in, hex dump out, and sizes in words.

/**
 * Reads bytes written in hex. Spaces, commas, colons and `0x` between the bytes are fine.
 *
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {SyntaxError} when something in it is no hex, or half a byte is left over
 */
export function parseHex(text) {
  const digits = text.replace(/0x/gi, " ").replace(/[\s,:]+/g, "");
  const stranger = digits.match(/[^0-9a-f]/iu);
  if (stranger) throw new SyntaxError(`“${stranger[0]}” is not a hex digit`);
  if (digits.length % 2 === 1) throw new SyntaxError("the hex ends in half a byte");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/**
 * Writes bytes as a hex dump: the offset, sixteen bytes, and the same bytes as ASCII, line by line.
 *
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function hexDump(bytes) {
  const lines = [];
  for (let offset = 0; offset < bytes.length; offset += BYTES_PER_LINE) {
    lines.push(dumpLine(offset, bytes.subarray(offset, offset + BYTES_PER_LINE)));
  }
  return lines.join("\n");
}

/**
 * @param {number} offset
 * @param {Uint8Array} bytes
 */
function dumpLine(offset, bytes) {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const ascii = Array.from(bytes, (byte) => (isPrintable(byte) ? String.fromCharCode(byte) : ".")).join("");
  return `${offset.toString(16).padStart(4, "0")}  ${hex.padEnd(BYTES_PER_LINE * 3 - 1)}  ${ascii}`;
}

/** @param {number} byte */
function isPrintable(byte) {
  return byte >= 0x20 && byte < 0x7f;
}

/**
 * Counts the bytes a text has on the wire.
 *
 * @param {string} text
 * @returns {number}
 */
export function textSize(text) {
  return new TextEncoder().encode(text).length;
}

/**
 * Writes a count of bytes: "1 byte", "1,500 bytes".
 *
 * @param {number} count
 * @returns {string}
 */
export function countBytes(count) {
  return `${count.toLocaleString("en")} ${count === 1 ? "byte" : "bytes"}`;
}

const BYTES_PER_LINE = 16;
