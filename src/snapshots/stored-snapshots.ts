import { runApart } from "../runtime/run-apart.ts";
import type { Runtime } from "../runtime/runtime.ts";
import * as snapshotDrops from "../store/snapshot-drops.ts";
import { dropSnapshots } from "./drop-snapshots.ts";

const portion = 500;

export interface DropOptions {
  readonly maxGarbage: number;
  /** True: repeats until none is left but those that failed, without haste. */
  readonly isAll?: boolean;
}

export interface DropReport {
  readonly dropped: number;
  /** Stay marked for the next call. */
  readonly failures: readonly { readonly repository: string; readonly message: string }[];
}

/** Drops the snapshots that are marked for it, those of an earlier try included. */
export async function dropMarked(runtime: Runtime, { maxGarbage, isAll = false }: DropOptions): Promise<DropReport> {
  const { env, store } = runtime;
  const failures: DropReport["failures"][number][] = [];
  const timeoutMs = isAll ? 600_000 : 60_000;
  for (let dropped = 0; ;) {
    const failed = failures.map(({ repository }) => repository);
    const marked = store.read((sql) => snapshotDrops.list(sql, portion, failed), []);
    for (const [repository, group = []] of Object.entries(Object.groupBy(marked, (one) => one.repository))) {
      const checkpointIds = group.map((one) => one.checkpointId);
      const input = { env: { ...env }, repository, checkpointIds, maxGarbage, timeoutMs };
      const result = await runApart(runtime, "dropSnapshots", dropSnapshots, input);
      if (!result.ok) {
        failures.push({ repository, message: result.error.message });
        continue;
      }
      store.write((sql) => snapshotDrops.remove(sql, checkpointIds));
      dropped += checkpointIds.length;
    }
    if (!isAll || marked.length === 0) return { dropped, failures };
  }
}
