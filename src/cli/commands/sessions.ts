import { rmSync } from "node:fs";
import { basename, isAbsolute } from "node:path";
import type { Command } from "commander";
import { clientTitle } from "../../clients/adapters.ts";
import { stateText, stateWords } from "../../contract/chat-state.ts";
import { triggerText } from "../../contract/checkpoint.ts";
import type { MachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import type {
  CheckpointGroup,
  ElsewhereView,
  ListedCheckpoint,
  SessionView,
  TimelineEntry,
} from "../../contract/machine/sessions.ts";
import { readFileLines } from "../../platform/line-file.ts";
import { oneLine, pluralize } from "../../shared/format.ts";
import { ok } from "../../shared/result.ts";
import { type CliResult, wrongUsage } from "../answer.ts";
import { type Cli, type CommandResult, type CommonOptions, limitOption } from "../cli.ts";
import { defineOperation } from "../operation-command.ts";
import { shortPath, table } from "../screen-text.ts";
import { localTime } from "../times.ts";
import type { Columns, View } from "../views.ts";

export function addCommand(program: Command, cli: Cli): void {
  const sessions = defineOperation(cli, program, "sessions", { operation: "sessions.list", view: listView });
  addShow(sessions, cli);
  addSearch(sessions, cli);
  addName(sessions, cli);
  addForget(sessions, cli);
  addTransfer(sessions, cli);
}

type Listed = MachineOutput<"sessions.list">;

function listView(
  { sessions, project, elsewhere }: Listed,
  cli: Cli,
  { incomplete = false, allMachines = false }: MachineInput<"sessions.list">,
): string {
  const own = cli.table(sessions, columnsOf(cli), noneText(incomplete, project, allMachines));
  return allMachines ? `${own}\n${othersText(cli, elsewhere)}` : own;
}

/** [CL88] Names this machine when other machines are in the same answer. */
function noneText(isIncomplete: boolean, root: string | null, isOfMany: boolean): string {
  const title = isIncomplete ? "No session died unfinished" : "No sessions";
  return `${title}${root === null ? "" : ` in ${root}`}${isOfMany ? " on this machine" : ""}.\n`;
}

function othersText(cli: Cli, elsewhere: Listed["elsewhere"]): string {
  if (elsewhere === null)
    return "Other machines: none. This machine has not joined a workspace, or has no key of it (`shim join status`).\n";
  if (elsewhere.length === 0) return "Other machines: none.\n";
  return `Other machines:\n${cli.table(elsewhere, elsewhereColumns(cli))}`;
}

type Times = Pick<SessionView, "lastSeenAt" | "savedAt">;

function timesOf(cli: Cli): Columns<Times> {
  return {
    SEEN: ({ lastSeenAt }) => cli.ago(lastSeenAt),
    SAVED: ({ savedAt }) => (savedAt === null ? "never" : cli.ago(savedAt)),
  };
}

const stateColumns: Columns<Pick<SessionView, "shortId" | "state" | "detail">> = {
  ID: ({ shortId }) => shortId,
  STATE: ({ state }) => stateWords[state],
  DETAIL: ({ detail }) => detail ?? "-",
};

function columnsOf(cli: Cli): Columns<SessionView> {
  const home = cli.io.env["HOME"] ?? "";
  return {
    ...stateColumns,
    CLIENT: clientTitle,
    ...timesOf(cli),
    CHECKPOINTS: ({ checkpoints }) => String(checkpoints),
    PROJECT: ({ project }) => shortPath(project ?? "-", home),
    TITLE: ({ title }) => oneLine(title ?? "-", 60),
  };
}

function elsewhereColumns(cli: Cli): Columns<ElsewhereView> {
  return {
    ...stateColumns,
    ...timesOf(cli),
    CHECKPOINTS: ({ checkpoints }) => String(checkpoints),
    MACHINE: ({ machine }) => machine,
    "PROJECT THERE": ({ project }) => oneLine(project ?? "-", 40),
    TITLE: ({ title }) => oneLine(title ?? "-", 50),
  };
}

interface ShowOptions extends CommonOptions {
  readonly stored?: boolean;
  readonly limit?: number;
}

function addShow(parent: Command, cli: Cli): void {
  const command = parent
    .command("show <id>")
    .description("what happened in a session, then its checkpoints; of a checkpoint the whole state")
    .option("--stored", "everything that is stored about the session, in full")
    .addOption(limitOption(20, "at most this many checkpoints"));
  cli.define(command, (options: ShowOptions, id: string) => show(cli, options, id));
}

/** [CL273] */
async function show(cli: Cli, { stored, limit }: ShowOptions, given: string): Promise<CommandResult> {
  const found = await cli.call("sessions.find", { id: given });
  if (!found.ok) return found;
  const { kind, id } = found.value;
  if (kind === "checkpoint") return showCheckpoint(cli, id);
  if (stored !== true) return showSession(cli, id, limit);
  const answer = await cli.call("sessions.stored", { session: id });
  return answer.ok
    ? ok({ data: answer.value, text: storedView(answer.value, cli, { session: id }), isVerbatim: true })
    : answer;
}

async function showSession(cli: Cli, id: string, limit: number | undefined): Promise<CommandResult> {
  const answer = await cli.call("sessions.show", { session: id, ...(limit === undefined ? {} : { limit }) });
  if (!answer.ok) return answer;
  const { session, timeline, checkpoints, total } = answer.value;
  const { causeDetail, title } = session;
  const verdict = `${stateText(session)}${causeDetail === null ? "" : `. ${causeDetail}`}`;
  const text = [
    `${session.id} (${title ?? "untitled"}, ${clientTitle(session)})`,
    verdict,
    "",
    ...timeline.map((entry) => formatLine(cli, entry)),
    "",
    checkpointsText(cli, checkpoints, total),
  ].join("\n");
  return ok({ data: answer.value, text, isVerbatim: true });
}

const sourceColours: Partial<Record<TimelineEntry["source"], "green" | "red" | "cyan" | "yellow">> = {
  checkpoint: "green",
  crash: "red",
  recovery: "cyan",
  signal: "yellow",
};

function formatLine(cli: Cli, entry: TimelineEntry): string {
  const source = entry.source.padEnd(10);
  const colour = sourceColours[entry.source];
  return `${localTime(entry.at)}  ${colour ? cli.paint(colour, source) : source}  ${entry.text.replaceAll(/\s+/g, " ")}`;
}

function addSearch(parent: Command, cli: Cli): void {
  defineOperation(cli, parent, "search", {
    operation: "sessions.search",
    rest: "text",
    isVerbatim: true,
    view: foundText,
  });
}

/** The newest checkpoints of one session. @param total the text says how to see more */
export function checkpointsText(cli: Cli, checkpoints: readonly ListedCheckpoint[], total: number): string {
  if (checkpoints.length === 0) return "No checkpoints.\n";
  const hint = cli.format(
    "`shim sessions show <id>` prints a checkpoint, `shim restore <id>` brings its files back.\n",
  );
  const { head, rows } = checkpointTable(cli, checkpoints);
  const more = total - checkpoints.length;
  const moreText = more === 0 ? [] : [`  ${more} more: add \`--limit ${total}\``];
  return `${[head, ...rows, ...moreText].join("\n")}\n${hint}`;
}

function foundText({ text, sessions, missing }: MachineOutput<"sessions.search">, cli: Cli): string {
  if (missing !== null) cli.progress(`The newest checkpoints are not searched: ${missing}`);
  if (sessions.length === 0) return `Nothing found for "${oneLine(text, 80)}".\n`;
  const width = cli.io.size().columns - 6;
  return groupsText(cli, sessions, (one) => matchingLines(one, text).map((line) => `      ${oneLine(line, width)}`));
}

function matchingLines({ summary, contents }: ListedCheckpoint, words: string): string[] {
  const terms = words.toLowerCase().split(/\s+/);
  const [, ...behindTitle] = summary.split("\n");
  const lines = behindTitle.filter((line) => line !== contents.lastRequest);
  return lines.filter((line) => terms.some((word) => line.toLowerCase().includes(word))).slice(0, 3);
}

/** The whole state in one checkpoint. */
export async function showCheckpoint(cli: Cli, id: string): Promise<CommandResult> {
  const answer = await cli.call("checkpoints.get", { checkpoint: id });
  if (!answer.ok) return answer;
  const { checkpoint, state, snapshot } = answer.value;
  const text = [
    checkpoint.id,
    `saved: ${localTime(checkpoint.at)} (${cli.ago(checkpoint.at)}), because: ${triggerText(checkpoint.trigger)}`,
    `session: ${checkpoint.session}`,
    `size: ${checkpoint.rawBytes} bytes, ${checkpoint.redactions} secrets removed, sha256 ${checkpoint.hash}`,
    cli.format(`files: ${filesText(checkpoint.shortId, snapshot)}`),
    "state:",
    JSON.stringify(state, null, 2),
    "",
  ].join("\n");
  return ok({ data: answer.value, text, isVerbatim: true });
}

function filesText(id: string, snapshot: MachineOutput<"checkpoints.get">["snapshot"]): string {
  if (!snapshot) return "none";
  const why = snapshot.reason ? ` (${snapshot.reason})` : "";
  const hint = snapshot.state === "done" ? `, \`shim restore ${id}\` brings them back` : "";
  return `${snapshot.state}${why}${hint}`;
}

/** A head and rows, in columns of one width. */
function checkpointTable(
  cli: Cli,
  checkpoints: readonly ListedCheckpoint[],
): { readonly head: string; readonly rows: string[] } {
  const { columns } = cli.io.size();
  const cells = checkpoints.map((one) => toRow(cli, one, columns));
  const heads = [["  CHECKPOINT", "SAVED", "BECAUSE", "LAST REQUEST", "LAST TOOL", "CHANGED FILES"]];
  const [head = "", ...rows] = table([...heads, ...cells], columns)
    .trimEnd()
    .split("\n");
  return { head, rows };
}

type ExtraLines = (one: ListedCheckpoint) => readonly string[];

function groupsText(cli: Cli, groups: readonly CheckpointGroup[], extraLines: ExtraLines): string {
  const { head, rows } = checkpointTable(
    cli,
    groups.flatMap((group) => group.checkpoints),
  );
  const blocks = groups.map((group) => {
    const groupRows = group.checkpoints.flatMap((one) => [rows.shift() ?? "", ...extraLines(one)]);
    return [formatHeading(cli, group), ...groupRows, ...moreLines(group)].join("\n");
  });
  return `${[head, ...blocks].join("\n")}\n`;
}

function formatHeading(cli: Cli, { shortId, title, project }: CheckpointGroup): string {
  const folder = project === null ? "" : `  ${shortPath(project, cli.io.env["HOME"] ?? "")}`;
  return cli.paint("bold", `${shortId}  ${oneLine(title ?? "untitled", 60)}${folder}`);
}

function moreLines({ shortId, total, checkpoints: shown }: CheckpointGroup): string[] {
  const more = total - shown.length;
  return more === 0 ? [] : [`  ${more} more: add \`--session ${shortId}\``];
}

function toRow(cli: Cli, one: ListedCheckpoint, columns: number): string[] {
  const room = Math.max(16, Math.floor((columns - 50) / 3));
  const { lastRequest, lastTool, changedFiles, isDamaged } = one.contents;
  const tool = lastTool === null ? "-" : `${lastTool.name} ${lastTool.input}`;
  const request = isDamaged ? "(damaged)" : (lastRequest ?? "-");
  return [
    `  ${one.shortId}`,
    cli.ago(one.at),
    triggerText(one.trigger),
    oneLine(request, room),
    oneLine(tool, room),
    oneLine(fileNames(changedFiles), room),
  ];
}

const maxFileNames = 3;

function fileNames(paths: readonly string[]): string {
  if (paths.length === 0) return "-";
  const names = paths
    .slice(-maxFileNames)
    .toReversed()
    .map((path) => basename(path));
  const more = paths.length - names.length;
  return `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** [CL22] */
export const storedView: View<MachineOutput<"sessions.stored">> = ({ session, copies, ...tables }, cli) => {
  const fields = Object.entries(session).map(([name, value]) => `${name}: ${fieldText(name, value)}`);
  const sections = Object.entries(tables).map(([name, rows]) => section(name, rows.map(rowText)));
  const hints = [
    "content of a checkpoint: `shim sessions show <id>`",
    `copies: ${copies.backups} backups may hold the same; \`shim sessions forget ${session.id}\` deletes all of it`,
  ].map((line) => cli.format(line));
  return [section("session", fields), ...sections, ...hints, ""].join("\n");
};

function section(name: string, lines: readonly string[]): string {
  const head = `${name} (${lines.length})`;
  return [head, ...lines.map((line) => `  ${line.replaceAll("\n", "\n    ")}`)].join("\n");
}

function rowText({ at, text, ...row }: { readonly at: number; readonly text?: unknown }): string {
  return `${localTime(at)} ${typeof text === "string" ? text : JSON.stringify(row)}`;
}

function fieldText(name: string, value: unknown): string {
  if (name.endsWith("At") && typeof value === "number") return localTime(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

function addForget(parent: Command, cli: Cli): void {
  defineOperation(cli, parent, "forget", {
    operation: "sessions.forget",
    args: ["target"],
    fixed: { isCheckpoint: false, keepsCopies: false },
    before: async ({ target }) => {
      const label = await labelOf(cli, target);
      return label.ok
        ? ok(label.value && `Delete ${label.value}, with all snapshots and backups? This cannot be undone.`)
        : label;
    },
    view: ({ sessions, checkpoints, snapshots, rows }) => [
      `Forgotten: ${pluralize(sessions, "session")}, ${pluralize(checkpoints, "checkpoint")}, ${pluralize(snapshots, "snapshot")}, ${pluralize(rows, "row")} in all. Older backups are deleted too.`,
    ],
  });
}

/** @returns null: nothing is there to be deleted but what an earlier call has left */
async function labelOf(cli: Cli, target: string): Promise<CliResult<string | null>> {
  if (isAbsolute(target)) {
    const listed = await cli.call("sessions.list", { project: target, limit: 10_000 });
    if (!listed.ok) return listed;
    const { sessions, project } = listed.value;
    warnOfLiving(
      cli,
      sessions.some(({ isAlive }) => isAlive),
    );
    return ok(sessions.length === 0 ? null : `${pluralize(sessions.length, "session")} of ${project}`);
  }
  const found = await cli.call("sessions.find", { id: target });
  if (!found.ok) return found.error.code === "not_found" ? ok(null) : found;
  const { kind, id, title, isAlive } = found.value;
  warnOfLiving(cli, isAlive);
  return ok(kind === "session" ? `session ${id} (${oneLine(title ?? "untitled", 60)})` : null);
}

function warnOfLiving(cli: Cli, isAlive: boolean): void {
  if (!isAlive) return;
  cli.progress("It is still running, so it is stored again from its next event on. Run `shim pause` first, or end it.");
}

function addName(parent: Command, cli: Cli): void {
  defineOperation(cli, parent, "name", {
    operation: "sessions.name",
    args: ["session", "name"],
    view: ({ shortId, name, title }) => [
      name === null
        ? `${shortId} has no name now; its title is "${title ?? "untitled"}".`
        : `${shortId} is called "${name}".`,
    ],
  });
}

function addTransfer(parent: Command, cli: Cli): void {
  addExport(parent, cli);
  addImport(parent, cli);
}

function addExport(parent: Command, cli: Cli): void {
  defineOperation(cli, parent, "export", {
    operation: "sessions.export",
    args: ["file"],
    before: async ({ file }, _cli, { json }) =>
      file === undefined && json === true
        ? wrongUsage("with --json name a file: without one stdout holds the export itself.")
        : ok(null),
    view: ({ file, isTemporary, lines, session }) => {
      if (isTemporary) return print(cli, file);
      const what = session === null ? pluralize(lines, "line") : `session ${session}`;
      return `Exported ${what} to ${file}. Snapshots of files are not in it.\n`;
    },
  });
}

function print(cli: Cli, file: string): string {
  try {
    for (const line of readFileLines(file)) cli.io.stdout(`${line}\n`);
    return "";
  } finally {
    rmSync(file);
  }
}

function addImport(parent: Command, cli: Cli): void {
  defineOperation(cli, parent, "import", {
    operation: "sessions.import",
    args: ["file"],
    view: ({ added, skipped }) => [`Imported ${pluralize(added, "row")}; already here: ${skipped}.`],
  });
}
