import { InvalidArgumentError, Option, type Command } from "commander";
import { ok, type Result } from "../../../shared/result.ts";
import { wrongUsage, type FailedResult } from "../../answer.ts";
import { countUpTo, type Cli, type CommonOptions } from "../../cli.ts";

export interface WorkerFlags extends CommonOptions {
  readonly config?: string;
  readonly type?: string;
  readonly folder?: string;
  readonly repository?: string;
  readonly base?: string;
  readonly mergeInputs?: boolean;
  readonly remote?: string;
  readonly concurrency?: number;
  readonly capability?: readonly string[];
  readonly once?: boolean;
  readonly maxTasks?: number;
  readonly drainMs?: number;
}

export type WorkerSource =
  | { readonly kind: "file"; readonly file: string }
  | { readonly kind: "command"; readonly type: string; readonly words: readonly string[] };

const singleTypeOptions = ["type", "folder", "repository", "base", "remote"];

export function addWorker(program: Command, cli: Cli): Command {
  const command = program
    .command("worker [command...]")
    .description("do tasks, one after another: `shim worker --type test -- npm test`")
    .addOption(
      new Option("--config <file>", "task types and how to do them, YAML or JSON").conflicts(singleTypeOptions),
    )
    .option("--type <type>", "the task type that the command after -- does")
    .option("--folder <path>", "work in this folder itself")
    .option("--repository <path>", "work in worktrees of this repository (default: the current one)")
    .option("--base <revision>", "what new worktrees start from (default: HEAD)")
    .option("--no-merge-inputs", "do not merge the dependencies of a task into its new worktree")
    .option("--remote <name>", "push finished branches to this remote, and fetch missing ones from it")
    .option("--concurrency <n>", "tasks at a time (default: 1)", countUpTo(100))
    .option("--capability <name>", "also take tasks that need this; may be repeated", listOption)
    .option("--once", "exit when no task is available")
    .option("--max-tasks <n>", "exit after this many", countUpTo(1_000_000))
    .option(
      "--drain-ms <ms>",
      "how long running tasks may continue after Ctrl-C; 0: release them at once (default: 60000)",
      millisecondsOption,
    );
  const words = keepWordsBehindDashes(command);
  return cli.define(command, async (options: WorkerFlags, ...rest: unknown[]) => {
    // `[command...]` comes as one array.
    const source = parseSource(options, [...(rest.flat() as string[]), ...words]);
    if (!source.ok) return source;
    const { runWorker } = await import("./run-worker.ts");
    return runWorker(cli, options, source.value);
  });
}

/** [CL274] For a program `service` behind `--` commander would start the subcommand. */
function keepWordsBehindDashes(command: Command): readonly string[] {
  const words: string[] = [];
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (args) => {
    const dashes = args.indexOf("--");
    const isSubcommand = command.commands.some((one) => one.name() === args[0]);
    if (dashes < 0 || isSubcommand) return parse(args);
    words.push(...args.slice(dashes + 1));
    return parse(args.slice(0, dashes));
  };
  return words;
}

function listOption(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

function millisecondsOption(text: string): number {
  if (!/^\d{1,8}$/.test(text)) throw new InvalidArgumentError("It must be 0 or more milliseconds, at most a day.");
  return Number(text);
}

function parseSource(
  { config, type, mergeInputs }: WorkerFlags,
  words: readonly string[],
): Result<WorkerSource, FailedResult["error"]> {
  if (config !== undefined) {
    if (mergeInputs === false) return wrongUsage("with --config set `mergeInputs: false` for each type in the file.");
    const isBoth = words.length > 0;
    return isBoth
      ? wrongUsage("with --config the file names the commands; give no other.")
      : ok({ kind: "file", file: config });
  }
  if (type === undefined) return wrongUsage("give --config, or --type and its command after --.");
  if (words.length === 0)
    return wrongUsage(`give the command after --: \`shim worker --type ${type.slice(0, 64)} -- npm test\`.`);
  return ok({ kind: "command", type, words });
}
