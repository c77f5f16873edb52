import type { Readable } from "node:stream";

const maxChars = 4_000_000;

export async function readAll(stream: Readable): Promise<string> {
  stream.setEncoding("utf8");
  let text = "";
  for await (const part of stream) {
    text += String(part);
    if (text.length > maxChars) break;
  }
  return text.slice(0, maxChars);
}
