import type { SyncCounts } from "../../contract/machine/workspaces.ts";
import type { EdgeWorkspace } from "../../coordinator-client/edge-config.ts";
import { pluralize } from "../../shared/format.ts";
import { err, ok } from "../../shared/result.ts";
import type { HostContext } from "./handlers.ts";
import type { HostError, HostResult } from "./host.ts";

export async function syncNow(context: HostContext, edge: EdgeWorkspace): Promise<HostResult<SyncCounts>> {
  const { trouble, ...counts } = await syncRound(context, edge);
  if (trouble === null) return ok(counts);
  const waiting = `${pluralize(counts.left, "change")} ${counts.left === 1 ? "waits" : "wait"} on this machine; nothing is lost.`;
  return err({ code: trouble.code, message: `${trouble.message}. ${waiting}` });
}

interface HostRound extends SyncCounts {
  readonly trouble: HostError | null;
}

/** [SY63] Only the host of the machine sends. */
export function syncRound({ syncNow: syncHere }: HostContext, edge: EdgeWorkspace): Promise<HostRound> {
  if (!syncHere) throw new Error("a process beside the host does not sync");
  return syncHere(edge);
}
