import { createCipheriv, createDecipheriv, createHash, createSecretKey, type KeyObject } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { err, ok, type Result } from "../../shared/result.ts";
import { deriveKey, type WorkspaceKey } from "./key-ring.ts";

/**
 * No clock, no storage. An envelope is base64url of: version, key id (8 bytes), nonce (12),
 * AES-256-GCM of the compressed bytes, tag (16). Stored at the coordinator: a change is a new
 * version.
 */

/** Subject of an envelope, stored beside it. The envelope opens only with the same subject. */
export interface EnvelopeSubject {
  readonly workspace: string;
  readonly kind: "session" | "files" | "chat" | "given";
  readonly device: string;
  readonly session: string;
  readonly item: string;
}

export type OpenError = {
  readonly code: "unknown_key" | "not_authentic" | "malformed";
  readonly keyId?: string;
};

/** Largest compressed content in bytes: it must fit a row at the coordinator. */
const maxSealedBytes = 1_048_576;
/** Largest opened content in bytes, against decompression bombs. */
const maxOpenedBytes = 64 * 1024 * 1024;
const version = 1;
const nonceBytes = 12;
const tagBytes = 16;
const headerBytes = 1 + 8;

/** Nonces from `random` must never repeat under one key. */
export function seal(
  key: WorkspaceKey,
  subject: EnvelopeSubject,
  bytes: Uint8Array,
  random: (bytes: number) => Uint8Array,
): Result<string, { readonly code: "too_large"; readonly bytes: number }> {
  // Without the size zstd prepares for any length, which takes longer than to compress.
  const compressed = zstdCompressSync(bytes, { pledgedSrcSize: bytes.length });
  if (compressed.length > maxSealedBytes) return err({ code: "too_large", bytes: compressed.length });
  const header = Buffer.concat([Buffer.of(version), Buffer.from(key.id, "hex")]);
  const nonce = random(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", sealingKey(key), nonce);
  cipher.setAAD(additionalData(header, subject));
  const ciphertext = Buffer.concat([cipher.update(compressed), cipher.final()]);
  return ok(Buffer.concat([header, nonce, ciphertext, cipher.getAuthTag()]).toString("base64url"));
}

/** Refuses an envelope that was changed, cut or sealed for another subject. */
export function open(
  keys: ReadonlyMap<string, WorkspaceKey>,
  subject: EnvelopeSubject,
  envelope: string,
): Result<Uint8Array, OpenError> {
  const decoded = Buffer.from(envelope, "base64url");
  if (
    decoded.length < headerBytes + nonceBytes + tagBytes ||
    decoded[0] !== version ||
    decoded.toString("base64url") !== envelope
  )
    return err({ code: "malformed" });
  const header = decoded.subarray(0, headerBytes);
  const keyId = header.subarray(1).toString("hex");
  const key = keys.get(keyId);
  if (!key) return err({ code: "unknown_key", keyId });
  const cipherStart = headerBytes + nonceBytes;
  const decipher = createDecipheriv("aes-256-gcm", sealingKey(key), decoded.subarray(headerBytes, cipherStart), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(additionalData(header, subject));
  decipher.setAuthTag(decoded.subarray(-tagBytes));
  const compressed = tryOrNull(() =>
    Buffer.concat([decipher.update(decoded.subarray(cipherStart, -tagBytes)), decipher.final()]),
  );
  if (compressed === null) return err({ code: "not_authentic", keyId });
  const bytes = tryOrNull(() => zstdDecompressSync(compressed, { maxOutputLength: maxOpenedBytes }));
  return bytes ? ok(bytes) : err({ code: "malformed", keyId });
}

/** SHA-256 (hex) of what envelopes carry in parts. */
export function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const sealingKeys = new WeakMap<WorkspaceKey, KeyObject>();

/** Derived once: that takes longer than to seal a checkpoint. */
function sealingKey(key: WorkspaceKey): KeyObject {
  const derived = sealingKeys.get(key) ?? createSecretKey(deriveKey(key.bytes, "shim seal", 32));
  sealingKeys.set(key, derived);
  return derived;
}

/** Binds the whole header, so that the key id cannot be replaced. */
function additionalData(header: Buffer, { workspace, kind, device, session, item }: EnvelopeSubject): Buffer {
  return Buffer.concat([header, Buffer.from(JSON.stringify([workspace, kind, device, session, item]), "utf8")]);
}

function tryOrNull(work: () => Buffer): Buffer | null {
  try {
    return work();
  } catch {
    return null;
  }
}
