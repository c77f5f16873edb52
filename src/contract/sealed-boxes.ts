import * as z from "zod";
import { declare } from "./operation.ts";
import { maxFileParts } from "./sync.ts";
import { counter, durationMs, Id } from "./values.ts";

/**
 * Boxes: objects of a workspace that hold a hand-over, or relay between a phone and its machine. A
 * coordinator stores or relays their contents sealed, and cannot read them. Who has the link needs
 * no token: its secret gives the key and a claim, and the coordinator has the claim's hash.
 */

const BoxKind = z.enum(["handover", "phone"]);
export type BoxKind = z.infer<typeof BoxKind>;

/** Bounds of the time in which a hand-over can be taken, in ms. */
export const handoverMs = { min: 10_000, max: 604_800_000, default: 600_000 } as const;
/** Bounds of the time in which a link pairs a phone, in ms. */
export const pairingMs = { min: 10_000, max: 3_600_000, default: 300_000 } as const;
/** Most characters of base64url of a part of a hand-over: 262,144 bytes, sealed. */
export const maxPartChars = 400_000;

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

const subject = Id.describe("what it is of, such as a session");

export const boxOperations = {
  "boxes.create": declare("work", "POST /boxes", {
    input: z.strictObject({
      kind: BoxKind,
      /** A newer box replaces the machine's older one of the same subject. */
      subject: subject.optional(),
      claimHash: Hash,
      forMs: durationMs.min(handoverMs.min).max(handoverMs.max),
      /** Parts of a hand-over, and the characters of all together. */
      parts: z.int().min(1).max(maxFileParts).default(1),
      chars: counter.max(maxFileParts * maxPartChars).default(0),
    }),
    output: z.object({ id: BoxId }),
    errors: ["quota_exceeded"],
    summary: "Makes a box for a hand-over or a phone, which ends with its time, its token and the workspace.",
    example: { kind: "handover", claimHash: "0".repeat(64), forMs: 600_000 },
  }),
  "boxes.list": declare("admin", "GET /boxes", {
    output: z.object({
      boxes: z.array(
        z.object({
          id: BoxId,
          kind: BoxKind,
          /** Id of the token that made it. */
          token: z.string(),
          machine: z.string(),
          subject: z.string().nullable(),
          /** Reserved in the storage. */
          chars: counter,
          ageMs: durationMs,
          endsInMs: durationMs,
        }),
      ),
    }),
    summary: "Lists the hand-overs and phones that the coordinator holds or relays for the workspace.",
  }),
  "boxes.end": declare("work", "POST /boxes/end", {
    input: z.strictObject({
      id: BoxId.optional().describe("one box; an admin may name any"),
      kind: BoxKind.optional(),
      subject: subject.optional(),
    }),
    output: z.object({ ended: counter }),
    summary: "Ends boxes of the caller's machine at once: all, or those of a kind or a subject, or one.",
    effect: "free",
    example: { kind: "handover", subject: "5f0e" },
  }),
} as const;

export function sealedText(maxChars: number): z.ZodString {
  return z
    .string()
    .min(1)
    .max(maxChars)
    .regex(/^[\w-]+$/, "base64url");
}
