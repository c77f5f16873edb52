import type { SyncCounts } from "../../contract/machine/workspaces.ts";
import type { EdgeWorkspace } from "../../coordinator-client/edge-config.ts";
import { pluralize } from "../../shared/format.ts";
import { err, ok } from "../../shared/result.ts";
import { unsentCount } from "../sync/pending-changes.ts";
import { emptyCounts } from "../sync/sync-round.ts";
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
export async function syncRound({ paths, site, runtime }: HostContext, edge: EdgeWorkspace): Promise<HostRound> {
  const round = await site.machineHost(paths.home).syncNow(edge);
  if (round.ok) return round.value;
  const { store } = await runtime();
  return { ...emptyCounts, left: store.read(unsentCount, 0), trouble: round.error };
}
