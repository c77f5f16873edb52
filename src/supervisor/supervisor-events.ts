import type { CrashCause } from "../contract/readings.ts";
import { messageOf } from "../shared/error.ts";
import { logFailure, type MachineDeps } from "../worker-runner/client/continuation.ts";
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
  const againInMs = dueInMs(restarts, now);
  return { type: "ended", name, phase, reason, againInMs, ranMs: now - previous.since, isProgram };
}

export interface DeathDeps extends MachineDeps {
  readonly emit: (event: SupervisorEvent) => void;
}

/**
 * [SU6] [SU10] Has the host save the last checkpoint and attest the death.
 *
 * @returns the id of the checkpoint; null: none
 */
export async function recordDeath({ call, emit }: DeathDeps, session: string): Promise<string | null> {
  try {
    const recorded = await call("recovery.record-death", { session });
    if (!recorded.ok) throw new Error(recorded.error.message);
    const { checkpoint, trouble } = recorded.value;
    if (trouble !== null) emit({ type: "problem", name: null, message: trouble });
    return checkpoint;
  } catch (error) {
    emit({ type: "problem", name: null, message: `the last checkpoint of ${session}: ${messageOf(error)}` });
    return null;
  }
}

/** [OB15] Call for each start. The first one is no restart. */
export function countRestart({ runtime, call }: Omit<DeathDeps, "emit">, { endedBy }: Restarts): void {
  if (!endedBy) return;
  const counted = call("metrics.count-restart", { reason: endedBy });
  void logFailure(runtime, "supervisor: a restart was not counted", counted);
}
