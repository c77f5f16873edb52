import type { SessionView } from "../../contract/machine/sessions.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { DriverName } from "../../store/driver.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import { findIncomplete } from "../recovery/detect.ts";
import { readState } from "../recovery/session-state.ts";
import type { Session } from "../sessions/sessions.ts";
import { toSessionView } from "./session-view.ts";

/** How a chat's session stands, and what other chats left. */
export interface SessionStatus {
  readonly view: SessionView;
  readonly latest: checkpoints.Checkpoint | null;
  /** Other sessions that died, with those that this chat was offered. */
  readonly died: number;
  readonly offeredHere: number;
  /** Driver of the store; null: it is closed. */
  readonly driver: DriverName | null;
}

/** Returns null for a session that has been deleted. */
export function readSessionStatus(runtime: Runtime, session: Session): SessionStatus | null {
  const { store, processes, now } = runtime;
  return store.read((sql) => {
    const open = findIncomplete(sql, processes, now(), { except: session.id, limit: 100 });
    const dead = open.filter((one) => readState(sql, runtime, one.session).state === "died");
    return {
      view: toSessionView(sql, runtime, session),
      latest: checkpoints.latest(sql, session.id),
      died: dead.length,
      offeredHere: dead.filter(({ offer }) => offer?.chat === session.id).length,
      driver: store.driver,
    };
  }, null);
}
