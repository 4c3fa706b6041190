// What both Node scripts share: the messages to exchange, and how to report.

export const LENGTHS = [0, 1, 125, 126, 65535, 65536, 1 << 20];
export const UNICODE = ["κόσμε", "日本語", "🐟🐠", "\u0000\uFFFE\u{10FFFF}"];
export const SUBPROTOCOL = "sockeye.test";
export const OUR_CLOSE = [4002, "tschüß"];
export const THEIR_CLOSE = [4001, "because ß"];

export function report(value) {
  console.log(JSON.stringify(value));
}

export function text(length) {
  return "abcdefghijklmnopqrstuvwxyz".repeat(length / 26 + 1).slice(0, length);
}

export function bytes(length) {
  return Uint8Array.from({ length }, (_, index) => (index * 7) % 256);
}
