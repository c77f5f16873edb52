import { createHash } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** No stored state is larger than this when unpacked, in bytes: a damaged or hostile body must not eat the memory. */
const maxUnpackedBytes = 64 * 1024 * 1024;

export interface EncodedBody {
  readonly body: Uint8Array;
  /** SHA-256 of the JSON text, in hex. */
  readonly hash: string;
  readonly rawBytes: number;
}

/** How a checkpoint's state is stored: zstd over its JSON text. */
export function encode(state: unknown): EncodedBody {
  const json = Buffer.from(JSON.stringify(state), "utf8");
  return { body: zstdCompressSync(json), hash: hashOf(json), rawBytes: json.length };
}

/**
 * @throws {Error} when the body is not what its hash says
 */
export function decode(body: Uint8Array, hash: string): unknown {
  const json = zstdDecompressSync(body, { maxOutputLength: maxUnpackedBytes });
  if (hashOf(json) !== hash) throw new Error("the body does not match its hash");
  return JSON.parse(json.toString("utf8"));
}

function hashOf(json: Uint8Array): string {
  return createHash("sha256").update(json).digest("hex");
}
