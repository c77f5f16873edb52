import { basename } from "node:path";
import type { Command } from "commander";
import type { CheckpointGroup, ListedCheckpoint } from "../../../contract/machine/sessions.ts";
import type { MachineOutput } from "../../../contract/machine/operations.ts";
import { triggerText } from "../../../contract/checkpoint.ts";
import { oneLine } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { shortPath, table } from "../../screen-text.ts";
import { localTime } from "../../times.ts";

export function addCommand(parent: Command, cli: Cli): void {
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
