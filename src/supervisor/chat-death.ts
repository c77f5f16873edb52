import * as restarter from "./auto-restarter.ts";
import { restoreById, type Restoration } from "../local-mcp/recovery/restoration.ts";
import type { Host } from "../local-mcp/host/host.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { messageOf } from "../shared/error.ts";
import { isClosed } from "../local-mcp/sessions/closed-sessions.ts";
import type { ProgramEnding } from "./program-end.ts";
import { countRestart } from "./supervisor-metrics.ts";
import { toEndedEvent, type SupervisorEvent } from "./supervisor-events.ts";

export interface DeathDeps {
  readonly runtime: Runtime;
  /** Operations of the machine: the store is only read here. */
  readonly call: Host["call"];
  readonly emit: (event: SupervisorEvent) => void;
}

/** Opens a terminal that outlives the call. Rejects where the start fails. */
export type OpenTerminal = (command: string, args: readonly string[], cwd: string) => Promise<void>;

export interface WatchOptions extends DeathDeps {
  readonly name: string;
  readonly rules: restarter.RestartRules;
  readonly isSupervised: (session: string) => boolean;
  readonly openTerminal: OpenTerminal;
  /** Aborted: the supervisor ends, and reports no more deaths. */
  readonly endSignal: AbortSignal;
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

/** @returns null: the client ended cleanly, which a spooled hook event may report late */
export async function reportDeath(options: WatchOptions, session: string): Promise<Restoration | null> {
  const { name, runtime, emit, endSignal } = options;
  const checkpoint = await recordDeath(options, session);
  const restoration = restoreById(runtime, session);
  const isEnded = !restoration || restoration.session.endedAt !== null || isClosed(restoration.session);
  if (isEnded || restoration.cause === null || endSignal.aborted) return null;
  emit({ type: "died", name, session, cause: restoration.cause, checkpoint });
  return restoration;
}

/** Plans the restart of what the user has started, and reports the end. */
export function planRestart(
  { runtime, rules, emit }: WatchOptions,
  name: string,
  earlier: restarter.Restarts | null,
  ending: ProgramEnding,
): restarter.Restarts {
  const now = runtime.now();
  const previous = earlier ?? restarter.initial(now);
  const restarts = restarter.afterEnd(previous, ending, now, { when: "on-crash", rules });
  emit(toEndedEvent({ name, isProgram: false }, previous, restarts, now));
  return restarts;
}

export async function startInTerminal(
  { name, runtime, call, openTerminal, emit }: WatchOptions,
  planned: restarter.Restarts,
  [command = "", ...args]: readonly string[],
  cwd: string,
  started: { readonly session: string | null; readonly how: string },
): Promise<void> {
  try {
    await openTerminal(command, args, cwd);
    countRestart({ runtime, call }, planned);
    emit({ type: "restarting", name, ...started });
  } catch (error) {
    emit({ type: "problem", name, message: `${command} cannot be started: ${messageOf(error)}` });
  }
}
