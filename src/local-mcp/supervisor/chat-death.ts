import { restoration, type Restoration } from "../recovery/restoration.ts";
import type { Runtime } from "../runtime.ts";
import * as sessions from "../sessions/sessions.ts";
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
  readonly isOwn: (session: string) => boolean;
  /** The last checkpoint, and the news of its death. */
  readonly bury: (session: string) => Promise<string | null>;
  readonly open: OpenTerminal;
  readonly tell: (event: SupervisorEvent) => void;
}

export function restorationOf({ store, processes, now }: Runtime, id: string): Restoration | null {
  return store.read((sql) => {
    const session = sessions.get(sql, id);
    return session && restoration(sql, processes, session, now());
  }, null);
}

/** Does what is to be done for a chat that has died, and tells it. @returns null: its end came with a hook that had to wait in the spool */
export async function mourn({ name, runtime, bury, tell }: WatchOptions, id: string): Promise<Restoration | null> {
  const checkpoint = await bury(id);
  const from = restorationOf(runtime, id);
  if (!from?.cause || from.session.endedAt !== null) return null;
  tell({ type: "died", name, session: id, cause: from.cause, checkpoint });
  return from;
}
