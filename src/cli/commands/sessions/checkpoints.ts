import type { Command } from "commander";
import type { WorkState } from "../../../contract/work-state.ts";
import { messageOf } from "../../../shared/error.ts";
import { ok, type Result } from "../../../shared/result.ts";
import * as checkpoints from "../../../local-mcp/checkpoints/checkpoints.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { StoreError } from "../../../store/store-error.ts";
import * as textIndex from "../../../store/text-index.ts";
import { findSnapshot, type StoredSnapshotRow } from "../../../local-mcp/sessions/session-content.ts";
import { failed, type CommandError } from "../../answer.ts";
import { checkpointGroups, groupsText, type CheckpointGroup, type ListedCheckpoint } from "./checkpoint-groups.ts";
import { limitOption, momentOption, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { findCheckpoint, findSession, projectOfFolder, shortCheckpoint } from "../../resolve-id.ts";
import { oneLine } from "../../screen-text.ts";
import { localTime } from "../../times.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";

interface FilterOptions extends CommonOptions {
  readonly session?: string;
  readonly project?: string;
  readonly since?: number;
  readonly until?: number;
  readonly limit?: number;
}

const defaultLimit = 20;
const maxPerSession = { listed: 5, found: 2 };

export function addCheckpoints(program: Command, cli: Cli): void {
  const command = withFilter(program.command("checkpoints"), cli).description(
    "list checkpoints by session; `show <id>` prints one",
  );
  cli.define(command, (options: FilterOptions) => listAll(cli, options));
  const list = command.command("list").description("list checkpoints by session, newest first");
  cli.define(list, (options: FilterOptions) => listAll(cli, options));
  const show = command.command("show <checkpoint>").description("the whole state in one checkpoint");
  cli.define(show, (_options: CommonOptions, id: string) => showOne(cli, id));
}

export function addSearch(program: Command, cli: Cli): void {
  const command = withFilter(program.command("search <text...>"), cli).description(
    "find sessions and their checkpoints by words; all must occur",
  );
  cli.define(command, (options: FilterOptions, ...given: unknown[]) => {
    // `<text...>` comes as one array.
    const words = given.flat().join(" ");
    return search(cli, options, words);
  });
}

function withFilter(command: Command, cli: Cli): Command {
  return command
    .option("--session <id>", "only of this session")
    .option("--project <folder>", "only of this project")
    .option("--since <time>", "not older: 2d, 3h, 2026-11-20", momentOption(cli.io, "first"))
    .option("--until <time>", "not newer", momentOption(cli.io, "last"))
    .addOption(limitOption(defaultLimit, "at most so many sessions, or checkpoints of --session"));
}

async function listAll(cli: Cli, options: FilterOptions): Promise<CommandResult> {
  const found = await findGroups(cli, options, undefined);
  if (!found.ok) return found;
  const groups = found.value;
  const hint = cli.format(
    "`shim checkpoints show <id>` prints one, `shim restore <id> --files` brings its files back.\n",
  );
  const text = groups.length === 0 ? "No checkpoints.\n" : `${groupsText(cli, groups)}${hint}`;
  return ok({ data: toData(groups), text, isVerbatim: true });
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

/** `checkpoints` repeats all groups as one flat list. */
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
  text: string | undefined,
): Promise<Result<CheckpointGroup[], CommandError>> {
  const runtime = await cli.runtime();
  const { since, until, limit = defaultLimit } = options;
  const session = options.session === undefined ? null : findSession(runtime, options.session);
  if (session && !session.ok) return session;
  if (text !== undefined) updateIndex(cli, runtime);
  const filter = {
    ...omitUndefined({ text, session: session?.value.id, since, until }),
    ...projectFilter(cli, runtime, options),
  };
  const ofMany = text === undefined ? maxPerSession.listed : maxPerSession.found;
  return ok(
    runtime.store.read(
      (sql) => checkpointGroups(sql, filter, { sessions: limit, perSession: session ? limit : ofMany }),
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

async function showOne(cli: Cli, id: string): Promise<CommandResult> {
  const runtime = await cli.runtime();
  const found = findCheckpoint(runtime, id);
  if (!found.ok) return found;
  const checkpoint = found.value;
  const state = readState(runtime, checkpoint);
  if (!state.ok) return state;
  const snapshot = runtime.store.read((sql) => findSnapshot(sql, checkpoint.id), null);
  const text = [
    checkpoint.id,
    `saved: ${localTime(checkpoint.at)} (${cli.ago(checkpoint.at)}), because: ${checkpoint.trigger}`,
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
  const hint = snapshot.state === "done" ? `, \`shim restore ${id} --files\` brings them back` : "";
  return `${snapshot.state}${why}${hint}`;
}
