import type { Json } from "../../contract/values.ts";
import { readLine, type Said } from "./command-lines.ts";
import type { Executor, Outcome, Run } from "./executor.ts";
import { programEnv } from "./program-env.ts";
import { runProgram, type Ended } from "./run-program.ts";

export interface CommandOptions {
  /** The program and its arguments: no shell, and nothing of a task among them. */
  readonly command: readonly [program: string, ...args: string[]];
  readonly env: NodeJS.ProcessEnv;
  /** Exit codes after which the same again would fail again. */
  readonly finalCodes: readonly number[];
}

/** sysexits.h: the user is invited to retry. */
const temporaryFailure = 75;
/** Between TERM and KILL. */
const graceMs = 5_000;
const mostSaidChars = 300;

/** [WK16] Any program: the task as one line of JSON on stdin; its exit code and the last line of stdout are the outcome. */
export function commandExecutor(options: CommandOptions): Executor {
  return { run: (run) => runCommand(options, run) };
}

async function runCommand({ command, env, finalCodes }: CommandOptions, run: Run): Promise<Outcome> {
  const [program, ...args] = command;
  const last = { result: null as string | null, said: "" };
  // A stop that comes while what it has left behind is ended takes nothing back.
  let isOver = false;
  const ended = await runProgram({
    command: program,
    args,
    cwd: run.folder,
    env: programEnv(env, run.task),
    input: `${JSON.stringify(inputOf(run))}\n`,
    signal: run.signal,
    graceMs,
    onLine: (line) => {
      run.onOutput(`${line}\n`);
      const said = readLine(line);
      if (said.kind === "text" && line.trim() !== "") last.result = line;
      else heed(run, said);
    },
    onComplaint: (text) => {
      run.onOutput(text);
      last.said = lastLine(last.said + text);
    },
    onEnd: () => (isOver = !run.signal.aborted),
  });
  if (run.signal.aborted && !isOver) return { kind: "stopped" };
  return outcomeOf(ended, last, finalCodes);
}

/** What the program is told of its task. */
function inputOf({ task: claimed, merged }: Run): object {
  const { task, type, payload, attempt, progress, checkpoint, inputs } = claimed;
  const conflicts = merged.conflicts.length === 0 ? {} : { conflicts: merged.conflicts };
  return { task, type, payload, attempt, progress, checkpoint, inputs, ...conflicts };
}

function heed(run: Run, said: Said): void {
  if (said.kind === "progress") run.onProgress(said.progress);
  if (said.kind === "checkpoint") run.onCheckpoint(said.checkpoint);
}

function outcomeOf(
  ended: Ended,
  { result, said }: { readonly result: string | null; readonly said: string },
  finalCodes: readonly number[],
): Outcome {
  if (ended.kind === "not_started") {
    return { kind: "failed", reason: `the program cannot be started: ${ended.message}`, isRetryable: true };
  }
  const { code } = ended;
  if (code === 0) return { kind: "done", result: result === null ? null : valueOf(result) };
  const words = (said.trim() || (result ?? "").trim()).slice(0, mostSaidChars);
  const reason = words === "" ? `exit code ${code}` : `exit code ${code}: ${words}`;
  return { kind: "failed", reason, isRetryable: code === temporaryFailure || !finalCodes.includes(code) };
}

function valueOf(line: string): Json {
  try {
    return JSON.parse(line) as Json;
  } catch {
    return line;
  }
}

/** The last one with something on it; a text that goes on is kept to its end. */
function lastLine(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const end = text.endsWith("\n") ? "\n" : "";
  return `${(lines.at(-1) ?? "").slice(-mostSaidChars)}${end}`;
}
