import type { CrashCause } from "../contract/readings.ts";
import { dueInMs, type Restarts } from "./auto-restarter.ts";

/** `type` is the field `event` of `shim worker supervise --json`. */
export type SupervisorEvent =
  | { readonly type: "supervising"; readonly pid: number; readonly watched: readonly string[] }
  | { readonly type: "started"; readonly name: string; readonly how: string; readonly session: string | null }
  | { readonly type: "output"; readonly name: string; readonly text: string }
  | {
      readonly type: "ended";
      readonly name: string;
      readonly phase: Restarts["phase"];
      readonly reason: string | null;
      readonly againInMs: number | null;
      readonly ranMs: number;
      /** False: a chat, or an app, that the user has started. */
      readonly isProgram: boolean;
    }
  | {
      readonly type: "died";
      readonly name: string;
      readonly session: string;
      readonly cause: CrashCause;
      readonly checkpoint: string | null;
    }
  /** `session`: null where an app is started, not a chat. */
  | { readonly type: "restarting"; readonly name: string; readonly session: string | null; readonly how: string }
  | { readonly type: "held"; readonly name: string; readonly reason: string }
  | { readonly type: "ending"; readonly reason: string }
  | { readonly type: "problem"; readonly name: string | null; readonly message: string };

type EndedEvent = Extract<SupervisorEvent, { type: "ended" }>;

export function toEndedEvent(
  { name, isProgram }: Pick<EndedEvent, "name" | "isProgram">,
  previous: Restarts,
  restarts: Restarts,
  now: number,
): EndedEvent {
  const { phase, reason } = restarts;
  return {
    type: "ended",
    name,
    phase,
    reason,
    againInMs: dueInMs(restarts, now),
    ranMs: now - previous.since,
    isProgram,
  };
}
