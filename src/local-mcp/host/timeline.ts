import { triggerText } from "../../contract/checkpoint.ts";
import type { TimelineEntry } from "../../contract/machine/sessions.ts";
import { adapterOf } from "../../clients/adapters.ts";
import { describeEntry } from "./describe-entry.ts";
import type { SessionContent } from "../sessions/session-content.ts";
import { age, pluralize, oneLine } from "../../shared/format.ts";

const maxLineChars = 160;

/** [CL14] Events of a session, oldest first; within one moment, cause before effect. */
export function timeline(stored: SessionContent): TimelineEntry[] {
  const entries: TimelineEntry[] = [
    ...stored.journal.map(({ at, entry }) => from("journal", at, entry.kind, describeEntry(entry, maxLineChars))),
    ...stored.signals.map((one) => from("signal", one.at, one.level, signalText(one))),
    ...stored.checkpoints.map(({ at, id, trigger, rawBytes }) =>
      from("checkpoint", at, trigger, `saved ${id} (${triggerText(trigger)}, ${rawBytes} bytes)`),
    ),
    ...stored.snapshots.map((one) => from("snapshot", one.at, one.state, snapshotText(one))),
    ...stored.crashes.map((one) =>
      from("crash", diedAt(one.at, stored.journal), one.cause, `died: ${one.cause}. ${one.detail}${unsavedText(one)}`),
    ),
    ...stored.recoveries.map((one) => from("recovery", one.at, one.action, recoveryText(one))),
    ...stored.continued.map((one) => from("recovery", one.at, "continues", continuedText(one))),
  ];
  // The sort is stable, so the order above decides within one millisecond.
  return entries.sort((a, b) => a.at - b.at);
}

function from(source: TimelineEntry["source"], at: number, kind: string, text: string): TimelineEntry {
  return { at, source, kind, text };
}

/** [RE187] Events of the same life after the last sighting came before the death. */
function diedAt(at: number, journal: SessionContent["journal"]): number {
  const later = journal.filter((row) => row.at > at);
  const nextLife = later.findIndex(({ entry }) => entry.kind === "start" || entry.kind === "prompt");
  return (nextLife < 0 ? later : later.slice(0, nextLife)).reduce((last, row) => Math.max(last, row.at), at);
}

function signalText({ score, level, readings }: SessionContent["signals"][number]): string {
  const fill = readings.contextFill
    ? `, context ${Math.round(readings.contextFill.value * 100)} % (${readings.contextFill.source})`
    : "";
  const calls = readings.toolCalls ? `, ${readings.toolCalls.value} tool calls` : "";
  return `risk ${score} ${level}${fill}${calls}`;
}

function snapshotText({ checkpointId, state, reason, branch, commit }: SessionContent["snapshots"][number]): string {
  const where = commit ? ` as ${commit.slice(0, 12)}${branch ? ` (branch ${branch})` : ""}` : "";
  return `files of ${checkpointId}: ${state}${where}${reason ? `, ${oneLine(reason, maxLineChars)}` : ""}`;
}

function recoveryText({ action, bySession, score, rediscovery }: SessionContent["recoveries"][number]): string {
  const by = bySession ? ` ${action === "offered" ? "to" : "by"} session ${bySession}` : "";
  const rediscoveryText = rediscovery
    ? `; ${rediscovery.isOver ? "before its first edit" : "so far"} it read ${pluralize(rediscovery.reads, "file")} that the brief named and repeated ${pluralize(rediscovery.repeats, "call")} whose result the brief gave`
    : "";
  return `${action}${by}${score === null ? "" : `, restore score ${score} of 100`}${rediscoveryText}`;
}

function continuedText({ session, client }: SessionContent["continued"][number]): string {
  return `continues session ${session} of ${adapterOf(client)?.title ?? client}`;
}

function unsavedText({ checkpointAgeMs, unsavedEvents, unsavedToolCalls }: SessionContent["crashes"][number]): string {
  const saved = checkpointAgeMs === null ? "no checkpoint" : `last checkpoint ${age(checkpointAgeMs)} before`;
  return ` At its death: ${saved}, ${pluralize(unsavedEvents, "event")} and ${pluralize(unsavedToolCalls, "tool call")} after it.`;
}
