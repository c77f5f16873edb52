import { createCipheriv, createDecipheriv } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { err, ok, type Result } from "../../shared/result.ts";
import { derive, type WorkspaceKey } from "./workspace-key.ts";

/**
 * Pure: no clock, no storage. An envelope is base64url of: version, key id (8 bytes), nonce (12), AES-256-GCM of the compressed bytes, tag (16).
 * Stored at the coordinator. A change is a new version.
 */

/** What an envelope is of. It stands beside the envelope, and only there does the envelope open. */
export interface About {
  readonly workspace: string;
  readonly kind: "session" | "checkpoint" | "files" | "chat";
  readonly device: string;
  readonly session: string;
  /** The id of a checkpoint; the number of the op that has stored the session; which part of which files; what of the chat. */
  readonly of: string | number;
}

export type NotOpened = {
  readonly code: "unknown_key" | "not_authentic" | "malformed";
  /** Under which it was sealed, where that can be told. */
  readonly keyId?: string;
};

/** Largest content, compressed, in bytes: it has to fit a row at the coordinator. */
const maxSealedBytes = 1_048_576;
/** A hostile envelope must not eat the memory: no content is larger than this, in bytes. */
const maxOpenedBytes = 64 * 1024 * 1024;
const version = 1;
const nonceBytes = 12;
const tagBytes = 16;
const headBytes = 1 + 8;

/**
 * [SY42] Compresses and seals.
 *
 * @param random as many bytes as asked for; a nonce must never come twice under one key
 */
export function seal(
  key: WorkspaceKey,
  about: About,
  bytes: Uint8Array,
  random: (bytes: number) => Uint8Array,
): Result<string, { readonly code: "too_large"; readonly bytes: number }> {
  const packed = zstdCompressSync(bytes);
  if (packed.length > maxSealedBytes) return err({ code: "too_large", bytes: packed.length });
  const head = Buffer.concat([Buffer.of(version), Buffer.from(key.id, "hex")]);
  const nonce = random(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", sealingKey(key), nonce);
  cipher.setAAD(aadOf(head, about));
  const sealed = Buffer.concat([cipher.update(packed), cipher.final()]);
  return ok(Buffer.concat([head, nonce, sealed, cipher.getAuthTag()]).toString("base64url"));
}

/** [SY43] Nothing is answered of an envelope that was changed, cut, or stands beside something else than it was sealed for. */
export function open(
  keys: ReadonlyMap<string, WorkspaceKey>,
  about: About,
  envelope: string,
): Result<Uint8Array, NotOpened> {
  const all = Buffer.from(envelope, "base64url");
  if (all.length < headBytes + nonceBytes + tagBytes || all[0] !== version || all.toString("base64url") !== envelope)
    return err({ code: "malformed" });
  const head = all.subarray(0, headBytes);
  const keyId = head.subarray(1).toString("hex");
  const key = keys.get(keyId);
  if (!key) return err({ code: "unknown_key", keyId });
  const sealedAt = headBytes + nonceBytes;
  const decipher = createDecipheriv("aes-256-gcm", sealingKey(key), all.subarray(headBytes, sealedAt), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(aadOf(head, about));
  decipher.setAuthTag(all.subarray(-tagBytes));
  const packed = opened(() => Buffer.concat([decipher.update(all.subarray(sealedAt, -tagBytes)), decipher.final()]));
  if (packed === null) return err({ code: "not_authentic", keyId });
  const bytes = opened(() => zstdDecompressSync(packed, { maxOutputLength: maxOpenedBytes }));
  return bytes ? ok(bytes) : err({ code: "malformed", keyId });
}

function sealingKey({ bytes }: WorkspaceKey): Buffer {
  return derive(bytes, "shim seal", 32);
}

/** The whole head is bound as well, so that no other key id can be written over it. */
function aadOf(head: Buffer, { workspace, kind, device, session, of }: About): Buffer {
  return Buffer.concat([head, Buffer.from(JSON.stringify([workspace, kind, device, session, of]), "utf8")]);
}

/** Both throw at what was changed. */
function opened(work: () => Buffer): Buffer | null {
  try {
    return work();
  } catch {
    return null;
  }
}
