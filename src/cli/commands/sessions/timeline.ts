import { describeEntry } from "./describe-entry.ts";
import type { SessionContent } from "../../../local-mcp/sessions/session-content.ts";
import { age } from "../../../shared/format.ts";
import { pluralize, oneLine } from "../../screen-text.ts";

export interface TimelineEntry {
  readonly at: number;
  readonly source: "journal" | "signal" | "checkpoint" | "snapshot" | "crash" | "recovery";
  readonly kind: string;
  readonly text: string;
}

const maxLineChars = 160;

/** [CL14] Events of a session, oldest first; within one moment, cause before effect. */
export function timeline(stored: SessionContent): TimelineEntry[] {
  const entries: TimelineEntry[] = [
    ...stored.journal.map(({ at, entry }) => ({
      at,
      source: "journal" as const,
      kind: entry.kind,
      text: describeEntry(entry, maxLineChars),
    })),
    ...stored.signals.map((one) => ({ at: one.at, source: "signal" as const, kind: one.level, text: signalText(one) })),
    ...stored.checkpoints.map((one) => ({
      at: one.at,
      source: "checkpoint" as const,
      kind: one.trigger,
      text: `saved ${one.id} (${one.trigger}, ${one.rawBytes} bytes)`,
    })),
    ...stored.snapshots.map((one) => ({
      at: one.at,
      source: "snapshot" as const,
      kind: one.state,
      text: snapshotText(one),
    })),
    ...stored.crashes.map((one) => ({
      at: one.at,
      source: "crash" as const,
      kind: one.cause,
      text: `died: ${one.cause}. ${one.detail}${unsavedText(one)}`,
    })),
    ...stored.recoveries.map((one) => ({
      at: one.at,
      source: "recovery" as const,
      kind: one.action,
      text: recoveryText(one),
    })),
  ];
  // The sort is stable, so the order above decides within one millisecond.
  return entries.sort((a, b) => a.at - b.at);
}

function signalText({ risk, level, readings }: SessionContent["signals"][number]): string {
  const fill = readings.contextFill
    ? `, context ${Math.round(readings.contextFill.value * 100)} % (${readings.contextFill.source})`
    : "";
  const calls = readings.toolCalls ? `, ${readings.toolCalls.value} tool calls` : "";
  return `risk ${risk} ${level}${fill}${calls}`;
}

function snapshotText({ checkpointId, state, reason, branch, commit }: SessionContent["snapshots"][number]): string {
  const where = commit ? ` as ${commit.slice(0, 12)}${branch ? ` (branch ${branch})` : ""}` : "";
  return `files of ${checkpointId}: ${state}${where}${reason ? `, ${oneLine(reason, maxLineChars)}` : ""}`;
}

function recoveryText({ action, bySession, score, rediscovery }: SessionContent["recoveries"][number]): string {
  const by = bySession ? ` ${action === "offered" ? "to" : "by"} session ${bySession}` : "";
  const rediscoveryText = rediscovery
    ? `; ${rediscovery.isOver ? "before its first edit" : "so far"} it read ${rediscovery.reads} files that the brief named and repeated ${rediscovery.repeats} calls whose result the brief gave`
    : "";
  return `${action}${by}${score === null ? "" : `, restore score ${score} of 100`}${rediscoveryText}`;
}

/** Empty where an older program recorded the death. */
export function unsavedText({
  checkpointAgeMs,
  unsavedEvents,
  unsavedToolCalls,
}: SessionContent["crashes"][number]): string {
  if (unsavedEvents === null) return "";
  const saved = checkpointAgeMs === null ? "no checkpoint" : `last checkpoint ${age(checkpointAgeMs)} before`;
  return ` At its death: ${saved}, ${pluralize(unsavedEvents, "event")} and ${pluralize(unsavedToolCalls ?? 0, "tool call")} after it.`;
}
