import type { Command } from "commander";
import type { WorkState } from "../../contract/work-state.ts";
import { messageOf } from "../../shared/error.ts";
import { ok, type Result } from "../../shared/result.ts";
import * as checkpoints from "../../local-mcp/checkpoints/checkpoints.ts";
import type { Runtime } from "../../local-mcp/runtime.ts";
import { StoreError } from "../../local-mcp/store/store-error.ts";
import * as textIndex from "../../local-mcp/store/text-index.ts";
import { snapshotOf, type StoredSnapshotRow } from "../../local-mcp/sessions/stored.ts";
import { failed, type Refusal } from "../answer.ts";
import { count, moment, type Cli, type Common, type Outcome } from "../cli.ts";
import { findCheckpoint, findSession, projectOf } from "../named.ts";
import { oneLine, shortId, table } from "../screen-text.ts";
import { localTime } from "../times.ts";
import { given } from "../../shared/given.ts";

interface FilterOptions extends Common {
  readonly session?: string;
  readonly project?: string;
  readonly since?: number;
  readonly until?: number;
  readonly limit?: number;
}

const defaultLimit = 20;

export function addCheckpoints(program: Command, cli: Cli): void {
  const command = withFilter(program.command("checkpoints"), cli).description(
    "list checkpoints; `show <id>` prints one",
  );
  cli.define(command, (options: FilterOptions) => listAll(cli, options));
  const list = command.command("list").description("list checkpoints, newest first");
  cli.define(list, (options: FilterOptions) => listAll(cli, options));
  const show = command.command("show <checkpoint>").description("the whole state in one checkpoint");
  cli.define(show, (_options: Common, id: string) => showOne(cli, id));
}

export function addSearch(program: Command, cli: Cli): void {
  const command = withFilter(program.command("search <text...>"), cli).description(
    "find checkpoints by words; all must occur",
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
    .option("--since <time>", "not older: 2d, 3h, 2026-11-20", moment(cli.io, "first"))
    .option("--until <time>", "not newer", moment(cli.io, "last"))
    .option("--limit <n>", `at most so many (default: ${defaultLimit})`, count);
}

async function listAll(cli: Cli, options: FilterOptions): Promise<Outcome> {
  const found = await find(cli, options, undefined);
  if (!found.ok) return found;
  const rows = found.value.map((one) => [
    shortId(one.id),
    cli.ago(one.at),
    one.trigger,
    `${one.rawBytes} B`,
    shortId(one.sessionId),
    oneLine(one.summary, 60),
  ]);
  const heads = ["ID", "SAVED", "BECAUSE", "SIZE", "SESSION", "SUMMARY"];
  const text = rows.length === 0 ? "No checkpoints.\n" : table([heads, ...rows], cli.io.size().columns);
  return ok({ data: { checkpoints: found.value }, text });
}

async function search(cli: Cli, options: FilterOptions, words: string): Promise<Outcome> {
  const found = await find(cli, options, words);
  if (!found.ok) return found;
  const blocks = found.value.map((one) => {
    const head = cli.paint("bold", `${shortId(one.id)}  ${localTime(one.at)}  session ${shortId(one.sessionId)}`);
    const lines = matching(one.summary, words).map((line) => `  ${oneLine(line, cli.io.size().columns - 2)}`);
    return [head, ...lines, ""].join("\n");
  });
  return ok({
    data: { checkpoints: found.value },
    text: blocks.length === 0 ? `Nothing found for "${words}".\n` : blocks.join("\n"),
  });
}

/** The first line, which is the title, and those that hold one of the words. */
function matching(summary: string, words: string): string[] {
  const wanted = words.toLowerCase().split(/\s+/);
  const [title = "", ...lines] = summary.split("\n");
  const hits = lines.filter((line) => wanted.some((word) => line.toLowerCase().includes(word)));
  return [title, ...hits.slice(0, 3)];
}

async function find(
  cli: Cli,
  options: FilterOptions,
  text: string | undefined,
): Promise<Result<checkpoints.Checkpoint[], Refusal>> {
  const runtime = await cli.runtime();
  const { since, until, limit = defaultLimit } = options;
  const session = options.session === undefined ? null : findSession(runtime, options.session);
  if (session && !session.ok) return session;
  const project = options.project === undefined ? undefined : projectOf(runtime, cli.io.cwd, options.project);
  if (text !== undefined) takeInTexts(cli, runtime);
  const filter = given({ text, session: session?.value.id, project, since, until });
  return ok(runtime.store.read((sql) => checkpoints.search(sql, { ...filter, limit }), []));
}

/** What waits for the search index; where it cannot be written, the search says what it may miss. */
function takeInTexts(cli: Cli, runtime: Runtime): void {
  try {
    if (runtime.store.read(textIndex.isBehind, false)) runtime.store.write(textIndex.takeIn);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    cli.progress(`The newest checkpoints are not searched: ${error.message}`);
  }
}

async function showOne(cli: Cli, id: string): Promise<Outcome> {
  const runtime = await cli.runtime();
  const found = findCheckpoint(runtime, id);
  if (!found.ok) return found;
  const checkpoint = found.value;
  const state = stateOf(runtime, checkpoint);
  if (!state.ok) return state;
  const snapshot = runtime.store.read((sql) => snapshotOf(sql, checkpoint.id), null);
  const text = [
    checkpoint.id,
    `saved: ${localTime(checkpoint.at)} (${cli.ago(checkpoint.at)}), because: ${checkpoint.trigger}`,
    `session: ${checkpoint.sessionId}`,
    `size: ${checkpoint.rawBytes} bytes, ${checkpoint.redactions} secrets removed, sha256 ${checkpoint.hash}`,
    `files: ${filesText(checkpoint.id, snapshot)}`,
    "state:",
    JSON.stringify(state.value, null, 2),
    "",
  ].join("\n");
  return ok({ data: { checkpoint, state: state.value, snapshot }, text });
}

/** A damaged one is found out by its hash. */
function stateOf(runtime: Runtime, checkpoint: checkpoints.Checkpoint): Result<WorkState | null, Refusal> {
  return runtime.store.read<Result<WorkState | null, Refusal>>((sql) => {
    try {
      return ok(checkpoints.stateOf(sql, checkpoint.seq));
    } catch (error) {
      return failed("checkpoint_damaged", `${messageOf(error)}. \`shim doctor\` checks the store.`);
    }
  }, ok(null));
}

function filesText(id: string, snapshot: StoredSnapshotRow | null): string {
  if (!snapshot) return "none";
  const why = snapshot.reason ? ` (${snapshot.reason})` : "";
  const how = snapshot.state === "done" ? `, \`shim restore ${shortId(id)} --files\` brings them back` : "";
  return `${snapshot.state}${why}${how}`;
}
