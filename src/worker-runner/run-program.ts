import { spawn, type ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import type { ClaimedTask } from "../contract/tasks.ts";
import { codeOf } from "../shared/error.ts";
import { LineReader } from "../shared/line-reader.ts";
import { endGroup, exitCode, groupOf, hasGroups } from "../platform/process-group.ts";
import { programPath } from "../platform/program-path.ts";
import { withoutSecrets } from "../platform/secret-env.ts";
import { endMarked, markName, toMark } from "./marked-processes.ts";
import { watchdogScript, type WatchdogReport } from "./watchdog-script.ts";

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly input: string;
  /** Keeps stdin open for `interruptLine`, which replaces INT, until `isOver` after a line. */
  readonly dialog?: { readonly interruptLine: string; readonly isOver: () => boolean };
  /** Aborted: TERM to all processes, then KILL after `graceMs`. */
  readonly signal: AbortSignal;
  readonly graceMs: number;
  /** Time between the interrupt and TERM after an abort. */
  readonly interruptMs?: number;
  /** Default: 300,000. */
  readonly maxLineChars?: number;
  /** Lines are cut at `maxLineChars`. */
  readonly onLine: (line: string) => void;
  /** Output as it comes, before it is split into lines. */
  readonly onText?: (text: string) => void;
  readonly onStderr: (text: string) => void;
  /** Backpressure: pauses reading until the promise resolves. */
  readonly pace?: () => Promise<unknown> | null;
  /** Gets the number of its process group. */
  readonly onStart?: (group: number) => void;
  /** Called before leftover processes are ended. */
  readonly onEnd?: () => void;
}

export type ProgramExit =
  /** `code` is 128 plus the number of the signal for a program ended by one. */
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "not_started"; readonly isMissing: boolean; readonly message: string };

/** A process outside the group may still write into the pipes. */
const outputDrainMs = 1_000;
const maxLeftoverMs = 6_000;
const maxReportChars = 10_000;

/**
 * Runs a program without a shell. [WK60] Ends its process group and, where found, processes that
 * left it. [WK15] The program never outlives this process.
 */
export async function runProgram(program: Program): Promise<ProgramExit> {
  if (program.signal.aborted) return notStarted("ABORT", "stopped before it was started");
  const child = spawnProgram(program);
  if (child.pid === undefined) return whenNotSpawned(child, program.cwd);
  const group = groupOf(child.pid);
  program.onStart?.(group.pid);
  let groupEnd: Promise<void> | null = null;
  const stop = (): void => {
    const interrupt = (): boolean => writeInterrupt(child, program);
    groupEnd = endGroup(group, program.graceMs, program.interruptMs, interrupt);
  };
  program.signal.addEventListener("abort", stop, { once: true });
  const closed = new Promise<void>((resolve) => void child.once("close", () => resolve()));
  readOutput(child, program);
  const readReport = collectReport(child);
  const code = await waitForExit(child);
  program.onEnd?.();
  program.signal.removeEventListener("abort", stop);
  await (groupEnd ?? endGroup(group, Math.min(program.graceMs, maxLeftoverMs)));
  await endMarked(`${processMark()}-${group.pid}`);
  await Promise.race([closed, pause(outputDrainMs)]);
  for (const stream of [child.stdout, child.stderr]) stream?.destroy();
  return toExit(readReport(), code);
}

function spawnProgram({ command, args, cwd, env }: Program): ChildProcess {
  return spawn(process.execPath, ["-e", watchdogScript, "--", programPath(command, env), ...args], {
    cwd,
    env: { ...env, [markName]: processMark() },
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    detached: hasGroups,
    windowsHide: true,
  });
}

function processMark(): string {
  return toMark(groupOf(process.pid));
}

function notStarted(code: string, message: string): ProgramExit {
  return { kind: "not_started", isMissing: code === "ENOENT", message };
}

function whenNotSpawned(child: ChildProcess, cwd: string): Promise<ProgramExit> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      const isFolder = codeOf(error) === "ENOENT";
      resolve(notStarted("unknown", isFolder ? `there is no folder ${cwd}` : error.message));
    });
  });
}

function waitForExit(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve(exitCode(code, signal)));
  });
}

const defaultMaxChars = 300_000;

function writeInterrupt({ stdin }: ChildProcess, { dialog }: Program): boolean {
  if (!dialog || !stdin?.writable) return false;
  stdin.write(`${dialog.interruptLine}\n`);
  return true;
}

function readOutput(
  child: ChildProcess,
  { input, dialog, onLine, onText, onStderr, maxLineChars, pace }: Program,
): void {
  const onDialogLine = (line: string): void => {
    onLine(line);
    if (dialog?.isOver()) child.stdin?.end();
  };
  const lines = new LineReader(onDialogLine, maxLineChars ?? defaultMaxChars);
  const readStream = (stream: Readable | null, onText: (text: string) => void): void => {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      onText(text);
      const paused = child.exitCode === null && child.signalCode === null ? pace?.() : null;
      if (!paused) return;
      stream.pause();
      void paused.then(() => stream.resume());
    });
    child.once("exit", () => stream?.resume());
  };
  readStream(child.stdout, (text) => {
    onText?.(text);
    lines.push(text);
  });
  child.stdout?.once("close", () => lines.end());
  readStream(child.stderr, onStderr);
  // The program may end before it has read everything.
  child.stdin?.on("error", () => undefined);
  child.stdin?.write(input);
  if (!dialog) child.stdin?.end();
}

function collectReport(child: ChildProcess): () => WatchdogReport | null {
  let text = "";
  const worker = child.stdio[3] as Readable;
  worker.setEncoding("utf8").on("data", (part: string) => (text = (text + part).slice(0, maxReportChars)));
  worker.on("error", () => undefined);
  return () => (text.endsWith("\n") ? (JSON.parse(text) as WatchdogReport) : null);
}

function toExit(report: WatchdogReport | null, code: number): ProgramExit {
  if (report === null) return { kind: "exited", code };
  if ("problem" in report) return notStarted(report.problem, report.message);
  return { kind: "exited", code: exitCode(report.code, report.signal) };
}

/** Variables that would point git away from the worktree. */
const gitLocationVariables =
  /^GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|PREFIX|NAMESPACE)$/;

/** [WK17] Contains no text of the task. */
export function programEnv(env: NodeJS.ProcessEnv, { task, claim }: ClaimedTask): NodeJS.ProcessEnv {
  const passed = Object.entries(withoutSecrets(env)).filter(([name]) => !gitLocationVariables.test(name));
  return { ...Object.fromEntries(passed), SHIM_TASK: String(task), SHIM_CLAIM: String(claim) };
}
