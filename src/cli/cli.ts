import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import { messageOf } from "../shared/error.ts";
import type { Result } from "../shared/result.ts";
import { age } from "../local-mcp/recovery/brief.ts";
import { homeFrom, pathsIn, type Paths } from "../platform/paths.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { shimCommand, withShimCommand } from "../platform/shim-command.ts";
import * as notices from "../store/notices.ts";
import { StoreError } from "../store/store-error.ts";
import { exitCodes, failed, type Answer, type CommandError, type FailedResult } from "./answer.ts";
import { fileErrorText } from "./file-error.ts";
import type { Io, LoadedRuntime } from "./io.ts";
import { safeJson, safeJsonLine, createScreen, type Paint, type Screen } from "./screen-text.ts";
import { parseTime } from "./times.ts";

export type CommandResult = Result<Answer, CommandError>;

/** In the options of every command. */
export interface CommonOptions {
  readonly json?: boolean;
}

/** They show the notices in their answer. */
const commandsShowingNotices: ReadonlySet<string> = new Set(["up", "doctor", "statusline"]);

/** `never`: each command names the options that it has declared; commander does not know their types. */
type CommandBody = (options: never, ...args: string[]) => Promise<CommandResult>;

/** What the commands share during one run. */
export class Cli {
  readonly io: Io;
  readonly paths: Paths;
  readonly #screen: Screen;
  exitCode: number = exitCodes.ok;
  #loaded: Promise<LoadedRuntime> | null = null;

  constructor(io: Io) {
    this.io = io;
    this.#screen = createScreen(io);
    this.paths = pathsIn(homeFrom(io.env));
  }

  /** Loads SQLite at the first call. */
  async loaded(): Promise<LoadedRuntime> {
    this.#loaded ??= this.io.makeRuntime();
    return this.#loaded;
  }

  async runtime(): Promise<Runtime> {
    return (await this.loaded()).runtime;
  }

  /** [CL75] How the user can type `shim` here. */
  get command(): string {
    return shimCommand(this.io) ?? "shim";
  }

  get paint(): Paint {
    return this.#screen.paint;
  }

  /** [CL4] As a terminal may show it: what is quoted with commands as they stand there. */
  verbatim(text: string): string {
    return this.#screen.format(text);
  }

  /** SHIM's own words, as a terminal may show them and with commands as they can be typed here. */
  format(text: string): string {
    return withShimCommand(this.verbatim(text), () => this.command);
  }

  /** Adds `--json` unless the command has one of its own, and runs `body` with the options and the arguments as the command declares them. */
  define(command: Command, body: CommandBody): Command {
    const hasOwn = command.options.some(({ long }) => long === "--json");
    return (hasOwn ? command : command.option("--json", "print JSON")).action(async (...all: unknown[]) => {
      // commander calls with the declared arguments, the options and the command.
      const args = all.slice(0, -2) as string[];
      const given = (all.at(-1) as Command).optsWithGlobals<CommonOptions>();
      await this.#run(given.json === true, () => body(given as never, ...args));
      if (!commandsShowingNotices.has(command.name())) await this.#showNotices();
    });
  }

  /** One line about long work, for people who wait. */
  progress(text: string): void {
    this.io.stderr(`${this.format(this.paint("dim", text))}\n`);
  }

  /** "12 s ago" */
  ago(at: number): string {
    return `${age(this.io.now() - at)} ago`;
  }

  /** Asks before something is done. [CL6] Where nobody can answer, `--yes` must have been given. */
  async confirm(question: string, isYes: boolean): Promise<"yes" | "no" | "unasked"> {
    if (isYes) return "yes";
    if (!this.io.isInteractive) return "unasked";
    const reply = await this.io.ask(`${this.format(question)} [y/N] `);
    return /^y(es)?$/i.test(reply.trim()) ? "yes" : "no";
  }

  /** Says what happened; the only place where answers, refusals and errors are printed. */
  report(outcome: CommandResult, isJson: boolean): void {
    if (outcome.ok) {
      const { data, text, isFailed, isOneLine, isVerbatim, exit } = outcome.value;
      const displayText = isVerbatim === true ? this.verbatim(text) : this.format(text);
      this.io.stdout(isJson ? `${isOneLine ? safeJsonLine(data) : safeJson(data)}\n` : displayText);
      this.exitCode = exit ?? (isFailed ? exitCodes.failed : exitCodes.ok);
      return;
    }
    const { exit, code, candidates } = outcome.error;
    const message = withShimCommand(outcome.error.message, () => this.command);
    if (isJson) this.io.stdout(`${safeJson({ error: { code, message, ...(candidates ? { candidates } : {}) } })}\n`);
    this.io.stderr(`${this.verbatim(`${this.paint("red", "shim:")} ${message}`)}\n`);
    this.exitCode = exit;
  }

  /** [CL5] Broken storage, files that cannot be used, and bugs: one line, and the stack only for who asks for it. */
  reportError(error: unknown, isJson: boolean): void {
    this.report(toFailure(error, this.paths.home), isJson);
    if (this.io.env["SHIM_DEBUG"] === "1" && error instanceof Error) this.io.stderr(`${error.stack}\n`);
  }

  async close(): Promise<void> {
    const loaded = await this.#loaded?.catch(() => null);
    loaded?.runtime.store.close();
  }

  /** [CL27] After the command, as it may be the one that met the damage. Where no SQLite was loaded there is none to read. */
  async #showNotices(): Promise<void> {
    const loaded = await this.#loaded?.catch(() => null);
    if (!loaded) return;
    const open = noticesOf(loaded.runtime);
    for (const { text } of open) this.io.stderr(`${this.format(`${this.paint("yellow", "NOTICE:")} ${text}`)}\n`);
    if (open.length > 0) this.progress("When you have read it: `shim doctor --acknowledge`.");
  }

  async #run(isJson: boolean, body: () => Promise<CommandResult>): Promise<void> {
    try {
      this.report(await body(), isJson);
    } catch (error) {
      this.reportError(error, isJson);
    }
  }
}

function toFailure(error: unknown, home: string): FailedResult {
  if (error instanceof StoreError) return failed(error.code, error.message);
  const fileError = fileErrorText(error, home);
  if (fileError !== null) return failed("file_unusable", fileError);
  const message = messageOf(error);
  return failed("internal", `${message} (a bug of SHIM; SHIM_DEBUG=1 shows where)`);
}

function noticesOf(runtime: Runtime): notices.Notice[] {
  try {
    return runtime.store.read(notices.list, []);
  } catch (error) {
    // The command has met it as well, and has said so.
    if (error instanceof StoreError) return [];
    throw error;
  }
}

/** Readers of option values; what they throw, commander prints beside the option's name. */

export function countUpTo(max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1 || value > max) {
      throw new InvalidArgumentError(`It must be 1 to ${max}.`);
    }
    return value;
  };
}

export const count = countUpTo(10_000);

/** @param defaultLimit where it is not given */
export function limitOption(defaultLimit: number, description = "at most so many"): Option {
  return new Option("--limit <n>", `${description} (default: ${defaultLimit})`).argParser(count);
}

/** Versions and revisions stand above epoch * 2^28: they have up to 16 digits. */
export function revision(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError("No version is that high.");
  return value;
}

export function momentOption(io: Pick<Io, "now">, edge: "first" | "last"): (text: string) => number {
  return (text) => {
    const at = parseTime(text, io.now(), edge);
    if (at === null)
      throw new InvalidArgumentError("Give a duration (2d, 3h, 15m) or a date (2026-11-20, 2026-11-20T08:00).");
    return at;
  };
}
