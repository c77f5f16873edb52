import { isWithin } from "../../shared/known-time.ts";
import { capture } from "../../machine/checkpoints/capture.ts";
import { timerTrigger } from "../../learning/policy/risk.ts";
import { reviewIfDue } from "../../machine/learning/review-schedule.ts";
import { DeathWatch, recordDeaths } from "../../machine/recovery/incomplete/deaths.ts";
import { attempt } from "../../platform/log-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { catchUp, hasWritten, recordSubagents } from "../../machine/transcripts/record-transcript.ts";
import { refresh } from "../../machine/signals/observe.ts";
import * as clients from "../../machine/sessions/clients.ts";
import { isSessionPaused } from "../../machine/sessions/paused-session.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { unsavedOf } from "../../machine/sessions/session-content.ts";
import { dropMarked } from "../../snapshots/stored-snapshots.ts";
import { backUp, firstCheckpointAt, isBackupDue } from "../../store/backup.ts";
import { prune } from "../../machine/keeping/retention.ts";
import * as textIndex from "../../store/text-index.ts";
import { drainInto } from "../events/answer-hook.ts";
import type { Chat } from "../mcp/chat/chat.ts";

const refreshIntervalMs = 15_000;
/** The same for a session without news, of which only the memory of its machine changes. */
const idleRefreshIntervalMs = 600_000;
const upkeepIntervalMs = 600_000;
const backupCheckIntervalMs = 60_000;
const processRowsMs = 7 * 86_400_000;
/** Share of garbage from which rewriting a pack is worth it. */
const minGarbageShare = 0.3;
const longSilentMs = 3_600_000;

/** Takes the readings that no hook reports, and a due checkpoint. */
export function refreshIfDue(chat: Chat, sessionId: string): void {
  const { runtime } = chat;
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  if (!session || session.endedAt !== null) return;
  const last = session.readings.sessionAgeMs?.at ?? 0;
  // A status line keeps the readings recent, and may be the one that saw the risk rise.
  const age = session.riskMark.pending === null ? runtime.now() - last : Number.POSITIVE_INFINITY;
  if (isWithin(age, refreshIntervalMs)) return;
  if (!isWithin(age, idleRefreshIntervalMs) || hasNews(runtime, session, last)) observeSession(chat, session);
}

/** Whether something has happened in the session since `last`, or is not saved. */
function hasNews({ store }: Runtime, session: sessions.Session, last: number): boolean {
  const isUnsaved = store.read((sql) => unsavedOf(sql, session.id).events, 0) > 0;
  return session.lastSeenAt > last || isUnsaved || hasWritten(session, last);
}

function observeSession(chat: Chat, session: sessions.Session): void {
  const { runtime } = chat;
  const sessionId = session.id;
  if (runtime.store.read((sql) => isSessionPaused(sql, runtime.now(), session), false)) {
    runtime.store.write((sql) => catchUp(sql, runtime.now(), sessionId));
    return;
  }
  const options = { prices: runtime.config.usage.prices, isOver: false };
  runtime.store.write((sql) => recordSubagents(sql, session, runtime.now(), options));
  const { facts, config } = refresh(runtime, session);
  const trigger = timerTrigger(facts, config.checkpoint);
  if (trigger) capture(runtime, { sessionId, trigger });
}

/** The work that a process does for its machine beside others, each part at its interval. */
export class Upkeep {
  readonly #runtime: Runtime;
  readonly #deaths = new DeathWatch();
  #lastRunAt = 0;
  #lastBackupCheckAt = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  run(): void {
    const { store, durations, now: clock, config, log } = this.#runtime;
    drainInto(this.#runtime);
    if (store.read(textIndex.hasPending, false)) store.write(textIndex.indexPending);
    if (durations.isDue) store.write((sql) => durations.store(sql));
    store.checkpointWal();
    this.#deaths.check(this.#runtime);
    const now = clock();
    this.#backUpIfDue(now);
    if (isWithin(now - this.#lastRunAt, upkeepIntervalMs)) return;
    this.#lastRunAt = now;
    // Pruning a session keeps the record of its death. A chat of this host records its own.
    recordDeaths(this.#runtime, ({ lastSeenAt }) => !isWithin(now - lastSeenAt, longSilentMs));
    store.write((sql) => {
      prune(sql, now, config.retention, 200);
      clients.prune(sql, this.#runtime.processes.boot(), now - processRowsMs);
    });
    void attempt(log, "experiments", async () => {
      // Statistics are a large part of the program.
      const { advanceAll } = await import("../../machine/learning/machine-trials.ts");
      advanceAll(this.#runtime);
    });
    reviewIfDue(this.#runtime);
    void attempt(log, "snapshots", () => dropMarked(this.#runtime, { maxGarbage: minGarbageShare }));
  }

  #backUpIfDue(now: number): void {
    const { store, paths, config, log } = this.#runtime;
    if (isWithin(now - this.#lastBackupCheckAt, backupCheckIntervalMs)) return;
    this.#lastBackupCheckAt = now;
    if (!isBackupDue(paths.backups, now, store.read(firstCheckpointAt, null))) return;
    void attempt(log, "backup", () => backUp(store, now, config.retention.backups));
  }
}
