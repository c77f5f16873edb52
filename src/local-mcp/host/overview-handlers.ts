import { existsSync } from "node:fs";
import { clientStates } from "../../installer/inspect.ts";
import { shimCommand } from "../../platform/shim-command.ts";
import { findSupervisor } from "../../platform/supervisor-mark.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { ok } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as notices from "../../store/notices.ts";
import * as pauses from "../../store/pause.ts";
import { findIncomplete } from "../recovery/detect.ts";
import { asSeen, isAlive } from "../recovery/session-state.ts";
import { hasDied } from "../sessions/closed-sessions.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Handlers } from "./handlers.ts";
import { toSessionView } from "./session-view.ts";
import { settle } from "./settle.ts";

const recentMs = 86_400_000;
const maxShown = { finished: 5, incomplete: 20 };

export const overviewHandlers: Handlers<"overview.get" | "team.overview" | "clients.list"> = {
  async "overview.get"({ runtime: load, call }) {
    const runtime = await load();
    await settle(runtime, call);
    const { path } = runtime.store;
    const now = runtime.now();
    const empty = { sessions: [], notices: [], pauses: [] };
    const views = runtime.store.read((sql) => {
      return {
        sessions: sessionsToShow(sql, runtime, maxShown).map((one) => toSessionView(sql, runtime, one)),
        notices: notices.list(sql),
        pauses: pauses.list(sql, now),
      };
    }, empty);
    const supervisor = findSupervisor(runtime.paths.home, runtime.processes);
    return ok({
      at: now,
      store: { path, isThere: existsSync(path) },
      ...views,
      supervisor: supervisor && { pid: supervisor.pid },
    });
  },
  "team.overview": async ({ runtime, site, team }, { maxAgeMs }) =>
    ok(await team.read(await runtime(), maxAgeMs, shimCommand(site) ?? "shim")),
  "clients.list": (context) => ok({ clients: clientStates(context) }),
};

/** Those that are alive, those that can come back, and the newest that ended within a day. */
export function sessionsToShow(
  sql: Sql,
  runtime: Runtime,
  { finished: maxFinished, incomplete }: Readonly<Record<"finished" | "incomplete", number>>,
): sessions.Session[] {
  const now = runtime.now();
  const alive = [...sessions.listOpen(sql)].filter((one) => isAlive(runtime, one));
  const dead = findIncomplete(sql, runtime.processes, now, { limit: incomplete, accepts: hasDied });
  const recent = sessions.list(sql, { since: now - recentMs, limit: 200 });
  const finished = recent.filter((one) => asSeen(sql, runtime, one).endedAt !== null);
  return [...alive, ...dead.map(({ session }) => session), ...finished.slice(0, maxFinished)];
}
