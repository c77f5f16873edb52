import * as z from "zod";

/**
 * Forms of what passes through a coordinator that cannot read it, for callers without a token: a
 * hand-over, the pairing of a phone. The secret of a link gives the key and a claim; the
 * coordinator has the claim's hash.
 */

const base64url = (chars: number) =>
  z.string().regex(new RegExp(`^[\\w-]{${chars}}$`), `${chars} characters of base64url`);

/** Random name of a box, signed by the Worker, so that no invented one reaches an object. */
export const BoxId = base64url(44);
/** 32 bytes, derived from the secret of the link. */
export const Claim = base64url(43);
/** Made by who shows the claim, to continue after a break; another cannot. */
export const Claimant = base64url(22);
/** SHA-256, hex. */
export const Hash = z.string().regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits");

export function sealedText(maxChars: number): z.ZodString {
  return z
    .string()
    .min(1)
    .max(maxChars)
    .regex(/^[\w-]+$/, "base64url");
}
