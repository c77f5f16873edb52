import * as z from "zod";
import { Folder, IdPrefix, idErrors, machineOperation } from "./operation.ts";
import { Named, Start } from "./recovery.ts";

/**
 * Reasons why a session that exists cannot be continued. refused: it can be, but its last prompt
 * may be refused again. unknown: its client ended at once.
 */
export const rescueReasons = [
  "poisoned",
  "unreadable",
  "locked",
  "too_large",
  "deleted",
  "invisible",
  "version",
  "cut_off",
  "refused",
  "unknown",
] as const;
export type RescueReason = (typeof rescueReasons)[number];

const RescueOffer = z.object({
  /** unarchive: by the client's own command. brief: `recovery.plan` with `isNew`. */
  kind: z.enum(["aside", "unarchive", "copy", "brief"]),
  /** Ends no sentence. */
  text: z.string(),
});
export type RescueOffer = z.infer<typeof RescueOffer>;

const Diagnosis = Named.extend({
  client: z.string(),
  /** The client's own file of it; null: there is none, or it keeps it otherwise. */
  file: z.string().nullable(),
  /** Reason, if any; null: nothing is wrong. */
  reason: z.enum(rescueReasons).nullable(),
  /** Where there is no reason: what was checked. Ends no sentence. */
  why: z.string(),
  /** Ways to continue it, cheapest first. */
  offers: z.array(RescueOffer).readonly(),
  /** Parts of the file that hold no row, or not as it was written. */
  lost: z.int(),
  /** SHIM has read what its client keeps of it. */
  isRead: z.boolean(),
  isAlive: z.boolean(),
  /** Command for a terminal that does one of them. */
  command: z.string(),
});
export type Diagnosis = z.infer<typeof Diagnosis>;

const hasFailed = z.boolean().default(false).describe("its client has just ended within seconds of its start");

export const rescueOperations = {
  "recovery.diagnose": machineOperation({
    summary: "Why a session cannot be continued in its client, and what works instead.",
    input: z.strictObject({
      session: IdPrefix.optional().describe("absent: the newest of the project that cannot be continued"),
      folder: Folder,
      hasFailed,
    }),
    /** `diagnosis`: null: no session has a reason. `healthy`: those that were checked before. */
    output: z.object({ diagnosis: Diagnosis.nullable(), healthy: z.array(Diagnosis) }),
    errors: idErrors,
    effect: "read",
    surfaces: ["command", "page"],
    example: { session: "5f0e0e5e", folder: "/home/you/app" },
  }),
  "recovery.rescue": machineOperation({
    summary: "Rename what is in the way of a session, have it unarchived, or copy it without what is wrong with it.",
    input: z.strictObject({
      session: IdPrefix,
      folder: Folder,
      offer: z.enum(["aside", "unarchive", "copy"]),
      hasFailed,
    }),
    output: z.object({
      session: z.string(),
      /** `file`: null: the client keeps its sessions otherwise. */
      copy: z.object({ session: z.string(), file: z.string().nullable(), start: Start }).nullable(),
      /** New name of the file that was in the way. */
      backup: z.string().nullable(),
    }),
    errors: [...idErrors, "not_offered", "still_running", "rescue_failed"],
    effect: "write",
    doneBy: "caller",
    example: { session: "5f0e0e5e", folder: "/home/you/app", offer: "copy" },
  }),
};
