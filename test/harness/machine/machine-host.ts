import type { MachineHost } from "#src/local-mcp/host/machine-host.ts";
import { createSynchronizer } from "#src/local-mcp/sync/start-sync.ts";
import type { RoundOptions, SyncReport } from "#src/local-mcp/sync/sync-round.ts";
import { recordTakeovers } from "#src/local-mcp/sync/takeover-notices.ts";
import type { Runtime } from "#src/runtime/runtime.ts";
import { ok } from "#src/shared/result.ts";

/** What the host of a machine does in a round of the sync. */
export async function roundOf(runtime: Runtime, asked?: RoundOptions["asked"]): Promise<SyncReport> {
  const synchronizer = createSynchronizer(runtime, recordTakeovers);
  const report = await synchronizer.syncNow({ isPulling: true, files: "all", ...(asked ? { asked } : {}) });
  await synchronizer.stop();
  return report;
}

/** The host of a machine whose processes are invented. */
export function machineHostWith(runtime: Runtime): MachineHost {
  return {
    syncNow: async (edge) => ok(await roundOf(runtime, edge)),
    attend: ({ until }) =>
      new Promise((resolve) => {
        if (until.aborted) resolve();
        until.addEventListener("abort", () => resolve(), { once: true });
      }),
  };
}
