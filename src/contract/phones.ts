import * as z from "zod";
import { Claim, Claimant, Hash, sealedText } from "./sealed-boxes.ts";
import { durationMs } from "./values.ts";

/**
 * A phone is paired with one machine, and the two talk through a coordinator that cannot read
 * them: it relays sealed frames, and stores none. Who pairs shows a claim that is derived from
 * the secret of the link, so it needs no token; afterwards the phone shows an access secret that
 * opens this relay and nothing else.
 */

/** Bounds of the time for which a phone is paired, in ms. */
export const pairedMs = { min: 60_000, max: 31_536_000_000, default: 2_592_000_000 } as const;

/** Characters of base64url of a sealed introduction, and of a grant. */
export const maxPairingChars = 4_000;

export const PhoneIntroduction = z.strictObject({
  claim: Claim,
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
