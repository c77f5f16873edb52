import { capture } from "../checkpoints/capture.ts";
import type { Runtime } from "../runtime.ts";
import { catchUp } from "../sessions/catch-up.ts";
import { look } from "../sessions/look.ts";
import { dueByTimer } from "../sessions/observe.ts";
import * as clients from "../sessions/clients.ts";
import * as servers from "../sessions/servers.ts";
import * as sessions from "../sessions/sessions.ts";
import * as history from "../signals/history.ts";
import { dropMarked } from "../snapshots/stored-snapshots.ts";
import { backUp, isBackupDue } from "../store/backup.ts";
import { isPaused } from "../store/pause.ts";
import { prune } from "../store/retention.ts";
import * as textIndex from "../store/text-index.ts";
import { drainInto } from "../hooks/spool-hook.ts";
import type { Chat } from "./chat.ts";

/** Readings are taken anew this often, in ms. */
const lookEveryMs = 15_000;
const upkeepEveryMs = 600_000;
/** Rows of processes of an earlier boot are kept for so long. */
const processRowsMs = 7 * 86_400_000;
/** Rewriting a pack is worth it only when this share of it is garbage. */
const routineGarbage = 0.3;

/** The timer's look at the session: what nobody tells (memory, age, texts in the transcript), and a checkpoint if one is due. */
export function lookAfter(chat: Chat, sessionId: string): void {
  const { runtime } = chat;
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  if (!session || session.endedAt !== null) return;
  const last = session.readings.sessionAgeMs?.at ?? 0;
  if (isWithin(runtime.now() - last, lookEveryMs)) return;
  if (runtime.store.read((sql) => isPaused(sql, runtime.now(), session.project), false)) {
    runtime.store.write((sql) => catchUp(sql, runtime.now(), sessionId));
    return;
  }
  const trigger = dueByTimer(look(runtime, session, chat.heard(session)), runtime);
  if (trigger) capture(runtime, { sessionId, trigger }, chat.recent);
}

let lastUpkeepAt = 0;

/** A clock that was set back makes the time since negative: then it is due, too. */
function isWithin(sinceMs: number, everyMs: number): boolean {
  return sinceMs >= 0 && sinceMs < everyMs;
}

/** Spool, backup, retention: by whoever is there, in small portions. */
export function upkeep(runtime: Runtime): void {
  drainInto(runtime);
  if (runtime.store.read(textIndex.isBehind, false)) runtime.store.write(textIndex.takeIn);
  runtime.store.tidy();
  const now = runtime.now();
  if (isWithin(now - lastUpkeepAt, upkeepEveryMs)) return;
  lastUpkeepAt = now;
  if (isBackupDue(runtime.paths.backups, now)) {
    backUp(runtime.store, now, runtime.config.retention.backups).catch((error: unknown) =>
      runtime.log("error", "backup", { error: String(error) }),
    );
  }
  runtime.store.write((sql) => {
    prune(sql, now, runtime.config.retention, 200);
    history.thin(sql, now, { maxAgeMs: runtime.config.retention.maxAgeMs, rows: 500 });
    for (const table of [clients, servers]) table.prune(sql, runtime.processes.boot(), now - processRowsMs);
  });
  void dropMarked(runtime, routineGarbage).catch((error: unknown) =>
    runtime.log("error", "snapshots", { error: String(error) }),
  );
}
