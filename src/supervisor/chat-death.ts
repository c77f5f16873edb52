import * as restarter from "./auto-restarter.ts";
import { restoreById, type Restoration } from "../local-mcp/recovery/restoration.ts";
import type { Host } from "../local-mcp/host/host.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { messageOf } from "../shared/error.ts";
import { isClosed } from "../local-mcp/sessions/closed-sessions.ts";
import type { ProgramEnding } from "./program-end.ts";
import { countRestart } from "./supervisor-metrics.ts";
import { toEndedEvent, type SupervisorEvent } from "./supervisor-events.ts";

/** Opens a terminal that outlives the call. Rejects where the start fails. */
export type OpenTerminal = (command: string, args: readonly string[], cwd: string) => Promise<void>;

export interface WatchOptions {
  readonly name: string;
  readonly runtime: Runtime;
  /** Operations of the machine: the store is only read here. */
  readonly call: Host["call"];
  readonly rules: restarter.RestartRules;
  readonly isSupervised: (session: string) => boolean;
  readonly recordDeath: (session: string) => Promise<string | null>;
  readonly openTerminal: OpenTerminal;
  readonly emit: (event: SupervisorEvent) => void;
}

/** @returns null: the client ended cleanly, which a spooled hook event may report late */
export async function reportDeath(
  { name, runtime, recordDeath, emit }: WatchOptions,
  id: string,
): Promise<Restoration | null> {
  const checkpoint = await recordDeath(id);
  const restoration = restoreById(runtime, id);
  if (!restoration?.cause || restoration.session.endedAt !== null || isClosed(restoration.session)) return null;
  emit({ type: "died", name, session: id, cause: restoration.cause, checkpoint });
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
