import { sep } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { MachineInput, MachineOperationName, MachineOutput } from "../contract/machine/operations.ts";
import type { OperationContext, LoadedRuntime } from "../machine/context/operation-context.ts";
import type { Workspace } from "../machine/sharing/operations/workspace.ts";
import { OperationRunner } from "../local-mcp/host/operation-runner.ts";
import { type Paths, homeFrom, pathsIn } from "../platform/paths.ts";
import { shimCommand, typedCommand, withShimCommand } from "../platform/shim-command.ts";
import { messageOf } from "../shared/error.ts";
import { formatAgo } from "../shared/format.ts";
import { ok, type Result, fail } from "../shared/result.ts";
import { GitError } from "../snapshots/git.ts";
import { diskAdvice, StoreError } from "../store/store-error.ts";
import { exitCodes } from "../contract/exit-codes.ts";
import { type Answer, type Failed, exitOf, interrupted, wrongUsage, cellsOf, textOf, type Columns } from "./answer.ts";
import type { Io } from "./io.ts";
import { type Paint, type Screen, createScreen, safeJson, safeJsonLine, shortPath, wrapLine } from "./screen-text.ts";
import { table } from "./table.ts";

export type CommandResult = Result<Answer>;

/** Options of every command, and of each that asks before it changes something. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly yes?: boolean;
}

const commandsShowingNotices: ReadonlySet<string> = new Set(["up", "doctor"]);

/** `never`: commander does not know the types that a command declares. `[files...]` is one list. */
type CommandBody = (options: never, ...args: never[]) => Promise<CommandResult>;

const parentCheckMs = 2_000;

/** Without a refusal commander drops the first of two values. */
function refuseSecondValue(command: Command, option: Option): void {
  let first: string | null = null;
  command.on(`option:${option.name()}`, (text: unknown) => {
    if (typeof text !== "string" || first === text) return;
    if (first !== null)
      command.error(`error: option '${option.flags}' takes one value, and got '${first}' and '${text}'`);
    first = text;
  });
}

export class Cli {
  readonly io: Io;
  readonly paths: Paths;
  readonly runner: OperationRunner;
  readonly #screen: Screen;
  exitCode: number = exitCodes.ok;
  #loaded: Promise<LoadedRuntime> | null = null;
  #hasAskedHost = false;
  #namesCommand = false;
  readonly #examples = new Map<Command, string>();
  readonly #undeclared = new Map<Command, () => void | Promise<void>>();
  /** True: `shim` is no command any more, and is not to become one. */
  isRemoved = false;

  constructor(io: Io) {
    this.io = io;
    this.#screen = createScreen(io);
    this.paths = pathsIn(homeFrom(io.env));
    this.runner = new OperationRunner(this.context);
  }

  /** How a person types `shim` in this terminal. */
  get command(): string {
    this.#namesCommand = true;
    if (this.isRemoved) return shimCommand(this.io) ?? "shim";
    return typedCommand(this.io, this.io.machine).command;
  }

  /** Does an operation of this machine. */
  async call<Name extends MachineOperationName>(
    name: Name,
    input: MachineInput<Name>,
  ): Promise<Result<MachineOutput<Name>>> {
    const answer = await this.runner.call(name, input);
    return answer.ok || answer.error.code !== "bad_input" ? answer : wrongUsage(answer.error.message);
  }

  /** Does an operation of this machine, whose output is the answer's data. */
  async show<Name extends MachineOperationName>(
    name: Name,
    input: MachineInput<Name>,
    toText: (output: MachineOutput<Name>) => Omit<Answer, "data">,
  ): Promise<CommandResult> {
    const answer = await this.call(name, input);
    return answer.ok ? ok({ data: answer.value, ...toText(answer.value) }) : answer;
  }

  /** Opens the machine's workspace for as long as `body` runs. */
  async withWorkspace<T>(body: (workspace: Workspace) => Promise<Result<T>>): Promise<Result<T>> {
    const opened = await this.runner.workspace();
    if (!opened.ok) return opened;
    try {
      return await body(opened.value);
    } finally {
      opened.value.close();
    }
  }

  /** Parts that make a host, or a program beside it. */
  get context(): OperationContext {
    const { io, paths } = this;
    const hostClient = io.hostClient({ home: paths.home, launch: io.launch, env: io.env });
    const loaded = (): Promise<LoadedRuntime> => (this.#loaded ??= io.makeRuntime());
    return {
      paths,
      site: io,
      caller: process.pid,
      loaded,
      runtime: async () => (await loaded()).runtime,
      hostClient: {
        ...hostClient,
        call: (asked, reports) => {
          this.#hasAskedHost = true;
          return hostClient.call(asked, reports);
        },
        read: async (asked) => {
          const answer = await hostClient.read(asked);
          if (answer !== null) this.#hasAskedHost = true;
          return answer;
        },
      },
      onInterrupt: (listener) => io.onInterrupt(listener),
      progress: (text) => this.progress(text),
      passing: (text) => this.passing(text),
      onSecretsRemoved: (count) => this.progress(`Secrets removed: ${count}.`),
    };
  }

  get paint(): Paint {
    return this.#screen.paint;
  }

  /** Width of the terminal; what reads a pipe takes a line of any length. */
  get columns(): number {
    return this.io.isTty ? this.io.size().columns : Number.POSITIVE_INFINITY;
  }

  /** Makes text safe for the terminal; quoted commands stay as they are. */
  verbatim(text: string): string {
    return this.#screen.format(text);
  }

  /** Help names `shim` as the manual does, however this copy is started. */
  writeHelp(text: string): void {
    this.io.stdout(this.wrap(this.verbatim(text)));
    this.#namesCommand = true;
  }

  format(text: string): string {
    return withShimCommand(this.verbatim(text), () => this.command);
  }

  /** Until then a command has its name alone: options of all the others cost a start. */
  declareLater(command: Command, declare: () => void | Promise<void>): void {
    this.#undeclared.set(command, declare);
  }

  async declare(commands: readonly Command[]): Promise<void> {
    for (const command of commands) {
      await this.#undeclared.get(command)?.();
      this.#undeclared.delete(command);
    }
  }

  /** True: it does something, and is more than a list of those below it. */
  isDeclared(command: Command): boolean {
    return this.#undeclared.has(command) || this.#examples.has(command);
  }

  /**
   * Adds `--json` where the command lacks it; passes declared options and arguments to `body`.
   *
   * @param example words behind the command, for its help
   */
  define(command: Command, example: string, body: CommandBody): void {
    const hasOwn = command.options.some(({ long }) => long === "--json");
    this.#examples.set(command, example);
    for (const option of command.options) if (!option.variadic) refuseSecondValue(command, option);
    // An option behind the name of a subcommand is the subcommand's own.
    command.enablePositionalOptions();
    (hasOwn ? command : command.option("--json", "print JSON")).action(async (...all: unknown[]) => {
      const args = all.slice(0, -2) as never[];
      const given = (all.at(-1) as Command).optsWithGlobals<CommonOptions>();
      await this.#run(given.json === true, command, () => body(given as never, ...args));
      if (!commandsShowingNotices.has(command.name())) await this.#showNotices();
    });
  }

  /** On a terminal alone: a line that the next one replaces. */
  passing(text: string): void {
    if (!this.io.isInteractive) return;
    this.io.stderr(`\r\u001B[K${text === "" ? "" : this.paint("dim", text)}`);
  }

  progress(text: string): void {
    this.io.stderr(`${this.wrap(this.format(this.paint("dim", text)))}\n`);
  }

  /** Formats items as a table with a heading; `empty` stands for a table without rows. */
  table<Item>(items: readonly Item[], columns: Columns<Item>, empty?: string, width = this.columns): string {
    if (items.length === 0 && empty !== undefined) return empty;
    const rows = items.map((item) => cellsOf(item, columns));
    return table([Object.keys(columns), ...rows], width);
  }

  /** Breaks lines that are wider than the terminal between words. */
  wrap(text: string): string {
    const { columns } = this;
    return text
      .split("\n")
      .flatMap((line) => wrapLine(line, columns, hangingIndent(line, columns)))
      .join("\n");
  }

  /** A path as a person reads it, from the user's folder on. */
  short(path: string | null): string {
    return shortPath(path ?? "-", this.io.env["HOME"] ?? "");
  }

  ago(at: number): string {
    return formatAgo(this.io.now(), at);
  }

  /** Asks before a change. Without a terminal to ask in, `--yes` is required. */
  async confirm(question: string, isYes: boolean): Promise<"yes" | "no" | "unasked"> {
    if (isYes) return "yes";
    if (!this.io.isInteractive) return "unasked";
    const reply = await this.io.ask(`${this.format(question)} [y/N] `);
    return /^y(es)?$/i.test(reply?.trim() ?? "") ? "yes" : "no";
  }

  /** Enter agrees to changes that were shown, Ctrl-C does not, another word is asked again. */
  async agrees(question: string): Promise<boolean> {
    for (;;) {
      const reply = await this.io.ask(`${this.format(question)} [Y/n] `);
      if (reply === null || /^no?$/i.test(reply.trim())) return false;
      if (/^(?:y|yes)?$/i.test(reply.trim())) return true;
      this.io.stderr("Answer y or n.\n");
    }
  }

  /** A line that does something; of a group one of its first command. */
  exampleOf(command: Command): string {
    const example = this.#examples.get(command);
    const [first] = command.commands;
    if (example === undefined && first) return this.exampleOf(first);
    return ["shim", ...wordsOf(command), example].filter(Boolean).join(" ");
  }

  /**
   * Prints the outcome; the only function that prints answers, refusals and errors.
   *
   * @param command whose usage is shown where it was used wrong
   */
  report(outcome: CommandResult, isJson: boolean, command?: Command): void {
    if (outcome.ok) {
      const { data, text, isFailed, isOneLine, isVerbatim, exit } = outcome.value;
      if (isJson) this.io.stdout(`${isOneLine ? safeJsonLine(data) : safeJson(data)}\n`);
      else this.io.stdout(isVerbatim === true ? this.verbatim(textOf(text)) : this.wrap(this.format(textOf(text))));
      this.exitCode = exit ?? (isFailed ? exitCodes.failed : exitCodes.ok);
      return;
    }
    const { code, candidates } = outcome.error;
    const message = withShimCommand(outcome.error.message, () => (isJson ? shimCommand(this.io) : this.command));
    if (isJson) this.io.stdout(`${safeJson({ error: { code, message, ...(candidates ? { candidates } : {}) } })}\n`);
    const usage = command !== undefined && !isJson && "isMistyped" in outcome.error ? this.#usageOf(command) : "";
    this.io.stderr(`${this.wrap(this.verbatim(`${this.paint("red", "shim:")} ${message}${usage}`))}\n`);
    this.exitCode = exitOf(outcome.error);
  }

  /** Prints storage errors, unusable files and bugs in one line; the stack on request. */
  reportError(error: unknown, isJson: boolean): void {
    this.report(toFailure(error, this.paths.home), isJson);
    if (this.io.env["SHIM_DEBUG"] === "1" && error instanceof Error) this.io.stderr(`${error.stack}\n`);
  }

  /** Waits for Ctrl-C, or the end of the launcher: a killed one forwards no signal. */
  async untilEnd(): Promise<void> {
    const stop = this.io.interrupted();
    const parent = this.io.parentPid();
    while (!stop.aborted && this.io.parentPid() === parent) await this.io.wait(parentCheckMs, stop);
  }

  /** Once, behind everything that was printed. */
  sayHowToType(): void {
    if (!this.#namesCommand || this.isRemoved) return;
    const { howTo } = typedCommand(this.io, this.io.machine);
    if (howTo !== null) this.io.stderr(`To make \`shim\` a command, ${howTo}\n`);
  }

  #usageOf(command: Command): string {
    const words = ["shim", "help", ...wordsOf(command)].join(" ");
    const usage = `Usage: ${command.createHelp().commandUsage(command)}`;
    return `\n${usage}\nExample: ${this.exampleOf(command)}\n\`${words}\` has the options.`;
  }

  async close(): Promise<void> {
    await this.runner.close();
    const loaded = await this.#loaded?.catch(() => null);
    this.#loaded = null;
    loaded?.runtime.store.close();
  }

  /** Runs after the command, which may be the one that found the damage. */
  async #showNotices(): Promise<void> {
    const hasRead = (await this.#loaded?.catch(() => null)) ?? null;
    if (hasRead === null && !this.#hasAskedHost) return;
    const listed = await this.call("notices.list", {});
    const open = listed.ok ? listed.value.notices : [];
    for (const { text } of open) this.io.stderr(`${this.format(`${this.paint("yellow", "NOTICE:")} ${text}`)}\n`);
    if (open.length > 0) this.progress("When you have read it: `shim doctor --acknowledge`.");
  }

  async #run(isJson: boolean, command: Command, body: () => Promise<CommandResult>): Promise<void> {
    try {
      this.report(await body(), isJson, command);
    } catch (error) {
      this.reportError(error, isJson);
    }
  }
}

/** Indent of continued lines: below the text behind a term, if that has half of the width. */
function hangingIndent(line: string, columns: number): string {
  const indent = line.length - line.trimStart().length;
  if (indent === 0) return "";
  const termEnd = line.indexOf("  ", indent);
  const textAt = termEnd < 0 ? indent : line.length - line.slice(termEnd).trimStart().length;
  return " ".repeat(textAt * 2 <= columns ? textAt : indent + 4);
}

function toFailure(error: unknown, home: string): Failed {
  if (error instanceof GitError && error.fault === "stopped") return interrupted;
  if (error instanceof StoreError) return fail(error.code, error.message);
  const fileError = fileErrorText(error, home);
  if (fileError !== null) return fail("file_unusable", fileError);
  const message = messageOf(error);
  return fail("internal", `${message} (a bug in SHIM; SHIM_DEBUG=1 shows where)`);
}

/** Words behind `shim`. */
export function wordsOf(command: Command): string[] {
  return command.parent === null ? [] : [...wordsOf(command.parent), command.name()];
}

/** A command that only has others below it: without one of them it prints its help. */
export function addGroup(parent: Command, name: string, description: string): Command {
  const group = parent.command(name).description(description);
  return group.action(() => group.outputHelp());
}

const maxLimit = 10_000;

export function limitOption(defaultLimit: number | "all", description = "at most this many"): Option {
  return new Option("--limit <n>", `${description} (default: ${defaultLimit})`).argParser((text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= 1 && value <= maxLimit) return value;
    throw new InvalidArgumentError(`It must be 1 to ${maxLimit}.`);
  });
}

const adviceByCode: Record<string, string> = {
  EACCES: "permission denied; grant your user access, or name another path",
  EPERM: "permission denied; grant your user access, or name another path",
  EROFS: "the file system is read-only; name another path",
  ENOENT: "the file or its folder does not exist; make the folder, or name another path",
  ENOTDIR: "a file exists where a folder should be; name another path",
  EEXIST: "a file exists where a folder should be; name another path",
  EISDIR: "this is a folder; name a file",
  ENOTEMPTY: "the folder is not empty; name another path",
};
const defaultAdvice = "the system does not allow it; check the path, then repeat";

/**
 * Explains a file error of the system, which is no bug.
 *
 * @param home SHIM's folder; a user who cannot write there may move it
 * @returns path, advice and the system's words; null: no file error
 */
function fileErrorText(error: unknown, home: string): string | null {
  if (!isFileError(error)) return null;
  const { code, path, message } = error;
  // The temporary file of writeWhole is that of the file which it replaces.
  const location = path === undefined ? "" : `${path.replace(/(?<![^/\\])\.([^/\\]+)\.shim-\d+\.tmp$/, "$1")}: `;
  const isOurs = path === home || path?.startsWith(`${home}${sep}`);
  const homeHint = isOurs ? `. SHIM keeps its files in ${home}; SHIM_HOME moves them` : "";
  return `${location}${diskAdvice(error) ?? adviceByCode[code] ?? defaultAdvice}${homeHint} (${message})`;
}

interface FileError extends Error {
  readonly code: string;
  readonly path?: string;
}

/** Failed program starts and connections have other syscalls. */
function isFileError(error: unknown): error is FileError {
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return false;
  const { code, syscall } = error;
  return typeof code === "string" && typeof syscall === "string" && !/^(spawn|connect|kill)\b/.test(syscall);
}

/** Shows what would change, and asks. @returns null after a yes */
export async function confirmShown(
  cli: Cli,
  shown: readonly string[],
  { question, unasked, unchanged }: { readonly question: string; readonly unasked: string; readonly unchanged: Answer },
): Promise<CommandResult | null> {
  cli.io.stderr(`${cli.verbatim(shown.join("\n"))}\n`);
  const reply = await cli.confirm(question, false);
  if (reply === "yes") return null;
  return reply === "no" ? ok(unchanged) : fail("not_confirmed", unasked);
}

/** Asks for one of several ways by its number. @returns its index; null: none was named */
export async function askWhich(cli: Cli, count: number, unchanged: string): Promise<Result<number | null>> {
  const reply = ((await cli.io.ask(`Which one? [${count === 1 ? "1" : `1-${count}`}, nothing: none] `)) ?? "").trim();
  if (reply === "") return ok(null);
  const index = /^\d{1,4}$/.test(reply) ? Number(reply) - 1 : -1;
  return index >= 0 && index < count ? ok(index) : wrongUsage(`"${reply}" is none of them. ${unchanged}`);
}

/** Asks before a change. @returns null after a yes */
export async function requireYes(
  cli: Cli,
  question: string,
  { yes }: { readonly yes?: boolean },
): Promise<Failed | null> {
  const reply = await cli.confirm(question, yes === true);
  if (reply === "yes") return null;
  return fail("not_confirmed", reply === "no" ? "nothing was changed." : `${question} Confirm with --yes.`);
}
