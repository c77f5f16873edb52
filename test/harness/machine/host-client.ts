import type { MachineInput } from "#src/contract/machine/operations.ts";
import type { CallOperation, OperationContext, HostClient } from "#src/machine/operations/operation-context.ts";
import { OperationRunner } from "#src/local-mcp/host/operation-runner.ts";
import { createSynchronizer } from "#src/machine/sharing/synchronizer.ts";
import type { RoundOptions, SyncReport } from "#src/machine/sharing/sync-round.ts";
import { recordTakeovers } from "#src/machine/sharing/takeover-notices.ts";
import type { Runtime } from "#src/runtime/runtime.ts";

export async function roundOf(runtime: Runtime, asked?: RoundOptions["asked"]): Promise<SyncReport> {
  const synchronizer = createSynchronizer(runtime, recordTakeovers);
  const report = await synchronizer.syncNow({ isPulling: true, files: "all", ...(asked ? { asked } : {}) });
  await synchronizer.stop();
  return report;
}

export function callsOf(runtime: Runtime): CallOperation {
  const context = { paths: runtime.paths, runtime: () => Promise.resolve(runtime) } as OperationContext;
  const host = new OperationRunner(context);
  return (name, input) => host.call(name, input);
}

/** The host of a machine whose processes are invented. @param context of its operations; absent: none is asked for */
export function hostClientWith(runtime: Runtime, context?: () => Promise<OperationContext>): HostClient {
  return {
    call: async ({ name, input, by }, reports) => {
      if (!context) throw new Error(`${name} was not expected`);
      const own = { ...reports, by, syncNow: (edge: RoundOptions["asked"]) => roundOf(runtime, edge) };
      const host = new OperationRunner({ ...(await context()), ...own });
      const result = await host.call(name, input as MachineInput<typeof name>);
      await host.close();
      return result;
    },
    stayConnected: ({ until, onStored }) =>
      new Promise((resolve) => {
        // Commits of one moment are one call, as from another process.
        let isReported = true;
        const report = (): void => {
          isReported = true;
          onStored?.();
        };
        const unfollow = runtime.store.onCommit(() => {
          if (isReported) setImmediate(report);
          isReported = false;
        });
        const leave = (): void => {
          unfollow();
          resolve();
        };
        if (until.aborted) leave();
        until.addEventListener("abort", leave, { once: true });
      }),
  };
}
