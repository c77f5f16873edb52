import type { Runtime } from "../../../runtime/runtime.ts";
import { findIncomplete } from "../../../local-mcp/recovery/detect.ts";
import { recordFinishedHere } from "../../../local-mcp/recovery/finished-tasks.ts";
import { hasDied } from "../../../local-mcp/sessions/closed-sessions.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import * as notices from "../../../store/notices.ts";
import * as pauses from "../../../store/pause.ts";
import { existsSync } from "node:fs";
import { toSessionView, type SessionView } from "../sessions/session-view.ts";
import type { TeamOverview } from "./team-overview.ts";

export interface ClientState {
  readonly client: string;
  readonly label: string;
  readonly isInstalled: boolean;
}

/** Printed as JSON: fields are only added. */
export interface Overview {
  readonly at: number;
  readonly store: { readonly path: string; readonly isThere: boolean };
  readonly alive: readonly SessionView[];
  readonly incomplete: readonly SessionView[];
  /** Sessions that ended within the last day, newest first. */
  readonly finished: readonly SessionView[];
  readonly notices: readonly notices.Notice[];
  readonly pauses: readonly pauses.Pause[];
  readonly clients: readonly ClientState[];
  readonly team: TeamOverview;
}

const recentMs = 86_400_000;
const maxShown = { finished: 5, incomplete: 20 };

export function readOverview(runtime: Runtime, clients: readonly ClientState[], team: TeamOverview): Overview {
  recordFinishedHere(runtime);
  const now = runtime.now();
  const { path } = runtime.store;
  const empty = { alive: [], incomplete: [], finished: [], notices: [], pauses: [] };
  const views = runtime.store.read((sql) => {
    const open = [...sessions.listOpen(sql)].map((one) => toSessionView(sql, runtime, one));
    const dead = findIncomplete(sql, runtime.processes, now, { limit: maxShown.incomplete, accepts: hasDied });
    const recent = sessions.list(sql, { since: now - recentMs, limit: 200 }).filter((one) => one.endedAt !== null);
    return {
      alive: open.filter((one) => one.state === "alive"),
      incomplete: dead.map((one) => toSessionView(sql, runtime, one.session)),
      finished: recent.slice(0, maxShown.finished).map((one) => toSessionView(sql, runtime, one)),
      notices: notices.list(sql),
      pauses: pauses.list(sql, now),
    };
  }, empty);
  return { at: now, store: { path, isThere: existsSync(path) }, clients, team, ...views };
}
