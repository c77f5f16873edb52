import * as z from "zod";
import { Claim, Claimant, maxPartChars, sealedText } from "./sealed-boxes.ts";
import { maxFileParts } from "./sync.ts";
import { durationMs, Label } from "./values.ts";

/**
 * A coordinator holds the sealed parts of one hand-over until they are taken or its time is over.
 * Who takes it shows a claim, which is derived from the secret of the link, as the key is: it
 * needs no token. The coordinator has the claim's hash, and cannot open the parts.
 */

export const HandoverPart = z.strictObject({ envelope: sealedText(maxPartChars) });
/** `by`: how the machine that takes it is called. */
export const HandoverClaim = z.strictObject({ claim: Claim, claimant: Claimant, by: Label });
export type HandoverClaim = z.infer<typeof HandoverClaim>;

export const HandoverClaimed = z.object({ parts: z.int().min(1).max(maxFileParts) });
export const HandoverStatus = z.object({
  /** taking: a machine has begun. taken: it has all. */
  state: z.enum(["open", "taking", "taken"]),
  /** Name that the machine gave itself; null: none has begun. */
  by: z.string().nullable(),
  endsInMs: durationMs,
});
export type HandoverStatus = z.infer<typeof HandoverStatus>;
