import { hostname } from "node:os";
import type { SyncCounts } from "../../contract/machine/workspaces.ts";
import { nodePlatform } from "../../coordinator-client/edge/node-platform.ts";
import { sleep } from "../../coordinator-client/edge/platform.ts";
import { identify } from "../../platform/processes.ts";
import { pluralize } from "../../shared/format.ts";
import { err, ok } from "../../shared/result.ts";
import { createSynchronizer } from "../sync/start-sync.ts";
import type { SyncReport } from "../sync/sync-round.ts";
import { recordTakeovers } from "../sync/takeover-notices.ts";
import { askHost } from "./ask-host.ts";
import type { HostContext } from "./handlers.ts";
import type { HostResult } from "./host.ts";

const pollIntervalMs = 250;
const maxPolls = 80;

export async function syncNow(context: HostContext): Promise<HostResult<SyncCounts>> {
  const { trouble, ...counts } = await runRounds(context);
  if (trouble === null) return ok(counts);
  const left = pluralize(counts.left, "change");
  if (trouble.code === "not_uploader") {
    const message = `another process of this machine is sending, and ${left} left to send; \`shim join status\` shows how many remain.`;
    return err({ code: "not_synced", message });
  }
  const waiting = `${left} ${counts.left === 1 ? "waits" : "wait"} on this machine; nothing is lost.`;
  return err({ code: trouble.code, message: `${trouble.message}. ${waiting}` });
}

const maxRoundMs = 60_000;

/** The host does the round of a machine whose sender it is. */
async function roundOfHost(context: HostContext): Promise<SyncReport | null> {
  const asked = await askHost(context.paths.home, "POST", "/sync", maxRoundMs);
  return asked.ok ? (asked.value as SyncReport | null) : null;
}

/** A round is repeated while another process of this machine sends. */
export async function runRounds(context: HostContext): Promise<SyncReport> {
  const runtime = await context.runtime();
  const own = identify(runtime.processes, process.pid) ?? { boot: "unknown", pid: process.pid, start: hostname() };
  const platform = nodePlatform();
  const synchronizer = createSynchronizer(runtime, own, recordTakeovers, platform);
  let report = await synchronizer.syncNow();
  if (isSentByOther(report)) report = (await roundOfHost(context)) ?? report;
  for (let polls = 0; isSentByOther(report) && report.left > 0 && polls < maxPolls; polls++) {
    await sleep(platform, pollIntervalMs);
    report = await synchronizer.syncNow();
  }
  await synchronizer.stop();
  return isSentByOther(report) && report.left === 0 ? { ...report, trouble: null } : report;
}

function isSentByOther({ trouble }: SyncReport): boolean {
  return trouble?.code === "not_uploader";
}
