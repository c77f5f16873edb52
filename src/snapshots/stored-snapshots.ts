import type { Runtime } from "../runtime/runtime.ts";
import * as snapshotDrops from "../store/snapshot-drops.ts";
import { dropSnapshots } from "./drop-snapshots.ts";

const dropTimeoutMs = 60_000;
const maxDropsPerCall = 500;

/** Drops marked snapshots and returns the failures, which stay marked for the next call. */
export async function dropMarked(runtime: Runtime, maxGarbage: number): Promise<string[]> {
  const marked = runtime.store.read((sql) => snapshotDrops.list(sql, maxDropsPerCall), []);
  const failures: string[] = [];
  for (const [repository, group = []] of Object.entries(Object.groupBy(marked, (one) => one.repository ?? ""))) {
    const checkpointIds = group.map((one) => one.checkpointId);
    const dropped = repository
      ? await dropSnapshots({
          env: runtime.env,
          processes: runtime.processes,
          repository,
          checkpointIds,
          maxGarbage,
          timeoutMs: dropTimeoutMs,
        })
      : { ok: true as const };
    if (dropped.ok) runtime.store.write((sql) => snapshotDrops.remove(sql, checkpointIds));
    else failures.push(dropped.error.message);
  }
  return failures;
}
