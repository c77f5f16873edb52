import type { AuditEntry } from "../../../contract/workspaces.ts";
import type { Silence, WorkspaceCounts } from "../../../experiments/workspace/guardrails.ts";
import { ok } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import { detailOf } from "./team-history.ts";
import type { TrialLink } from "./workspace-trials.ts";

const maxEntries = 500;

/** Totals since the workspace's start. Two calls. */
export async function readCounts(link: TrialLink): Promise<CliResult<WorkspaceCounts>> {
  const sampled = await link.call("metrics", {});
  if (!sampled.ok) return sampled;
  const budgets = await link.call("budgets.get", {});
  if (!budgets.ok) return budgets;
  const { samples } = sampled.value;
  const count = (name: string, label: string, values: readonly string[] | null): number =>
    samples
      .filter((one) => one.name === name && (values === null || values.includes(one.labels[label] ?? "")))
      .reduce((sum, { value }) => sum + value, 0);
  const done = count("shim_task_ends_total", "outcome", ["done"]);
  const dead = count("shim_task_ends_total", "outcome", ["dead"]);
  return ok({
    ended: done + dead,
    dead,
    attempts: done + count("shim_task_attempts_total", "end", null),
    overdue: count("shim_task_attempts_total", "end", ["timeout", "stalled"]),
    isDaySpent: budgets.value.isDaySpent,
  });
}

/**
 * Chats that went offline by silence in the last `windowMs`, from the newest 500 that went offline.
 * A workspace without older chats is as old as its first.
 */
export async function readSilence(link: TrialLink, windowMs: number): Promise<CliResult<Silence>> {
  const gone = await link.call("audit.list", { kind: "chat.offline", limit: maxEntries });
  if (!gone.ok) return gone;
  const registered = await link.call("audit.list", { kind: "chat.registered", limit: maxEntries });
  if (!registered.ok) return registered;
  const silentMs = Math.min(windowMs, coveredMs(gone.value.entries, registered.value.entries));
  const silent = gone.value.entries.filter(
    (entry) => entry.ageMs <= silentMs && detailOf(entry)["reason"] === "timeout",
  ).length;
  return ok({ silent, silentMs });
}

function coveredMs(gone: readonly AuditEntry[], registered: readonly AuditEntry[]): number {
  if (gone.length === maxEntries) return gone.at(-1)?.ageMs ?? 0;
  return registered.length === maxEntries ? Infinity : (registered.at(-1)?.ageMs ?? 0);
}
