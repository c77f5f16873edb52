import { existsSync } from "node:fs";
import { findSupervisor } from "../../platform/supervisor-lock.ts";
import { ok } from "../../shared/result.ts";
import * as notices from "../../store/notices.ts";
import * as pauses from "../../store/pause.ts";
import { findIncomplete } from "../recovery/detect.ts";
import { recordFinishedHere } from "../recovery/finished-tasks.ts";
import { asSeen, isAlive } from "../recovery/session-state.ts";
import { hasDied } from "../sessions/closed-sessions.ts";
import * as sessions from "../sessions/sessions.ts";
import { clientStates } from "../../installer/client-states.ts";
import type { Handlers } from "./handlers.ts";
import { toSessionView } from "./session-view.ts";

const recentMs = 86_400_000;
const maxShown = { finished: 5, incomplete: 20 };

export const overviewHandlers: Handlers<"overview.get" | "clients.list"> = {
  async "overview.get"({ runtime: load }) {
    const runtime = await load();
    recordFinishedHere(runtime);
    const { path } = runtime.store;
    const now = runtime.now();
    const empty = { sessions: [], notices: [], pauses: [] };
    const views = runtime.store.read((sql) => {
      const alive = [...sessions.listOpen(sql)].filter((one) => isAlive(runtime, one));
      const dead = findIncomplete(sql, runtime.processes, now, { limit: maxShown.incomplete, accepts: hasDied });
      const recent = sessions.list(sql, { since: now - recentMs, limit: 200 });
      const finished = recent.filter((one) => asSeen(sql, runtime, one).endedAt !== null);
      const shown = [...alive, ...dead.map(({ session }) => session), ...finished.slice(0, maxShown.finished)];
      return {
        sessions: shown.map((one) => toSessionView(sql, runtime, one)),
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
  "clients.list": (context) => ok({ clients: clientStates(context) }),
};
