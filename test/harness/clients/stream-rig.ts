import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import { HookProgram, type HookLimits } from "#src/clients/hook-program.ts";
import * as journal from "#src/local-mcp/sessions/journal.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { childrenOf, readOrNull } from "#harness/claude/claude-code.ts";
import { built, envOf, homeWithoutRetention, storeOf } from "#harness/machine/mcp-process.ts";
import { killEvery } from "#harness/machine/process-tree.ts";

export const session = "ses_streamed";
// A process of its own must end within eventMs, on a busy machine too.
export const limits: HookLimits = { eventMs: 10_000, startMs: 15_000, restartMs: 60_000 };

/** Fields of the events of a tool call. */
export function call(n: number): object {
  return { tool_name: "bash", tool_use_id: `call_${n}`, tool_input: { command: `echo ${n}` } };
}

/** A home with the hook program, as OpenCode's plugin uses it. */
export class StreamRig {
  readonly paths = homeWithoutRetention();
  readonly store = storeOf(this.paths);
  readonly reports: string[] = [];
  readonly #starts = join(this.paths.home, "starts.txt");

  /** A program by which the hook program starts. @param inStream shell lines that run for a stream */
  program(limits?: HookLimits, now?: () => number, inStream = ""): HookProgram {
    const script = join(this.paths.home, "hook.sh");
    const lines = [`echo "$1" >> ${this.#starts}`, `if [ "$1" = stream ]; then :; ${inStream}`, "fi"];
    writeFileSync(script, [...lines, `exec ${process.execPath} ${built.hook} "$@"`, ""].join("\n"));
    writeFileSync(this.#starts, "");
    const variables = Object.entries(envOf(this.paths)).map(([name, value]) => `${name}=${value}`);
    onTestFinished(() => killEvery(this.streams().map((pid) => ({ pid }))));
    return new HookProgram(["env", ...variables, "bash", script], "opencode", limits, now);
  }

  send(program: HookProgram, event: string, fields: object): Promise<unknown> {
    return program.send(event, this.payload(fields), (message) => this.reports.push(message));
  }

  payload(fields: object): Record<string, unknown> {
    return { session_id: session, cwd: dirname(this.paths.home), ...fields };
  }

  /** Events for which a process was started; `stream` for all. */
  starts(): string[] {
    return readFileSync(this.#starts, "utf8").split("\n").slice(0, -1);
  }

  /** The processes that answer streams of this home. */
  streams(parent = process.pid): number[] {
    const home = `SHIM_HOME=${this.paths.home}`;
    return childrenOf(parent)
      .filter(({ command }) => command.includes("stream"))
      .map(({ pid }) => pid)
      .filter((pid) => readOrNull(`/proc/${pid}/environ`)?.split("\0").includes(home));
  }

  entries(): journal.JournalRow["entry"][] {
    return this.store.read((sql) => journal.list(sql, session, 0), []).map(({ entry }) => entry);
  }

  session(): sessions.Session | null {
    return this.store.read((sql) => sessions.get(sql, session), null);
  }
}

/** The process alone, with the lines of its stdin and stdout. */
export class RawStream {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown[]>;
  readonly #replies: AsyncIterator<string>;

  constructor({ paths }: StreamRig, hook = built.hook) {
    const child = spawn(process.execPath, [hook, "stream", "--client", "opencode"], {
      env: envOf(paths),
      stdio: ["pipe", "pipe", "ignore"],
    });
    this.child = child;
    this.ended = once(child, "exit");
    this.#replies = createInterface(child.stdout)[Symbol.asyncIterator]();
    onTestFinished(() => void child.kill("SIGKILL"));
  }

  /** @returns the reply; null when the process ended without one */
  async ask(line: string | object): Promise<unknown> {
    this.child.stdin?.write(`${typeof line === "string" ? line : JSON.stringify(line)}\n`);
    const { done, value } = await this.#replies.next();
    return done ? null : (JSON.parse(value) as unknown);
  }
}
