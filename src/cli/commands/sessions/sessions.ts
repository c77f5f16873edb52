import { clientTitle } from "../../../clients/client-title.ts";
import { stateText, stateWords, type ShownState } from "../../../contract/chat-state.ts";
import type { Command } from "commander";
import { ok } from "../../../shared/result.ts";
import type { JournalEntry } from "../../../contract/journal.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { findIncomplete } from "../../../local-mcp/recovery/detect.ts";
import { recordFinishedHere } from "../../../local-mcp/recovery/finished-tasks.ts";
import type { Session } from "../../../local-mcp/sessions/sessions.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import { readContent, type SessionContent } from "../../../local-mcp/sessions/session-content.ts";
import { listBackups } from "../../../store/backup.ts";
import { limitOption, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { describeEntry, triggerText } from "./describe-entry.ts";
import { projectOfFolder } from "../../resolve-id.ts";
import { oneLine, shortPath, table } from "../../screen-text.ts";
import { toSessionView, type SessionView } from "./session-view.ts";
import { unsavedText } from "./timeline.ts";
import { localTime } from "../../times.ts";
import { findElsewhere } from "../../../local-mcp/recovery/remote-candidates.ts";
import { readRemoteState, stateOfDead } from "../../../local-mcp/recovery/remote-state.ts";
import { readState } from "../../../local-mcp/recovery/session-state.ts";
import { toSession } from "../../../local-mcp/recovery/remote-session.ts";
import * as remoteSessions from "../../../local-mcp/sync/remote-sessions.ts";
import type { RemoteSession } from "../../../local-mcp/sync/remote-sessions.ts";
import { withOtherMachines, type OtherMachines } from "../recover/other-machines.ts";

interface ListOptions extends CommonOptions {
  readonly incomplete?: boolean;
  readonly project?: string;
  readonly allMachines?: boolean;
  readonly limit?: number;
}

const defaultLimit = 20;

export function addSessions(program: Command, cli: Cli): Command {
  const command = program
    .command("sessions")
    .description("list sessions; `show <id>` prints what happened in one")
    .option("--incomplete", "only those that can be continued")
    .option("--project <folder>", "only those of this project")
    .option("--all-machines", "also those of the workspace's other machines")
    .addOption(limitOption(defaultLimit));
  return cli.define(command, (options: ListOptions) => list(cli, options));
}

async function list(cli: Cli, options: ListOptions): Promise<CommandResult> {
  const runtime = await cli.runtime();
  recordFinishedHere(runtime);
  const views = findViews(cli, runtime, options);
  const text = views.length === 0 ? noneText(cli, runtime, options) : sessionTable(cli, views);
  if (options.allMachines !== true) return ok({ data: { sessions: views }, text });
  const elsewhere = await listElsewhere(cli, {
    isIncomplete: options.incomplete === true,
    limit: options.limit ?? defaultLimit,
    ...(options.project === undefined ? {} : { root: projectOfFolder(runtime, cli.io.cwd, options.project) }),
  });
  return ok({ data: { sessions: views, elsewhere: elsewhere ?? [] }, text: `${text}\n${othersText(cli, elsewhere)}` });
}

/** [CL88] Names this machine when other machines are in the same answer. */
function noneText(cli: Cli, runtime: Runtime, { incomplete, project, allMachines }: ListOptions): string {
  const title = incomplete ? "No session died unfinished" : "No sessions";
  const where = project === undefined ? "" : ` in ${projectOfFolder(runtime, cli.io.cwd, project)}`;
  return `${title}${where}${allMachines ? " on this machine" : ""}.\n`;
}

function othersText(cli: Cli, elsewhere: readonly ElsewhereView[] | null): string {
  if (elsewhere === null)
    return "Other machines: none. This machine has not joined a workspace, or has no key of it (`shim join status`).\n";
  return elsewhere.length === 0 ? "Other machines: none.\n" : `Other machines:\n${elsewhereTable(cli, elsewhere)}`;
}

function findViews(cli: Cli, runtime: Runtime, options: ListOptions): SessionView[] {
  const limit = options.limit ?? defaultLimit;
  const filter =
    options.project === undefined ? {} : { project: projectOfFolder(runtime, cli.io.cwd, options.project) };
  return runtime.store.read((sql) => {
    const rows = options.incomplete
      ? findIncomplete(sql, runtime.processes, runtime.now(), { ...filter, limit }).map((one) => one.session)
      : sessions.list(sql, { ...filter, limit });
    return rows.map((row) => toSessionView(sql, runtime, row));
  }, []);
}

function sessionTable(cli: Cli, views: readonly SessionView[]): string {
  const home = cli.io.env["HOME"] ?? "";
  const rows = views.map((one) => [
    one.shortId,
    stateWords[one.state],
    one.detail ?? "-",
    clientTitle(one),
    cli.ago(one.lastSeenAt),
    one.savedAt === null ? "never" : cli.ago(one.savedAt),
    String(one.checkpoints),
    shortPath(one.project ?? "-", home),
    oneLine(one.title ?? "-", 60),
  ]);
  return table(
    [["ID", "STATE", "DETAIL", "CLIENT", "SEEN", "SAVED", "CHECKPOINTS", "PROJECT", "TITLE"], ...rows],
    cli.io.size().columns,
  );
}

export function showStored(cli: Cli, runtime: Runtime, session: Session): CommandResult {
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

/** Printed as JSON: fields are only added. */
interface ElsewhereView extends Pick<
  SessionView,
  | "id"
  | "shortId"
  | "state"
  | "detail"
  | "client"
  | "project"
  | "title"
  | "startedAt"
  | "lastSeenAt"
  | "savedAt"
  | "checkpoints"
> {
  readonly machine: string;
  readonly takenBy: { readonly chat: string; readonly machine: string } | null;
}

interface ElsewhereFilter {
  readonly isIncomplete: boolean;
  /** Root whose project filters the sessions; absent: all. */
  readonly root?: string;
  readonly limit: number;
}

/** [RE102] @returns null: this machine belongs to no workspace on an edge, or has no key of it */
function listElsewhere(cli: Cli, { isIncomplete, root, limit }: ElsewhereFilter): Promise<ElsewhereView[] | null> {
  return withOtherMachines(cli, async (others) => {
    if (others === null) return null;
    const { context, short } = others;
    const project = root === undefined ? undefined : await others.projectOf(root);
    if (isIncomplete) {
      const found = await findElsewhere(context, project, limit);
      return found.map((one) => toView(one.row, short, stateOfDead(one, cli.io.now(), null)));
    }
    const { runtime, mirror } = context;
    const rows = runtime.store.read(
      (sql) => remoteSessions.list(sql, mirror.workspace, project === undefined ? {} : { project }),
      [],
    );
    const shown = rows.filter(({ device }) => device !== mirror.device).slice(0, limit);
    return Promise.all(shown.map(async (row) => toView(row, short, await readRemoteState(context, row, short))));
  });
}

function toView(remote: RemoteSession, short: OtherMachines["short"], shown: ShownState): ElsewhereView {
  const { machine, checkpoints, taken } = remote;
  const { id, client, project, title, startedAt, lastSeenAt, savedAt } = toSession(remote);
  const takenBy = taken && { chat: taken.chat, machine: taken.machine };
  const row = { client, project, title, startedAt, lastSeenAt, savedAt, checkpoints };
  return { id, shortId: short(id), ...shown, machine, ...row, takenBy };
}

function elsewhereTable(cli: Cli, views: readonly ElsewhereView[]): string {
  const rows = views.map((one) => [
    one.shortId,
    stateWords[one.state],
    one.detail ?? "-",
    cli.ago(one.lastSeenAt),
    one.savedAt === null ? "never" : cli.ago(one.savedAt),
    String(one.checkpoints),
    one.machine,
    oneLine(one.project ?? "-", 40),
    oneLine(one.title ?? "-", 50),
  ]);
  const head = ["ID", "STATE", "DETAIL", "SEEN", "SAVED", "CHECKPOINTS", "MACHINE", "PROJECT THERE", "TITLE"];
  return table([head, ...rows], cli.io.size().columns);
}
