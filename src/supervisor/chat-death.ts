import { restore, type Restoration } from "../local-mcp/recovery/restoration.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { isClosed } from "../local-mcp/sessions/closed-sessions.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import type * as restarter from "./auto-restarter.ts";
import type { SupervisorEvent } from "./supervisor-events.ts";

/** Starts something that goes on by itself. Rejects where it cannot be started. */
export type OpenTerminal = (command: string, args: readonly string[], cwd: string) => Promise<void>;

/** What those need who watch chats that they have not started. */
export interface WatchOptions {
  /** Of what is watched. */
  readonly name: string;
  readonly runtime: Runtime;
  readonly rules: restarter.RestartRules;
  /** Not those that the supervisor runs itself. */
  readonly isSupervised: (session: string) => boolean;
  /** The last checkpoint, and the news of its death. */
  readonly recordDeath: (session: string) => Promise<string | null>;
  readonly openTerminal: OpenTerminal;
  readonly emit: (event: SupervisorEvent) => void;
}

export function findRestoration(runtime: Runtime, id: string): Restoration | null {
  const session = runtime.store.read((sql) => sessions.get(sql, id), null);
  return session && restore(runtime, session, runtime.now());
}

/** Does what is to be done for a chat that has died, and tells it. @returns null: its client ended in good order, which a hook in the spool may tell late */
export async function reportDeath(
  { name, runtime, recordDeath, emit }: WatchOptions,
  id: string,
): Promise<Restoration | null> {
  const checkpoint = await recordDeath(id);
  const restoration = findRestoration(runtime, id);
  if (!restoration?.cause || restoration.session.endedAt !== null || isClosed(restoration.session)) return null;
  emit({ type: "died", name, session: id, cause: restoration.cause, checkpoint });
  return restoration;
}
