import { createHash } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** Bytes of an unpacked state, against decompression bombs. */
const maxUnpackedBytes = 64 * 1024 * 1024;

export interface EncodedBody {
  readonly body: Uint8Array;
  readonly hash: string;
  readonly rawBytes: number;
}

/** Stored: a zstd frame with the state's JSON text. */
export function encode(state: unknown): EncodedBody {
  const json = Buffer.from(JSON.stringify(state), "utf8");
  return { body: zstdCompressSync(json), hash: hashOf(json), rawBytes: json.length };
}

export function decode(body: Uint8Array, hash: string): unknown {
  const json = zstdDecompressSync(body, { maxOutputLength: maxUnpackedBytes });
  if (hashOf(json) !== hash) throw new Error("the body does not match its hash");
  return JSON.parse(json.toString("utf8"));
}

function hashOf(json: Uint8Array): string {
  return createHash("sha256").update(json).digest("hex");
}
