/** Pure. Bytes of JSON as text: UTF-8, or UTF-16 as programs of Windows write it. */

/** The end of an object is not searched in UTF-16, whose bytes are not those of JSON. */
export function isUtf16(bytes: Buffer): boolean {
  return encodingOf(bytes) !== "utf8";
}

export function decodeText(bytes: Buffer): string {
  const encoding = encodingOf(bytes);
  if (encoding !== "utf16be") return bytes.toString(encoding);
  return Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % 2)))
    .swap16()
    .toString("utf16le");
}

/** By its mark, or by the zeros beside the brace that begins an object. */
function encodingOf(bytes: Buffer): "utf8" | "utf16le" | "utf16be" {
  const start = bytes.subarray(0, 3).toString("hex");
  if (/^(?:fffe|7b00)/.test(start)) return "utf16le";
  return /^(?:feff|007b00)/.test(start) ? "utf16be" : "utf8";
}
