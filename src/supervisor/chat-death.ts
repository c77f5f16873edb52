import { restoreById, type Restoration } from "../local-mcp/recovery/restoration.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { isClosed } from "../local-mcp/sessions/closed-sessions.ts";
import type * as restarter from "./auto-restarter.ts";
import type { SupervisorEvent } from "./supervisor-events.ts";

/** Opens a terminal that outlives the call. Rejects where the start fails. */
export type OpenTerminal = (command: string, args: readonly string[], cwd: string) => Promise<void>;

export interface WatchOptions {
  readonly name: string;
  readonly runtime: Runtime;
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
