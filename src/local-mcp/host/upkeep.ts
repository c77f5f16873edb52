import { reviewIfDue } from "../../machine/learning/review-schedule.ts";
import { DeathWatch, recordDeaths } from "../../machine/recovery/incomplete/deaths.ts";
import * as clients from "../../machine/sessions/clients.ts";
import { prune, pruneTime } from "../../machine/view/keeping/retention.ts";
import { removeLeftovers, temporaryNames } from "../../platform/leftovers.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/known-time.ts";
import { dropMarked } from "../../snapshots/stored-snapshots.ts";
import { firstCheckpointAt, isBackupDue } from "../../store/backup.ts";
import { backUp } from "../../store/copy-store.ts";
import { retrySetAside } from "../../store/spool.ts";
import { experiments } from "../../store/session-tables.ts";
import * as textIndex from "../../store/text-index.ts";
import { drainInto } from "../events/answer-hook.ts";

/** Work for the machine that comes again and again. */
export interface TimedWork {
  readonly name: string;
  /** Least time between two runs, in ms; 0: with each tick. */
  readonly everyMs: number;
  /** The next run waits for the end of this one. */
  readonly work: (now: number) => Promise<unknown> | void;
}

const durationsMs = 10_000;
const backupMs = 60_000;
const seldomMs = 600_000;
const processRowsMs = 7 * 86_400_000;
/** Share of garbage from which rewriting a pack is worth it. */
const minGarbageShare = 0.3;
const longSilentMs = 3_600_000;

/** In their order. */
export function upkeep(runtime: Runtime): readonly TimedWork[] {
  const { store, durations, paths, processes } = runtime;
  const deaths = new DeathWatch();
  return [
    { name: "spool", everyMs: 0, work: () => void drainInto(runtime) },
    {
      name: "text index",
      everyMs: 0,
      work: () => void (store.read(textIndex.hasPending, false) && store.write(textIndex.indexPending)),
    },
    { name: "durations", everyMs: durationsMs, work: () => durations.store(store) },
    { name: "log of the store", everyMs: 0, work: () => store.checkpointWal() },
    { name: "deaths", everyMs: 0, work: () => deaths.check(runtime) },
    {
      name: "backup",
      everyMs: backupMs,
      work: (now) => {
        const isDue = isBackupDue(paths.backups, now, store.read(firstCheckpointAt, null));
        return isDue ? backUp(store, now, runtime.config.retention.backups) : undefined;
      },
    },
    {
      name: "left files",
      everyMs: seldomMs,
      work: (now) => {
        for (const folder of [paths.home, paths.spool]) removeLeftovers(folder, temporaryNames);
        retrySetAside(paths.spool, now);
      },
    },
    {
      name: "retention",
      everyMs: seldomMs,
      work: (now) => {
        // Pruning a session keeps the record of its death. A chat of this host records its own.
        recordDeaths(runtime, ({ lastSeenAt }) => !isWithin(now - lastSeenAt, longSilentMs));
        store.write((sql) => {
          prune(sql, pruneTime(sql, now), runtime.config.retention, 200);
          clients.prune(sql, processes.boot(), now - processRowsMs);
        });
      },
    },
    {
      name: "experiments",
      everyMs: seldomMs,
      work: async () => {
        // Statistics are a large part of the program, which most machines never need.
        if (runtime.store.read((sql) => experiments.count(sql), 0) === 0) return;
        (await import("../../machine/learning/machine-trials.ts")).advanceAll(runtime);
      },
    },
    { name: "review", everyMs: seldomMs, work: () => reviewIfDue(runtime) },
    { name: "garbage", everyMs: seldomMs, work: () => dropMarked(runtime, { maxGarbage: minGarbageShare }) },
  ];
}
