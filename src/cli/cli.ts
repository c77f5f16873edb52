import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import type { Result } from "../shared/result.ts";
import { age } from "../local-mcp/recovery/brief.ts";
import { homeFrom, pathsIn, type Paths } from "../local-mcp/paths.ts";
import type { Runtime } from "../local-mcp/runtime.ts";
import { StoreError } from "../local-mcp/store/store-error.ts";
import { exitCodes, failed, type Answer, type ExitCode, type Refusal } from "./answer.ts";
import type { Io, LoadedRuntime } from "./io.ts";
import { painter, safe, safeJson, type Paint } from "./screen-text.ts";
import { parseTime } from "./times.ts";

export type Outcome = Result<Answer, Refusal>;

/** In the options of every command. */
export interface Common {
  readonly json?: boolean;
}

/** `never`: each command names the options that it has declared; commander does not know their types. */
type Body = (options: never, ...args: string[]) => Promise<Outcome>;

/** What the commands share during one run. */
export class Cli {
  readonly io: Io;
  readonly paint: Paint;
  readonly paths: Paths;
  exitCode: ExitCode = exitCodes.ok;
  #loaded: Promise<LoadedRuntime> | null = null;

  constructor(io: Io) {
    this.io = io;
    this.paint = painter(io);
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

  /** Adds `--json`, and runs `body` with the options and the arguments as the command declares them. */
  define(command: Command, body: Body): Command {
    return command.option("--json", "print JSON").action(async (...all: unknown[]) => {
      // commander calls with the declared arguments, the options and the command.
      const args = all.slice(0, -2) as string[];
      const given = (all.at(-1) as Command).optsWithGlobals<Common>();
      await this.#run(given.json === true, () => body(given as never, ...args));
    });
  }

  /** One line about long work, for people who wait. */
  progress(text: string): void {
    this.io.stderr(`${this.paint("dim", safe(text))}\n`);
  }

  /** "12 s ago" */
  ago(at: number): string {
    return `${age(this.io.now() - at)} ago`;
  }

  /** Asks before something is done. [CL6] Where nobody can answer, `--yes` must have been given. */
  async confirm(question: string, isYes: boolean): Promise<"yes" | "no" | "unasked"> {
    if (isYes) return "yes";
    if (!this.io.isInteractive) return "unasked";
    const reply = await this.io.ask(`${question} [y/N] `);
    return /^y(es)?$/i.test(reply.trim()) ? "yes" : "no";
  }

  /** Says what happened; the only place where answers, refusals and errors are printed. */
  report(outcome: Outcome, isJson: boolean): void {
    if (outcome.ok) {
      const { data, text, isFailed } = outcome.value;
      this.io.stdout(isJson ? `${safeJson(data)}\n` : safe(text));
      this.exitCode = isFailed ? exitCodes.failed : exitCodes.ok;
      return;
    }
    const { exit, code, message, candidates } = outcome.error;
    if (isJson) this.io.stdout(`${safeJson({ error: { code, message, ...(candidates ? { candidates } : {}) } })}\n`);
    this.io.stderr(`${this.paint("red", "shim:")} ${safe(message)}\n`);
    this.exitCode = exit;
  }

  /** [CL5] Broken storage and bugs: one line, and the stack only for who asks for it. */
  reportError(error: unknown, isJson: boolean): void {
    const isKnown = error instanceof StoreError;
    const message = error instanceof Error ? error.message : String(error);
    const more = isKnown ? "" : " (a bug of SHIM; SHIM_DEBUG=1 shows where)";
    this.report(failed(isKnown ? error.code : "internal", `${message}${more}`), isJson);
    if (this.io.env["SHIM_DEBUG"] === "1" && error instanceof Error) this.io.stderr(`${error.stack}\n`);
  }

  async close(): Promise<void> {
    const loaded = await this.#loaded?.catch(() => null);
    loaded?.runtime.store.close();
  }

  async #run(isJson: boolean, body: () => Promise<Outcome>): Promise<void> {
    try {
      this.report(await body(), isJson);
    } catch (error) {
      this.reportError(error, isJson);
    }
  }
}

/** Readers of option values; what they throw, commander prints beside the option's name. */

export function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 10_000) throw new InvalidArgumentError("It must be 1 to 10000.");
  return value;
}

export function moment(io: Pick<Io, "now">, edge: "first" | "last"): (text: string) => number {
  return (text) => {
    const at = parseTime(text, io.now(), edge);
    if (at === null)
      throw new InvalidArgumentError("Give a duration (2d, 3h, 15m) or a date (2026-11-20, 2026-11-20T08:00).");
    return at;
  };
}
