import * as z from "zod";
import { crashCauses } from "./readings.ts";

/**
 * Signs of a session's end, the strongest first: `left` by its user, or by a call; `exit`,
 * the one reason that some clients give for all ends; `asked`, the client was to end; a `signal` to
 * the process of SHIM that its client started; the end of that process, the `front`; and the
 * client's process is `gone`.
 */
export const endSigns = ["left", "exit", "asked", "signal", "front", "gone"] as const;
export type EndSign = (typeof endSigns)[number];

const EndSeen = z.object({
  /** Epoch ms; of a process that is gone the last sign of life. */
  at: z.number(),
  /** The client's word, or the front's. */
  reason: z.string().max(200),
  /** The client had no user that could close it. */
  isScripts: z.optional(z.literal(true)),
});
export type EndSeen = z.infer<typeof EndSeen>;

/** Stored, and sent to other machines: add fields as optional. How a session is over. */
export const Ending = z.object({
  /**
   * `ended`: for good. `closed`: by its client, between two turns. `died`: all else. `detached`: no
   * process of SHIM is beside its client, which may live.
   */
  how: z.enum(["ended", "closed", "died", "detached"]),
  /** Epoch ms. */
  at: z.number(),
  reason: z.string().max(200),
  /** Whether it may have left work to continue. */
  isOpen: z.boolean(),
  /** No sign is waited for: it ended for good, or its process is gone, or works in others alone. */
  isSettled: z.boolean(),
  /** Why it died or was closed; null: it did neither. */
  cause: z.nullable(z.enum(crashCauses).catch("unknown")),
  /** One sentence of figures and fixed words only. */
  detail: z.nullable(z.string().max(1_000)),
  /** For each kind the first one. */
  signs: z.partialRecord(z.enum(endSigns), EndSeen),
  /** Newest row of the journal by which it was judged; 0: by none. */
  journalSeq: z.int().min(0),
});
export type Ending = z.infer<typeof Ending>;

/** @returns null: its machine has noted neither a death nor a close */
export function notedEnd(ending: Ending | null): Ending | null {
  return ending?.isSettled === true && ending.cause !== null ? ending : null;
}
