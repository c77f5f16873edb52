import * as z from "zod";
import { durationMs } from "./values.ts";

/**
 * A phone is paired with one machine, and the two talk through a coordinator that cannot read
 * them: it relays sealed frames, and stores none. Who pairs shows a claim that is derived from
 * the secret of the link, so it needs no token; afterwards the phone shows an access secret that
 * opens this relay and nothing else.
 */

const base64url = (chars: number) =>
  z.string().regex(new RegExp(`^[\\w-]{${chars}}$`), `${chars} characters of base64url`);
const sealedText = (maxChars: number) =>
  z
    .string()
    .min(1)
    .max(maxChars)
    .regex(/^[\w-]+$/, "base64url");
/** SHA-256, hex. */
const Hash = z.string().regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits");

/** Random name of it, signed by the Worker, so that no invented one reaches an object. */
export const PhoneId = base64url(44);
/** 32 bytes, derived from the secret of the link. */
const PhoneClaim = base64url(43);
/** Made by the phone that pairs, so that it can continue after a break, and another cannot. */
const Claimant = base64url(22);

/** Bounds of the time in which a link pairs, in ms. */
export const pairingMs = { min: 10_000, max: 3_600_000, default: 300_000 } as const;
/** Bounds of the time for which a phone is paired, in ms. */
export const pairedMs = { min: 60_000, max: 31_536_000_000, default: 2_592_000_000 } as const;

/** Characters of base64url of a sealed introduction, and of a grant. */
const maxPairingChars = 4_000;

export const NewPhone = z.strictObject({
  claimHash: Hash,
  forMs: durationMs.min(pairingMs.min).max(pairingMs.max),
});
export const PhoneCreated = z.object({ id: PhoneId });

export const PhoneIntroduction = z.strictObject({
  claim: PhoneClaim,
  claimant: Claimant,
  /** Public key and name of the phone, sealed under the secret of the link. */
  introduction: sealedText(maxPairingChars),
});
export type PhoneIntroduction = z.infer<typeof PhoneIntroduction>;
export const PhoneClaimant = PhoneIntroduction.pick({ claim: true, claimant: true });
export type PhoneClaimant = z.infer<typeof PhoneClaimant>;

export const PhoneGrant = z.strictObject({
  /** Key and access secret, sealed to the key of the phone. */
  grant: sealedText(maxPairingChars),
  accessHash: Hash,
  forMs: durationMs.min(pairedMs.min).max(pairedMs.max),
});
export type PhoneGrant = z.infer<typeof PhoneGrant>;

/** State of a pairing as its machine sees it. */
export const PhoneStatus = z.object({
  introduction: z.string().nullable(),
  isPaired: z.boolean(),
  endsInMs: durationMs,
});
export type PhoneStatus = z.infer<typeof PhoneStatus>;
