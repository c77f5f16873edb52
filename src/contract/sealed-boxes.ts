import * as z from "zod";

/**
 * Fields of a hand-over and of a phone's pairing. A coordinator stores or relays them sealed, and
 * cannot read them. Who has the link needs no token: its secret gives the key and a claim, and the
 * coordinator has the claim's hash.
 */

const base64url = (chars: number) =>
  z.string().regex(new RegExp(`^[\\w-]{${chars}}$`), `${chars} characters of base64url`);

/** Random name of a box, signed by the Worker: a made-up name reaches no object. */
export const BoxId = base64url(44);
/** 32 bytes, derived from the secret of the link. */
export const Claim = base64url(43);
/** Random secret of the caller that shows the claim: after a break only that caller continues. */
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
