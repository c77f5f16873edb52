import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import * as z from "zod";
import { Progress, type ClaimedTask } from "../../contract/tasks.ts";
import { Json } from "../../contract/values.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { runProgram, type ProgramExit, programEnv } from "../../platform/run-program.ts";
import { redact } from "../../redaction/redact.ts";
import { jsonOrText, parseJson } from "../../shared/json-fields.ts";
import { failed, taskVariables, type Executor, type RunOutcome, type TaskRun } from "./executor.ts";
import { isWholeJob } from "./worktrees.ts";

export interface CommandOptions {
  readonly command: readonly [program: string, ...args: string[]];
  readonly env: NodeJS.ProcessEnv;
}

/** Between TERM and KILL. */
const graceMs = 5_000;
const maxReasonChars = 300;
const maxTailChars = 4_000;

/** Task on stdin as one line of JSON. Outcome by exit code and last line. */
export function commandExecutor(options: CommandOptions): Executor {
  return { programs: [options.command[0]], run: (run) => runCommand(options, run) };
}

async function runCommand({ command, env }: CommandOptions, run: TaskRun): Promise<RunOutcome> {
  const [program, ...args] = command;
  const { task, type, payload, attempt, progress, checkpoint, inputs } = run.task;
  const input = { task, type, payload, attempt, progress, checkpoint, inputs };
  const lastLines = { result: null as string | null, stderr: "" };
  let hasEnded = false;
  const exit = await runProgram({
    command: program,
    args,
    cwd: run.folder,
    env: programEnv(env, taskVariables(run.task)),
    input: `${JSON.stringify(input)}\n`,
    signal: run.signal,
    graceMs,
    onLine: (line) => {
      run.onOutput(`${line}\n`);
      if (!readWorkerLine(line, run) && line.trim() !== "") lastLines.result = line;
    },
    onStderr: (text) => {
      run.onOutput(text);
      lastLines.stderr = (lastLines.stderr + text).slice(-maxTailChars);
    },
    onEnd: () => (hasEnded = !run.signal.aborted),
  });
  if (run.signal.aborted && !hasEnded) return { kind: "stopped" };
  return toOutcome(exit, lastLines);
}

function toOutcome(
  exit: ProgramExit,
  { result, stderr }: { readonly result: string | null; readonly stderr: string },
): RunOutcome {
  if (exit.kind === "not_started") return failed(`the program cannot be started: ${exit.message}`, true);
  const { code } = exit;
  if (code === 0) return { kind: "done", result: result === null ? null : (jsonOrText(result) as Json) };
  const message = (lastLine(stderr) || lastLine(result ?? "")).slice(-maxReasonChars);
  const reason = message === "" ? `exit code ${code}` : `exit code ${code}: ${message}`;
  return failed(reason, true);
}

/** A line of nothing but colors is none. */
function lastLine(text: string): string {
  const lines = stripVTControlCharacters(text).split(/[\r\n]/);
  return lines.findLast((line) => line.trim() !== "")?.trim() ?? "";
}

const ProgressLine = z.strictObject({ shim: z.literal("progress"), ...Progress.shape, note: z.string().optional() });
const CheckpointLine = z.object({ shim: z.literal("checkpoint") }).catchall(Json);

/** Lines for the worker begin with `{"shim":`. @returns false for ordinary output */
function readWorkerLine(line: string, { onProgress, onCheckpoint }: TaskRun): boolean {
  const value = /^\s*\{\s*"shim"\s*:/.test(line) ? parseJson(line) : undefined;
  const progress = ProgressLine.safeParse(value);
  if (progress.success) {
    const { shim: _shim, ...fields } = progress.data;
    onProgress(fields);
    return true;
  }
  const checkpoint = CheckpointLine.safeParse(value);
  if (!checkpoint.success) return false;
  const { shim: _shim, ...fields } = checkpoint.data;
  onCheckpoint(fields);
  return true;
}

/** Stored in a checkpoint. */
export const FailedTests = z.looseObject({ failedTests: z.string() });

const maxOutputChars = 2_000;

/** Runs the settings' command, never the job's. The next attempt gets the output's end. */
export function testedExecutor(
  executor: Executor,
  { command, env }: { readonly command: readonly [string, ...string[]]; readonly env: NodeJS.ProcessEnv },
): Executor {
  const tests = commandExecutor({ command, env });
  return {
    ...executor,
    programs: [...(executor.programs ?? []), command[0]],
    run: async (run) => {
      const outcome = await executor.run(run);
      if (outcome.kind !== "done" || !isWholeJob(run.task.payload)) return outcome;
      run.onOutput("the tests of the job:\n");
      const testRun = { ...run, onProgress: () => undefined, onCheckpoint: () => undefined };
      const tested = await tests.run(testRun);
      if (tested.kind === "done") return { ...outcome, tests: { command: command.join(" ") } };
      if (tested.kind !== "failed") return tested;
      const reason = `the tests of the job fail: ${tested.reason}`;
      run.onCheckpoint({ failedTests: redact(reason).text.slice(0, maxOutputChars) });
      return { ...tested, reason, isRetryable: true };
    },
  };
}

const maxFiles = 200;

/**
 * Keeps the newest files of a folder, redacted.
 *
 * @returns the path; no file is written for an empty text
 */
export function keepOutput(folder: string, { task, claim }: Pick<ClaimedTask, "task" | "claim">, text: string): string {
  const path = join(folder, `task-${task}-${claim}.txt`);
  if (text === "") return path;
  createPrivateFolder(folder);
  writeAtomically(path, redact(text).text);
  const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));
  if (names.length <= maxFiles) return path;
  const files = names.flatMap((name) => {
    // Another worker may prune at the same time.
    const at = statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs;
    return at === undefined ? [] : [{ name, at }];
  });
  const oldFiles = files.toSorted((a, b) => b.at - a.at).slice(maxFiles);
  for (const { name } of oldFiles) rmSync(join(folder, name), { force: true });
  return path;
}

export class BoundedOutput {
  readonly #maxChars: number;
  #head = "";
  #tail = "";
  #chars = 0;

  /** @param maxChars of the beginning, and of the end */
  constructor(maxChars = 32_768) {
    this.#maxChars = maxChars;
  }

  push(text: string): void {
    this.#chars += text.length;
    const freeChars = this.#maxChars - this.#head.length;
    this.#head += text.slice(0, freeChars);
    this.#tail += text.slice(freeChars);
    // Cutting copies the whole tail: not at each line.
    if (this.#tail.length > 2 * this.#maxChars) this.#tail = this.#end;
  }

  get text(): string {
    const end = this.#end;
    const omittedChars = this.#chars - this.#head.length - end.length;
    return omittedChars === 0 ? this.#head + end : `${this.#head}\n[... ${omittedChars} characters ...]\n${end}`;
  }

  get #end(): string {
    return this.#tail.slice(-this.#maxChars);
  }
}
