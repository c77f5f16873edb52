import { resolve } from "node:path";
import { realPath } from "../../platform/real-path.ts";
import { ok } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as pauses from "../../store/pause.ts";
import { catchUp } from "../observe/record-transcript.ts";
import { projectRoot } from "../sessions/git-head.ts";
import { isSessionPaused } from "../sessions/paused-session.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Handlers } from "./handlers.ts";

export const pauseHandlers: Handlers<"pauses.list" | "pauses.start" | "pauses.end"> = {
  async "pauses.list"({ runtime }) {
    const { store, now } = await runtime();
    return ok({ pauses: store.read((sql) => pauses.list(sql, now()), []) });
  },
  async "pauses.start"({ runtime }, { forMs, project }) {
    const { store, now } = await runtime();
    const started = { project: projectOf(project), until: forMs === undefined ? null : now() + forMs };
    store.write((sql) => pauses.pause(sql, now(), started.until, started.project));
    return ok({ started, pauses: store.read((sql) => pauses.list(sql, now()), []) });
  },
  async "pauses.end"({ runtime }, { project: folder }) {
    const { store, now } = await runtime();
    const project = projectOf(folder);
    const list = (sql: Sql): pauses.Pause[] => pauses.list(sql, now());
    const ended = pausesOf(store.read(list, []), project).length > 0;
    if (ended)
      store.write((sql) => {
        skipOpenTranscripts(sql, now());
        for (const one of pausesOf(list(sql), project)) pauses.resume(sql, now(), one.project);
      });
    return ok({ ended, project, pauses: store.read(list, []) });
  },
};

function pausesOf(all: readonly pauses.Pause[], project: string | null): pauses.Pause[] {
  return all.filter((one) => (one.project === null ? null : realPath(one.project)) === project);
}

/** [HO10] Skips transcript entries that no hook has reported yet, too. */
function skipOpenTranscripts(sql: Sql, now: number): void {
  for (const session of sessions.listOpen(sql)) {
    if (isSessionPaused(sql, now, session)) catchUp(sql, now, session.id);
  }
}

/** Project root by its real path: clients report that path or a link to it. */
function projectOf(folder: string | undefined): string | null {
  if (folder === undefined) return null;
  const path = realPath(resolve(folder));
  return projectRoot(path) ?? path;
}
