/**
 * WebCrypto, which browsers and Node share. An envelope is base64url of a nonce (12 bytes) and
 * AES-256-GCM of the gzipped JSON.
 */

const nonceBytes = 12;
/** Largest content that is unpacked: a small envelope can unpack to a thousand times its size. */
const maxContentBytes = 16_000_000;
const { subtle } = crypto;

export function toBase64url(bytes: Uint8Array): string {
  const text = Array.from(bytes, (byte) => String.fromCodePoint(byte)).join("");
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @throws {DOMException} for text that is no base64url */
export function fromBase64url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.codePointAt(0) ?? 0);
}

/** @returns bytes that are used nowhere else */
export function randomText(bytes: number): string {
  return toBase64url(crypto.getRandomValues(new Uint8Array(bytes)));
}

export async function sha256(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** Hex of SHA-256, as a coordinator keeps what it must not know. */
export async function hashOf(text: string): Promise<string> {
  return Array.from(await sha256(text), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Bytes, or a key of {@link importSecret}. */
export type Secret = BufferSource | CryptoKey;

/** @returns a key that can be stored in a browser, and whose bytes no script can read */
export function importSecret(bytes: BufferSource): Promise<CryptoKey> {
  return subtle.importKey("raw", bytes, "HKDF", false, ["deriveBits"]);
}

/** HKDF-SHA-256 (RFC 5869): one key or value for each use. */
export async function derive(secret: Secret, salt: string, use: string): Promise<Uint8Array<ArrayBuffer>> {
  const key = secret instanceof CryptoKey ? secret : await importSecret(secret);
  const encoder = new TextEncoder();
  const parameters = { name: "HKDF", hash: "SHA-256", salt: encoder.encode(salt), info: encoder.encode(use) };
  return new Uint8Array(await subtle.deriveBits(parameters, key, 256));
}

export async function sealingKey(secret: Secret, salt: string, use: string): Promise<CryptoKey> {
  const bytes = await derive(secret, salt, use);
  return subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** @param subject what the envelope is; it opens only as that */
export async function seal(key: CryptoKey, subject: string, value: unknown): Promise<string> {
  const nonce = crypto.getRandomValues(new Uint8Array(nonceBytes));
  const content = await throughStream(new TextEncoder().encode(JSON.stringify(value)), new CompressionStream("gzip"));
  const sealed = new Uint8Array(await subtle.encrypt(parametersOf(nonce, subject), key, content));
  const envelope = new Uint8Array(nonceBytes + sealed.length);
  envelope.set(nonce);
  envelope.set(sealed, nonceBytes);
  return toBase64url(envelope);
}

/** @returns undefined for what was changed, cut, too large, or sealed as something else */
export async function open(key: CryptoKey, subject: string, envelope: string): Promise<unknown> {
  try {
    const bytes = fromBase64url(envelope);
    const parameters = parametersOf(bytes.slice(0, nonceBytes), subject);
    const content = new Uint8Array(await subtle.decrypt(parameters, key, bytes.slice(nonceBytes)));
    const text = new TextDecoder().decode(
      await throughStream(content, new DecompressionStream("gzip"), maxContentBytes),
    );
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function parametersOf(iv: Uint8Array<ArrayBuffer>, subject: string): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(subject) };
}

/** @throws {Error} for an output of more than `maxBytes` */
async function throughStream(
  bytes: Uint8Array<ArrayBuffer>,
  stream: CompressionStream | DecompressionStream,
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<Uint8Array<ArrayBuffer>> {
  let size = 0;
  const bound = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      size += chunk.length;
      if (size > maxBytes) throw new Error("the content is too large");
      controller.enqueue(chunk);
    },
  });
  const answer = new Response(new Blob([bytes]).stream().pipeThrough(stream).pipeThrough(bound));
  return new Uint8Array(await answer.arrayBuffer());
}
