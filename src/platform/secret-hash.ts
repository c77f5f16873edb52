import { createHash, timingSafeEqual } from "node:crypto";

/** By which a secret is known that is not kept. */
export function secretHash(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** Whether it is the secret of the hash, in constant time. */
export function isSecret(given: string, hash: Buffer): boolean {
  return timingSafeEqual(secretHash(given), hash);
}
