import { stateText } from "../../../contract/chat-state.ts";
import type { JournalEntry } from "../../../contract/journal.ts";
import { describeEntry, triggerText } from "../../../local-mcp/host/describe-entry.ts";
import { findSession } from "../../../local-mcp/host/resolve-id.ts";
import { unsavedText } from "../../../local-mcp/host/timeline.ts";
import { readState } from "../../../local-mcp/recovery/session-state.ts";
import { readContent, type SessionContent } from "../../../local-mcp/sessions/session-content.ts";
import type { Session } from "../../../local-mcp/sessions/sessions.ts";
import { ok } from "../../../shared/result.ts";
import { listBackups } from "../../../store/backup.ts";
import { fromHost } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { localTime } from "../../times.ts";

/** [CL22] */
export async function showStored(cli: Cli, id: string): Promise<CommandResult> {
  const runtime = await cli.runtime();
  const found = fromHost(findSession(runtime, id));
  if (!found.ok) return found;
  const session = found.value;
  const content = runtime.store.read((sql) => readContent(sql, session.id), null);
  const shown = runtime.store.read((sql) => readState(sql, runtime, session), null);
  if (!content || !shown) throw new Error(`session ${session.id} was deleted meanwhile`);
  const backups = listBackups(runtime.paths.backups).length;
  const data = { session: { ...session, ...shown }, counts: countRows(content), ...content, copies: { backups } };
  const hints = [
    "content of a checkpoint: `shim sessions show <id>`",
    `copies: ${backups} backups may hold the same; \`shim sessions forget ${session.id}\` deletes all of it`,
  ].map((line) => `${cli.format(line)}\n`);
  return ok({ data, text: [render(session, stateText(shown), content), ...hints].join(""), isVerbatim: true });
}

function countRows(stored: SessionContent): Record<string, number> {
  return Object.fromEntries(Object.entries(stored).map(([name, rows]) => [name, rows.length]));
}

function render(session: Session, state: string, content: SessionContent): string {
  const { readings, owner, waiting, riskMark: _, ...fields } = session;
  const row = Object.entries<string | number | null>({
    ...fields,
    waitingSince: waiting ? localTime(waiting.since) : null,
    owner: owner ? `pid ${owner.pid}, started ${owner.start}, boot ${owner.boot}` : null,
  });
  const parts: Readonly<Record<string, readonly string[]>> = {
    session: [`state: ${state}`, ...row.map(([name, value]) => `${name}: ${fieldText(name, value)}`)],
    readings: readingLines(readings),
    counts: Object.entries(countRows(content)).map(([name, n]) => `${name}: ${n}`),
    journal: content.journal.map((one) => `${localTime(one.at)} ${entryText(one.entry)}`),
    checkpoints: content.checkpoints.map(checkpointText),
    snapshots: content.snapshots.map(formatRow),
    signals: content.signals.map(
      (one) => `${localTime(one.at)} risk ${one.risk} ${one.level}: ${JSON.stringify(one.readings)}`,
    ),
    crashes: content.crashes.map((one) => `${localTime(one.at)} ${one.cause}: ${one.detail}${unsavedText(one)}`),
    recoveries: content.recoveries.map(formatRow),
    clients: content.clients.map((one) => `${localTime(one.at)} pid ${one.pid} calls it ${one.givenId}`),
  };
  const lines = Object.entries(parts).flatMap(([name, all]) => section(name, all));
  return lines.map((line) => `${line}\n`).join("");
}

function section(name: string, lines: readonly string[]): string[] {
  return [
    `${name}${lines.length === 0 ? ": none" : ":"}`,
    ...lines.map((line) => `  ${line.replaceAll("\n", "\n    ")}`),
  ];
}

function readingLines(readings: Session["readings"]): string[] {
  return Object.entries(readings).map(([name, one]) => `${name}: ${one.value} (${one.source}, ${localTime(one.at)})`);
}

function entryText(entry: JournalEntry): string {
  return describeEntry(entry, Number.MAX_SAFE_INTEGER);
}

function formatRow({ at, ...row }: { readonly at: number }): string {
  return `${localTime(at)} ${JSON.stringify(row)}`;
}

function checkpointText(one: SessionContent["checkpoints"][number]): string {
  const sizes = `${one.rawBytes} bytes, ${one.storedBytes} stored, ${one.redactions} secrets removed`;
  return `${localTime(one.at)} ${one.id} (${triggerText(one.trigger)}; ${sizes})\n${one.summary}`;
}

function fieldText(name: string, value: string | number | null): string {
  if (value === null) return "-";
  return name.endsWith("At") && typeof value === "number" ? localTime(value) : String(value);
}
