import { createHash, hkdfSync, timingSafeEqual } from "node:crypto";
import { err, ok, type Result } from "../../shared/result.ts";

/** What only the machines of a workspace know. Never sent to a coordinator. */
export interface WorkspaceKey {
  /** Tells which key it is, and nothing of it. */
  readonly id: string;
  readonly bytes: Uint8Array;
}

const keyBytes = 32;
const checkBytes = 4;
const prefix = "shimkey-";

/** @param random as many bytes as asked for, which nobody can guess */
export function createKey(random: (bytes: number) => Uint8Array): WorkspaceKey {
  return toKey(random(keyBytes));
}

function toKey(bytes: Uint8Array): WorkspaceKey {
  return { id: deriveKeyId(bytes), bytes };
}

/** [SY40] 16 hexadecimal digits that say nothing of the key. */
function deriveKeyId(bytes: Uint8Array): string {
  return deriveKey(bytes, "shim key id", 8).toString("hex");
}

/** One key for each use (RFC 5869), so that what one use shows says nothing of another. */
export function deriveKey(bytes: Uint8Array, use: "shim key id" | "shim seal" | "shim names", length: number): Buffer {
  return Buffer.from(hkdfSync("sha256", bytes, "", use, length));
}

/** [SY40] How people carry a key from one machine to another, past the coordinator: with a checksum. */
export function formatCode({ bytes }: WorkspaceKey): string {
  return `${prefix}${Buffer.concat([bytes, checksum(bytes)]).toString("base64url")}`;
}

/** @returns else what is wrong with the code, without the code */
export function parseCode(text: string): Result<WorkspaceKey, string> {
  const code = text.trim();
  if (!code.startsWith(prefix)) return err(`a key begins with ${prefix}; \`shim edge rekey --code\` shows it`);
  const decoded = Buffer.from(code.slice(prefix.length), "base64url");
  const bytes = decoded.subarray(0, keyBytes);
  const isWhole = decoded.length === keyBytes + checkBytes && formatCode(toKey(bytes)) === code;
  if (!isWhole || !timingSafeEqual(decoded.subarray(keyBytes), checksum(bytes)))
    return err("the key is not complete, or was mistyped; copy the whole line again");
  return ok(toKey(Uint8Array.from(bytes)));
}

function checksum(bytes: Uint8Array): Buffer {
  return createHash("sha256").update("shim key").update(bytes).digest().subarray(0, checkBytes);
}
