import { basename } from "node:path";
import type { Command } from "commander";
import type { WorkState } from "../../../contract/work-state.ts";
import { messageOf } from "../../../shared/error.ts";
import { ok, type Result } from "../../../shared/result.ts";
import * as checkpoints from "../../../local-mcp/checkpoints/checkpoints.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { StoreError } from "../../../store/store-error.ts";
import * as textIndex from "../../../store/text-index.ts";
import { findSnapshot, type StoredSnapshotRow } from "../../../local-mcp/sessions/session-content.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import type { Sql } from "../../../shared/sql.ts";
import { readContents, type CheckpointContents } from "../../../local-mcp/checkpoints/contents.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import { shortCheckpointId, shortSessionId } from "../../../local-mcp/sessions/short-ids.ts";
import { failed, type CommandError } from "../../answer.ts";
import { limitOption, momentOption, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { findSession, projectOfFolder, shortCheckpoint } from "../../resolve-id.ts";
import { oneLine, shortPath, table } from "../../screen-text.ts";
import { triggerText } from "./describe-entry.ts";
import { localTime } from "../../times.ts";

interface FilterOptions extends CommonOptions {
  readonly session?: string;
  readonly project?: string;
  readonly since?: number;
  readonly until?: number;
  readonly limit?: number;
}

const defaultLimit = 20;
const maxFoundPerSession = 2;

export function addSearch(parent: Command, cli: Cli): void {
  const command = parent
    .command("search <text...>")
    .description("find sessions and their checkpoints by words; all must occur")
    .option("--session <id>", "only of this session")
    .option("--project <folder>", "only of this project")
    .option("--since <time>", "not older: 2d, 3h, 2026-11-20", momentOption(cli.io, "first"))
    .option("--until <time>", "not newer", momentOption(cli.io, "last"))
    .addOption(limitOption(defaultLimit, "at most this many sessions, or checkpoints of --session"));
  cli.define(command, (options: FilterOptions, ...given: unknown[]) => {
    // `<text...>` comes as one array.
    const words = given.flat().join(" ");
    return search(cli, options, words);
  });
}

interface SessionCheckpoints {
  /** Newest first. */
  readonly checkpoints: readonly ListedCheckpoint[];
  readonly text: string;
}

/** @param limit of checkpoints; the text says how to see more */
export function checkpointsOf(cli: Cli, runtime: Runtime, session: string, limit = defaultLimit): SessionCheckpoints {
  const groups = runtime.store.read(
    (sql) => checkpointGroups(sql, { session }, { sessions: 1, perSession: limit }),
    [],
  );
  const [group] = groups;
  if (!group) return { checkpoints: [], text: "No checkpoints.\n" };
  const hint = cli.format(
    "`shim sessions show <id>` prints a checkpoint, `shim restore <id>` brings its files back.\n",
  );
  const { head, rows } = checkpointTable(cli, groups);
  const more = group.total - group.checkpoints.length;
  const moreText = more === 0 ? [] : [`  ${more} more: add \`--limit ${group.total}\``];
  return { checkpoints: group.checkpoints, text: `${[head, ...rows, ...moreText].join("\n")}\n${hint}` };
}

async function search(cli: Cli, options: FilterOptions, words: string): Promise<CommandResult> {
  const found = await findGroups(cli, options, words);
  if (!found.ok) return found;
  const groups = found.value;
  const width = cli.io.size().columns - 6;
  const below = (one: ListedCheckpoint): string[] =>
    matchingLines(one, words).map((line) => `      ${oneLine(line, width)}`);
  const text = groups.length === 0 ? `Nothing found for "${oneLine(words, 80)}".\n` : groupsText(cli, groups, below);
  return ok({ data: toData(groups), text, isVerbatim: true });
}

/** The field `checkpoints` repeats all groups as one flat list. */
function toData(groups: readonly CheckpointGroup[]): unknown {
  return { sessions: groups, checkpoints: groups.flatMap((group) => group.checkpoints) };
}

function matchingLines({ summary, contents }: ListedCheckpoint, words: string): string[] {
  const terms = words.toLowerCase().split(/\s+/);
  const [, ...behindTitle] = summary.split("\n");
  const lines = behindTitle.filter((line) => line !== contents.lastRequest);
  return lines.filter((line) => terms.some((word) => line.toLowerCase().includes(word))).slice(0, 3);
}

async function findGroups(
  cli: Cli,
  options: FilterOptions,
  text: string,
): Promise<Result<CheckpointGroup[], CommandError>> {
  const runtime = await cli.runtime();
  const { since, until, limit = defaultLimit } = options;
  const session = options.session === undefined ? null : findSession(runtime, options.session);
  if (session && !session.ok) return session;
  updateIndex(cli, runtime);
  const filter = {
    ...omitUndefined({ text, session: session?.value.id, since, until }),
    ...projectFilter(cli, runtime, options),
  };
  return ok(
    runtime.store.read(
      (sql) => checkpointGroups(sql, filter, { sessions: limit, perSession: session ? limit : maxFoundPerSession }),
      [],
    ),
  );
}

function projectFilter(cli: Cli, runtime: Runtime, { project }: FilterOptions): { readonly project?: string } {
  return project === undefined ? {} : { project: projectOfFolder(runtime, cli.io.cwd, project) };
}

/** Where the search index cannot be written, the search says what it may miss. */
function updateIndex(cli: Cli, runtime: Runtime): void {
  try {
    if (runtime.store.read(textIndex.hasPending, false)) runtime.store.write(textIndex.indexPending);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    cli.progress(`The newest checkpoints are not searched: ${error.message}`);
  }
}

/** The whole state in one checkpoint. */
export function showCheckpoint(cli: Cli, runtime: Runtime, checkpoint: checkpoints.Checkpoint): CommandResult {
  const state = readState(runtime, checkpoint);
  if (!state.ok) return state;
  const snapshot = runtime.store.read((sql) => findSnapshot(sql, checkpoint.id), null);
  const text = [
    checkpoint.id,
    `saved: ${localTime(checkpoint.at)} (${cli.ago(checkpoint.at)}), because: ${triggerText(checkpoint.trigger)}`,
    `session: ${checkpoint.sessionId}`,
    `size: ${checkpoint.rawBytes} bytes, ${checkpoint.redactions} secrets removed, sha256 ${checkpoint.hash}`,
    cli.format(`files: ${filesText(shortCheckpoint(runtime, checkpoint.id), snapshot)}`),
    "state:",
    JSON.stringify(state.value, null, 2),
    "",
  ].join("\n");
  return ok({ data: { checkpoint, state: state.value, snapshot }, text, isVerbatim: true });
}

function readState(runtime: Runtime, checkpoint: checkpoints.Checkpoint): Result<WorkState | null, CommandError> {
  return runtime.store.read<Result<WorkState | null, CommandError>>((sql) => {
    try {
      return ok(checkpoints.requireState(sql, checkpoint.seq));
    } catch (error) {
      return failed("checkpoint_damaged", `${messageOf(error)}. \`shim doctor\` checks the store.`);
    }
  }, ok(null));
}

function filesText(id: string, snapshot: StoredSnapshotRow | null): string {
  if (!snapshot) return "none";
  const why = snapshot.reason ? ` (${snapshot.reason})` : "";
  const hint = snapshot.state === "done" ? `, \`shim restore ${id}\` brings them back` : "";
  return `${snapshot.state}${why}${hint}`;
}

/** Printed as JSON: fields are only added. */
interface ListedCheckpoint extends checkpoints.Checkpoint {
  readonly shortId: string;
  readonly contents: CheckpointContents;
}

/** Printed as JSON: fields are only added. */
interface CheckpointGroup {
  readonly id: string;
  readonly shortId: string;
  readonly title: string | null;
  readonly project: string | null;
  /** Number of all checkpoints that match. */
  readonly total: number;
  /** Newest first, cut to the limit. */
  readonly checkpoints: readonly ListedCheckpoint[];
}

interface GroupLimits {
  readonly sessions: number;
  readonly perSession: number;
}

function checkpointGroups(sql: Sql, filter: checkpoints.CheckpointFilter, limits: GroupLimits): CheckpointGroup[] {
  return checkpoints.sessionsWith(sql, { ...filter, limit: limits.sessions }).map(({ sessionId, total }) => {
    const session = sessions.get(sql, sessionId);
    const newest = checkpoints.search(sql, { ...filter, session: sessionId, limit: limits.perSession });
    return {
      id: sessionId,
      shortId: shortSessionId(sql, sessionId),
      title: session && sessions.displayTitle(session),
      project: session?.project ?? null,
      total,
      checkpoints: newest.map((one) => toListed(sql, one)),
    };
  });
}

function toListed(sql: Sql, one: checkpoints.Checkpoint): ListedCheckpoint {
  return { ...one, shortId: shortCheckpointId(sql, one.id), contents: readContents(sql, one) };
}

/** The rows of all groups, in columns of one width. */
function checkpointTable(
  cli: Cli,
  groups: readonly CheckpointGroup[],
): { readonly head: string; readonly rows: string[] } {
  const { columns } = cli.io.size();
  const cells = groups.flatMap((group) => group.checkpoints.map((one) => toRow(cli, one, columns)));
  const heads = [["  CHECKPOINT", "SAVED", "BECAUSE", "LAST REQUEST", "LAST TOOL", "CHANGED FILES"]];
  const [head = "", ...rows] = table([...heads, ...cells], columns)
    .trimEnd()
    .split("\n");
  return { head, rows };
}

type ExtraLines = (one: ListedCheckpoint) => readonly string[];

function groupsText(cli: Cli, groups: readonly CheckpointGroup[], extraLines: ExtraLines): string {
  const { head, rows } = checkpointTable(cli, groups);
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
