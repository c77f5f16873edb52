import { pluralize } from "../../../shared/format.ts";
import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { ReplayHeader, ReplaySession } from "../../../contract/replay.ts";
import { findParameter, nextValue, parameters } from "../../../experiments/parameters.ts";
import {
  intervalsAreEqual,
  replayReport,
  type ReplayReport,
  type Variant,
} from "../../../experiments/replay/report.ts";
import { corpus } from "../../../local-mcp/experiments/corpus.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { ok } from "../../../shared/result.ts";
import { settingAt } from "../../../shared/setting-keys.ts";
import { failed, notFound, wrongUsage, type CliResult } from "../../answer.ts";
import { momentOption, type Cli, type CommandResult, type CommonOptions } from "../../cli.ts";
import { readFileLines, writeLines } from "../../../platform/line-file.ts";
import { replayWorkspace } from "./workspace-replay.ts";

interface ReplayOptions extends CommonOptions {
  readonly since?: number;
  readonly corpus?: string;
  readonly set?: readonly string[];
  /** True: without values. */
  readonly workspace?: readonly string[] | true;
}

const dayMs = 86_400_000;
const maxSessions = 1_000;
const maxCorpusBytes = 500_000_000;

export function addReplay(learn: Command, cli: Cli): void {
  const since = ["--since <time>", "only sessions seen since (default: 30d)", momentOption(cli.io, "first")] as const;
  const command = learn
    .command("replay")
    .description("what deaths would lose under other settings, by the recorded sessions; export")
    .option(...since)
    .option("--corpus <file>", "sessions of a file that `shim learn replay export ...` wrote")
    .option("--set <key=value...>", "compare with these settings: checkpoint.everyMs=60000")
    .option("--workspace [key=value...]", "compare settings of the workspace by its own tasks: chatTtlMs=60000");
  cli.define(command, (options: ReplayOptions) =>
    options.workspace === undefined ? report(cli, options) : replayWorkspace(cli, options.workspace),
  );
  const exported = command
    .command("export <file>")
    .description("the sessions as JSON lines: times, kinds and sizes, no texts, names or paths")
    .option(...since);
  cli.define(exported, (options: ReplayOptions, file: string) => exportTo(cli, options, file));
}

async function report(cli: Cli, options: ReplayOptions): Promise<CommandResult> {
  const runtime = await cli.runtime();
  const variants = options.set === undefined ? usualVariants(runtime) : parseVariants(options.set);
  if ("ok" in variants) return variants;
  const sessions = readSessions(cli, runtime, options);
  if (!sessions.ok) return sessions;
  const made = replayReport(sessions.value, runtime.config, variants);
  if (made.sessions === 0)
    return ok({ data: made, text: "No recorded session has its events. Sessions keep them for seven days.\n" });
  return ok({ data: made, text: toText(cli, made) });
}

function readSessions(cli: Cli, runtime: Runtime, { corpus: file, since }: ReplayOptions): CliResult<ReplaySession[]> {
  if (file !== undefined) return readCorpus(resolve(cli.io.cwd, file));
  const filter = { since: since ?? cli.io.now() - 30 * dayMs, limit: maxSessions };
  const rows = runtime.store.read((sql) => [...corpus(sql, filter)], []);
  return ok(rows.filter((row) => row.type === "session"));
}

function readCorpus(path: string): CliResult<ReplaySession[]> {
  const file = statSync(path, { throwIfNoEntry: false });
  if (!file) return notFound(`there is no file ${path}.`);
  if (file.size > maxCorpusBytes) return failed("too_large", `${path} is larger than 500 MB.`);
  const sessions: ReplaySession[] = [];
  const lines = [...readFileLines(path)].filter((line) => line.trim() !== "");
  for (const [index, line] of lines.entries()) {
    const parsed = (index === 0 ? ReplayHeader : ReplaySession).safeParse(parseLine(line));
    if (!parsed.success)
      return failed("invalid_corpus", `${path}, line ${index + 1}: not what \`shim learn replay export ...\` writes.`);
    if (parsed.data.type === "session") sessions.push(parsed.data);
  }
  return ok(sessions);
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/** One and two steps in each direction of the two intervals. */
function usualVariants({ config }: Runtime): Variant[] {
  return parameters
    .filter(({ group }) => group === "interval")
    .flatMap((parameter) => {
      const from = Number(settingAt(config, parameter.key));
      return (["down", "up"] as const).flatMap((direction) => {
        const first = nextValue(parameter, from, direction);
        const second = first === null ? null : nextValue(parameter, first, direction);
        return [first, second].flatMap((value) => (value === null ? [] : [{ key: parameter.key, value }]));
      });
    });
}

function parseVariants(given: readonly string[]): Variant[] | ReturnType<typeof wrongUsage> {
  const variants: Variant[] = [];
  for (const one of given) {
    const [key = "", text = ""] = one.split("=");
    const parameter = findParameter(key);
    const value = Number(text);
    if (!parameter)
      return wrongUsage(
        `"${key.slice(0, 60)}" cannot be replayed. These can:\n${parameters.map((known) => `  ${known.key}`).join("\n")}`,
      );
    if (text.trim() === "" || !Number.isFinite(value) || value <= 0)
      return wrongUsage(`"${one.slice(0, 80)}": give a number above 0, such as ${key}=${parameter.min}.`);
    variants.push({ key, value });
  }
  return variants;
}

const verdictWords = {
  better: "loses less",
  worse: "loses more",
  equivalent: "no difference that matters",
  undecided: "too few sessions to say",
} as const;

function toText(cli: Cli, made: ReplayReport): string {
  const { means, deaths } = made;
  const left =
    made.incomplete > 0 ? ` ${pluralize(made.incomplete, "older session")} without their events left out.` : "";
  const trust =
    made.made > 0
      ? `The replay makes ${Math.round((100 * made.remade) / made.made)} % of the ${made.made} checkpoints that were made.\n`
      : "";
  const table = cli.table(made.variants, {
    SETTING: ({ key, value }) => `${key} = ${value}`,
    "CALLS LOST": ({ comparison }) => comparison.means.toolCalls.toFixed(2),
    "SECONDS LOST": ({ comparison }) => comparison.means.seconds.toFixed(0),
    "SAVES/H": ({ comparison }) => comparison.means.savesPerHour.toFixed(1),
    "AGAINST NOW": ({ comparison }) => verdictWords[comparison.toolCalls.verdict],
  });
  return [
    `${pluralize(made.sessions, "session")}, ${made.activeHours.toFixed(1)} active hours, ${pluralize(deaths.count, "death")}.${left}\n${trust}\n`,
    `On this machine a death loses no recorded event: the journal keeps what checkpoints lack${deaths.count > 0 ? ` (${pluralize(deaths.unsavedCalls, "tool call")} in the deaths here)` : ""}.\n`,
    `A chat that continues on another machine has checkpoints only. A death at any active moment would lose there, on average, ${means.toolCalls.toFixed(2)} tool calls, ${means.edits.toFixed(2)} edits and the last ${means.seconds.toFixed(0)} s, for ${means.savesPerHour.toFixed(1)} checkpoints an hour${saveTime(made)}.\n`,
    deaths.count > 0 ? `${warningText(made)}\n` : "",
    `\n${table}`,
    intervalsAreEqual(made)
      ? "\nThe interval does not matter here: no value above makes a difference that matters.\n"
      : "",
  ].join("");
}

function saveTime({ saveMs }: ReplayReport): string {
  return saveMs === null ? "" : ` of ${saveMs.toFixed(1)} ms each`;
}

function warningText({ deaths, means }: ReplayReport): string {
  const lead =
    deaths.medianLeadSeconds === null ? "" : `, half of these at least ${deaths.medianLeadSeconds.toFixed(0)} s before`;
  return `The risk was at danger or higher before ${deaths.warned} of ${pluralize(deaths.count, "death")}${lead}; it rises ${means.alarmsPerHour.toFixed(2)} times an hour.`;
}

async function exportTo(cli: Cli, { since }: ReplayOptions, file: string): Promise<CommandResult> {
  const path = resolve(cli.io.cwd, file);
  if (existsSync(path)) return failed("file_exists", `${path} already exists. Name a new file.`);
  const runtime = await cli.runtime();
  const filter = { since: since ?? cli.io.now() - 30 * dayMs, limit: maxSessions };
  const rows = runtime.store.read((sql) => [...corpus(sql, filter)], []);
  if (rows.length <= 1) return notFound("no session is stored, so there is nothing to export.");
  writeLines(
    path,
    rows.map((row) => JSON.stringify(row)),
  );
  const sessions = rows.length - 1;
  return ok({ data: { file: path, sessions }, text: `Exported ${pluralize(sessions, "session")} to ${path}.\n` });
}
