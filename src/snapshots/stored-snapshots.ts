import type { Runtime } from "../runtime/runtime.ts";
import * as snapshotDrops from "../store/snapshot-drops.ts";
import { dropSnapshots } from "./drop-snapshots.ts";

const dropTimeoutMs = 60_000;
/** Snapshots dropped by one call. */
const maxDropsPerCall = 500;

/**
 * Removes the files of checkpoints that are gone from SHIM's repositories. What fails stays marked, so the next call repeats it.
 *
 * @param maxGarbage see {@link dropSnapshots}: 0 to forget, more for routine retention
 * @returns why some could not be removed
 */
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
