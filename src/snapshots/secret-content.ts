import { accessSync, closeSync, constants, openSync, readSync } from "node:fs";
import { privateKeys } from "../redaction/private-keys.ts";
import { findBy, redact } from "../redaction/redact.ts";
import { knownTokens } from "../redaction/token-formats.ts";
import { hasNpmToken, isNpmSettings, mayHoldSecrets } from "./secret-names.ts";

const maxBytesOfFile = 262_144;
/** Bytes read for one snapshot: about a fifth of a second. */
const maxBytes = 33_554_432;
const headBytes = 8_192;

/** Kinds that are common in tests and examples, or valid for minutes only. */
const weakKinds = new Set(["jwt", "url-signature"]);

const credentialFiles: readonly RegExp[] = [
  // A kubeconfig with a token or a password
  /^kind:[ \t]*Config\b(?:(?!^kind:)[\s\S])*?^[ \t-]*(?:token|password):[ \t]*\S/m,
  // Docker's config.json
  /"auths"[ \t]*:(?:(?!"auths")[\s\S]){0,4000}?"(?:auth|identitytoken)"[ \t]*:[ \t]*"[\w+/=.-]{8,}"/,
  // .netrc
  /^[ \t]*machine[ \t]+\S+\s+login[ \t]+\S+\s+password[ \t]+\S/m,
  /^[ \t]*aws_secret_access_key[ \t]*=[ \t]*[A-Za-z0-9/+]{40}/im,
  /^# (?:Netscape )?HTTP Cookie File/,
];

/** Reads at most 256 KiB of each new or changed file, and 32 MiB in all. */
export class SecretContent {
  #bytesLeft = maxBytes;

  reason(file: Buffer, path: string): string | null {
    try {
      accessSync(file, constants.R_OK);
      return this.#bytesLeft <= 0 ? null : secretIn(this.#read(file), path);
    } catch {
      return "it cannot be read";
    }
  }

  #read(file: Buffer): Buffer {
    // Without O_NONBLOCK, opening a pipe waits for its other end.
    const opened = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const content = Buffer.allocUnsafe(Math.min(maxBytesOfFile, this.#bytesLeft));
      const got = readSync(opened, content, 0, content.length, 0);
      this.#bytesLeft -= got;
      return content.subarray(0, got);
    } finally {
      closeSync(opened);
    }
  }
}

/** Returns why the first 256 KiB must not be copied; null when nothing is found. */
export function secretIn(content: Buffer, path: string): string | null {
  if (content.subarray(0, headBytes).includes(0)) return null;
  // Latin-1 suffices: the rules match ASCII only.
  return findReason(content.subarray(0, maxBytesOfFile).toString("latin1"), path);
}

function findReason(text: string, path: string): string | null {
  if (isNpmSettings(path)) return hasNpmToken(text) ? "it holds an npm token" : null;
  if (findBy(privateKeys, text).length > 0) return "it holds a private key";
  const token = findBy(knownTokens, text).find(({ kind }) => !weakKinds.has(kind));
  if (token) return `it holds a secret (${token.kind})`;
  if (credentialFiles.some((pattern) => pattern.test(text))) return "it holds credentials";
  return mayHoldSecrets(path) && redact(text).count > 0 ? "it holds a secret" : null;
}
