import type { Json } from "../contract/values.ts";
import { parseLine, type OutputLine } from "./output-lines.ts";
import type { Executor, RunOutcome, TaskRun } from "./executor.ts";
import { programEnv } from "./program-env.ts";
import { runProgram, type ProgramExit } from "./run-program.ts";

export interface CommandOptions {
  readonly command: readonly [program: string, ...args: string[]];
  readonly env: NodeJS.ProcessEnv;
  /** Exit codes of failures that a retry would repeat. */
  readonly finalCodes: readonly number[];
}

/** EX_TEMPFAIL of sysexits.h. */
const temporaryFailure = 75;
/** Between TERM and KILL. */
const graceMs = 5_000;
const maxStderrChars = 300;

/** [WK16] Task on stdin as one line of JSON. [WK64] [WK65] Outcome by exit code and last line. */
export function commandExecutor(options: CommandOptions): Executor {
  return { run: (run) => runCommand(options, run) };
}

async function runCommand({ command, env, finalCodes }: CommandOptions, run: TaskRun): Promise<RunOutcome> {
  const [program, ...args] = command;
  const lastLines = { result: null as string | null, stderr: "" };
  let hasEnded = false;
  const exit = await runProgram({
    command: program,
    args,
    cwd: run.folder,
    env: programEnv(env, run.task),
    input: `${JSON.stringify(taskInput(run))}\n`,
    signal: run.signal,
    graceMs,
    onLine: (line) => {
      run.onOutput(`${line}\n`);
      const outputLine = parseLine(line);
      if (outputLine.kind === "text" && line.trim() !== "") lastLines.result = line;
      else handleLine(run, outputLine);
    },
    onStderr: (text) => {
      run.onOutput(text);
      lastLines.stderr = lastLine(lastLines.stderr + text);
    },
    onEnd: () => (hasEnded = !run.signal.aborted),
  });
  if (run.signal.aborted && !hasEnded) return { kind: "stopped" };
  return toOutcome(exit, lastLines, finalCodes);
}

function taskInput({ task: claimed, merged }: TaskRun): object {
  const { task, type, payload, attempt, progress, checkpoint, inputs } = claimed;
  const conflicts = merged.conflicts.length === 0 ? {} : { conflicts: merged.conflicts };
  return { task, type, payload, attempt, progress, checkpoint, inputs, ...conflicts };
}

function handleLine(run: TaskRun, outputLine: OutputLine): void {
  if (outputLine.kind === "progress") run.onProgress(outputLine.progress);
  if (outputLine.kind === "checkpoint") run.onCheckpoint(outputLine.checkpoint);
}

function toOutcome(
  exit: ProgramExit,
  { result, stderr }: { readonly result: string | null; readonly stderr: string },
  finalCodes: readonly number[],
): RunOutcome {
  if (exit.kind === "not_started") {
    return { kind: "failed", reason: `the program cannot be started: ${exit.message}`, isRetryable: true };
  }
  const { code } = exit;
  if (code === 0) return { kind: "done", result: result === null ? null : parseResult(result) };
  const message = (stderr.trim() || (result ?? "").trim()).slice(0, maxStderrChars);
  const reason = message === "" ? `exit code ${code}` : `exit code ${code}: ${message}`;
  return { kind: "failed", reason, isRetryable: code === temporaryFailure || !finalCodes.includes(code) };
}

function parseResult(line: string): Json {
  try {
    return JSON.parse(line) as Json;
  } catch {
    return line;
  }
}

function lastLine(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const end = text.endsWith("\n") ? "\n" : "";
  return `${(lines.at(-1) ?? "").slice(-maxStderrChars)}${end}`;
}
