import { createHash, hkdfSync, timingSafeEqual } from "node:crypto";
import { err, ok, type Result } from "../../shared/result.ts";

/** Secret of the workspace's machines. Never sent to a coordinator. */
export interface WorkspaceKey {
  readonly id: string;
  readonly bytes: Uint8Array;
}

const keyBytes = 32;
const checkBytes = 4;
const prefix = "shimkey-";

export function createKey(random: (bytes: number) => Uint8Array): WorkspaceKey {
  return toKey(random(keyBytes));
}

function toKey(bytes: Uint8Array): WorkspaceKey {
  return { id: deriveKey(bytes, "shim key id", 8).toString("hex"), bytes };
}

/** One derived key for each use (RFC 5869), so that one use reveals nothing of another. */
export function deriveKey(bytes: Uint8Array, use: "shim key id" | "shim seal" | "shim names", length: number): Buffer {
  return Buffer.from(hkdfSync("sha256", bytes, "", use, length));
}

/** Adds a checksum: people carry the code to another machine. */
export function formatCode({ bytes }: WorkspaceKey): string {
  return `${prefix}${Buffer.concat([bytes, checksum(bytes)]).toString("base64url")}`;
}

export function parseCode(text: string): Result<WorkspaceKey, string> {
  const code = text.trim();
  if (!code.startsWith(prefix)) return err(`a key begins with ${prefix}; \`shim workspace key show\` shows it`);
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
