import { createHash } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** Bytes of an unpacked state, against decompression bombs. */
const maxUnpackedBytes = 64 * 1024 * 1024;

export interface EncodedBody {
  readonly body: Uint8Array;
  readonly hash: string;
  readonly rawBytes: number;
}

/** Bytes up to which compressing costs more time than it saves. */
const maxRawBytes = 4_096;

/** Stored: a zstd frame with the state's JSON text. */
export function encode(state: unknown): EncodedBody {
  const json = Buffer.from(JSON.stringify(state), "utf8");
  const body = json.length <= maxRawBytes ? rawFrame(json) : zstdCompressSync(json);
  return { body, hash: hashOf(json), rawBytes: json.length };
}

/** A frame of one raw block (RFC 8878, 3.1.1), which every zstd decoder reads. */
function rawFrame(content: Uint8Array): Uint8Array {
  return Buffer.concat([rawHeader(content.length), content]);
}

const rawHeaderBytes = 12;

function rawHeader(contentBytes: number): Buffer {
  const header = Buffer.alloc(rawHeaderBytes);
  header.writeUInt32LE(0xfd2fb528, 0);
  // Single segment, content size in four bytes, no checksum.
  header.writeUInt8(0xa0, 4);
  header.writeUInt32LE(contentBytes, 5);
  // Last block, raw.
  header.writeUIntLE((contentBytes << 3) | 1, 9, 3);
  return header;
}

/** Null unless the body is exactly what {@link rawFrame} makes. */
function rawContent(body: Uint8Array): Buffer | null {
  const contentBytes = body.length - rawHeaderBytes;
  if (contentBytes < 0 || contentBytes > maxRawBytes) return null;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  return rawHeader(contentBytes).equals(bytes.subarray(0, rawHeaderBytes)) ? bytes.subarray(rawHeaderBytes) : null;
}

export function decode(body: Uint8Array, hash: string): unknown {
  const json = rawContent(body) ?? zstdDecompressSync(body, { maxOutputLength: maxUnpackedBytes });
  if (hashOf(json) !== hash) throw new Error("the body does not match its hash");
  return JSON.parse(json.toString("utf8"));
}

function hashOf(json: Uint8Array): string {
  return createHash("sha256").update(json).digest("hex");
}
