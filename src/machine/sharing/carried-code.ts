import { createHash, timingSafeEqual } from "node:crypto";
import { err, ok, type Result } from "../../shared/result.ts";

/** A secret that a person carries to another machine: a prefix, its bytes and a checksum. */
export interface CodeKind {
  readonly name: "key" | "code";
  readonly prefix: string;
  readonly secretBytes: number;
  readonly checkBytes: number;
  /** Hashed with the secret. */
  readonly use: string;
  /** Prints it. */
  readonly command: string;
}

export function formatCode(kind: CodeKind, secret: Uint8Array): string {
  return `${kind.prefix}${Buffer.concat([secret, checksum(kind, secret)]).toString("base64url")}`;
}

/** @returns the secret; or why there is none, without quoting it */
export function parseCode(kind: CodeKind, typed: string): Result<Uint8Array, string> {
  const { name, prefix, secretBytes, checkBytes, command } = kind;
  const code = typed.trim();
  if (!code.startsWith(prefix)) return err(`a ${name} begins with ${prefix}: \`${command}\` prints it`);
  const decoded = Buffer.from(code.slice(prefix.length), "base64url");
  const secret = Uint8Array.from(decoded.subarray(0, secretBytes));
  // The last character of base64url may have bits that mean nothing.
  const isWhole = decoded.length === secretBytes + checkBytes && formatCode(kind, secret) === code;
  return isWhole && timingSafeEqual(decoded.subarray(secretBytes), checksum(kind, secret))
    ? ok(secret)
    : err(`the ${name} is not complete, or was mistyped: copy the whole line again`);
}

function checksum({ use, checkBytes }: CodeKind, secret: Uint8Array): Buffer {
  return createHash("sha256").update(use).update(secret).digest().subarray(0, checkBytes);
}
