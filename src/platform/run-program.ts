import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { codeOf } from "../shared/error.ts";
import { readText } from "./paths.ts";
import { LineReader } from "./line-reader.ts";
import { identify, isSameProcess, systemProcesses, unknownStart, type ProcessIdentity } from "./processes.ts";
import { programStart, withoutSecrets } from "./program-path.ts";

type SendSignal = (signal: NodeJS.Signals | 0) => boolean;

const pollIntervalMs = 50;
/** A killed process can wait for a disk, or stay a zombie. */
const maxKillMs = 2_000;

/** Identified by its first process; on Windows, which has no groups, only that process. */
export type ProcessGroup = ProcessIdentity;

export const hasGroups = process.platform !== "win32";

export function groupOf(pid: number): ProcessGroup {
  // The process may have ended by now; its group may not.
  return identify(systemProcesses, pid) ?? { boot: systemProcesses.boot(), pid, start: unknownStart };
}

/** `interrupt` replaces INT where it returns true. */
export async function endGroup(
  group: ProcessGroup,
  graceMs: number,
  interruptMs = 0,
  interrupt: () => boolean = () => false,
): Promise<void> {
  const send: SendSignal = (signal) => (signal === "SIGINT" && interrupt()) || sendSignal(group, signal);
  await endAll(send, graceMs, interruptMs);
}

function sendSignal(group: ProcessGroup, signal: NodeJS.Signals | 0): boolean {
  // The kernel does not reuse a pid while its group exists.
  const found = identify(systemProcesses, group.pid);
  if (found && !isSameProcess(found, group)) return false;
  try {
    process.kill(hasGroups ? -group.pid : group.pid, signal);
    return signal !== 0 || !isDead(group);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

/** Whether only zombies are left, which signals still reach. Linux only. */
function isDead({ pid }: ProcessGroup): boolean {
  if (process.platform !== "linux" || groupStates([String(pid)], pid).some(isRunningState)) return false;
  const states = groupStates(
    readdirSync("/proc").filter((name) => /^\d+$/.test(name)),
    pid,
  );
  return states.length > 0 && !states.some(isRunningState);
}

function isRunningState(state: string): boolean {
  return state !== "Z" && state !== "X";
}

/** proc(5): state, parent and group follow the command, which may hold blanks and brackets. */
function groupStates(pids: readonly string[], group: number): string[] {
  return pids.flatMap((pid) => {
    const stat = readProc(pid, "stat");
    const [state = "", , of] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(of) === group ? [state] : [];
  });
}

/** Empty for a process that has ended. */
function readProc(pid: string, file: "stat" | "status"): string {
  return readText(`/proc/${pid}/${file}`) ?? "";
}

/** Resident bytes of the largest process of a group. Linux only: 0 elsewhere. */
export function largestProcess(group: number): number {
  if (process.platform !== "linux") return 0;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && groupStates([name], group).length > 0);
  // proc(5)
  const sizes = pids.map((pid) => Number(/^VmRSS:\s*(\d+) kB$/m.exec(readProc(pid, "status"))?.[1] ?? 0));
  return 1_024 * Math.max(0, ...sizes);
}

/** Sends INT (if `interruptMs` > 0), TERM, then KILL. Resolves when no process is left. */
async function endAll(sendSignal: SendSignal, graceMs: number, interruptMs = 0): Promise<void> {
  const isGone = (): boolean => !sendSignal(0);
  if (interruptMs > 0 && sendSignal("SIGINT") && (await pollUntil(isGone, interruptMs))) return;
  if (!sendSignal("SIGTERM") || (await pollUntil(isGone, graceMs))) return;
  sendSignal("SIGKILL");
  await pollUntil(isGone, maxKillMs);
}

export async function pollUntil(condition: () => boolean, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (performance.now() < deadline) {
    await pause(pollIntervalMs);
    if (condition()) return true;
  }
  return false;
}

/** 128 plus the number of the signal, for a process ended by one. */
export function exitCode(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal ? constants.signals[signal] : 0);
}

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
  /** Gets the number of its process group. */
  readonly onStart?: (group: number) => void;
  /** Called before leftover processes are ended. */
  readonly onEnd?: () => void;
}

export type ProgramExit =
  /** `code` is 128 plus the number of the signal for a program ended by one. */
  { readonly kind: "exited"; readonly code: number } | { readonly kind: "not_started"; readonly message: string };

/** Whether a signal that users send has ended it: not kill -9, and not that of a fault. */
export function isUserSignal(exit: ProgramExit): boolean {
  return exit.kind === "exited" && (exit.code === 130 || exit.code === 143);
}

/** A process outside the group may still write into the pipes. */
const outputDrainMs = 1_000;
const maxLeftoverMs = 6_000;
const maxReportChars = 10_000;

/**
 * Runs a program without a shell. Ends its process group and, where found, processes that
 * left it. The program never outlives this process.
 */
export async function runProgram(program: Program): Promise<ProgramExit> {
  const { env, dialog } = program;
  if (program.signal.aborted) return { kind: "not_started", message: "stopped before it was started" };
  const child = startWatched({ ...program, env: { ...env, [markName]: processMark() } }, "pipe");
  if (child.pid === undefined) return whenNotSpawned(child, program.cwd);
  const group = groupOf(child.pid);
  program.onStart?.(group.pid);
  let groupEnd: Promise<void> | null = null;
  const interrupt = (): boolean => {
    const isWritten = dialog !== undefined && child.stdin?.writable === true;
    if (isWritten) child.stdin?.write(`${dialog.interruptLine}\n`);
    return isWritten;
  };
  const stop = (): void => {
    groupEnd = endGroup(group, program.graceMs, program.interruptMs, interrupt);
  };
  program.signal.addEventListener("abort", stop, { once: true });
  const closed = once(child, "close");
  readOutput(child, program);
  const report = readReport(child);
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  program.onEnd?.();
  program.signal.removeEventListener("abort", stop);
  await (groupEnd ?? endGroup(group, Math.min(program.graceMs, maxLeftoverMs)));
  await endMarked(`${processMark()}-${group.pid}`);
  await Promise.race([closed, pause(outputDrainMs)]);
  for (const stream of [child.stdout, child.stderr]) stream?.destroy();
  const ended = report() ?? { code, signal };
  if ("message" in ended) return { kind: "not_started", message: ended.message };
  return { kind: "exited", code: exitCode(ended.code, ended.signal) };
}

/**
 * Starts a program without a shell, in a group of its own. The program never outlives this process.
 *
 * @param env has a mark under `markName`
 */
export function startWatched(
  { command, args, cwd, env }: Pick<Program, "command" | "args" | "cwd" | "env">,
  stdio: "inherit" | "pipe",
): ChildProcess {
  const start = programStart(command, args, env);
  return spawn(process.execPath, ["-e", watchdogScript, "--", start.file, ...start.args], {
    cwd,
    env,
    stdio: [stdio, stdio, stdio, "pipe"],
    detached: hasGroups,
    windowsHide: true,
  });
}

/** @returns null until the watchdog has said how its program has ended, and where it was killed */
export function readReport(child: ChildProcess): () => WatchdogReport | null {
  let report = "";
  const watchdog = child.stdio[3] as Readable;
  watchdog.setEncoding("utf8").on("data", (part: string) => (report = (report + part).slice(0, maxReportChars)));
  watchdog.on("error", () => undefined);
  return () => (report.endsWith("\n") ? (JSON.parse(report) as WatchdogReport) : null);
}

export function processMark(): string {
  return toMark(groupOf(process.pid));
}

function whenNotSpawned(child: ChildProcess, cwd: string): Promise<ProgramExit> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      const message = codeOf(error) === "ENOENT" ? `there is no folder ${cwd}` : error.message;
      resolve({ kind: "not_started", message });
    });
  });
}

const defaultMaxChars = 300_000;

function readOutput(child: ChildProcess, { input, dialog, onLine, onText, onStderr, maxLineChars }: Program): void {
  const onDialogLine = (line: string): void => {
    onLine(line);
    if (dialog?.isOver()) child.stdin?.end();
  };
  const lines = new LineReader(onDialogLine, maxLineChars ?? defaultMaxChars);
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    onText?.(text);
    lines.push(text);
  });
  child.stdout?.once("close", () => lines.end());
  child.stderr?.setEncoding("utf8").on("data", onStderr);
  // The program may end before it has read everything.
  child.stdin?.on("error", () => undefined);
  child.stdin?.write(input);
  if (!dialog) child.stdin?.end();
}

/** Variables that would point git away from the worktree. */
const gitLocationVariables =
  /^GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|PREFIX|NAMESPACE)$/;

/** @param variables values that it gets besides */
export function programEnv(env: NodeJS.ProcessEnv, variables: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const passed = Object.entries(withoutSecrets(env)).filter(([name]) => !gitLocationVariables.test(name));
  return { ...Object.fromEntries(passed), ...variables };
}

/** Inherited by all processes of a task, even outside its group (setsid). */
export const markName = "SHIM_RUN";

export const hasMarks = process.platform === "linux";

/** SHIM's own server saves files for up to five seconds. */
const graceMs = 6_000;

/** One program's mark adds `-` and its group number. */
export function toMark({ pid, start }: ProcessIdentity): string {
  return `${pid}.${start}`;
}

/** Resolves when none is left. */
export async function endMarked(mark: string): Promise<void> {
  await endAll((signal) => signalMarked(mark, signal), graceMs);
}

function signalMarked(mark: string, signal: NodeJS.Signals | 0): boolean {
  const start = `${markName}=${mark}`;
  const isMarked = (entry: string): boolean => entry === start || entry.startsWith(`${start}-`);
  const names = hasMarks ? readdirSync("/proc") : [];
  const pids = names.filter((name) => /^\d+$/.test(name) && readEnvironment(name).some(isMarked)).map(Number);
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // The process has ended meanwhile.
    }
  }
  return pids.length > 0;
}

function readEnvironment(pid: string): string[] {
  return (readText(`/proc/${pid}/environ`) ?? "").split("\0");
}

/**
 * Leads a program's group and holds one end of a pipe. When the pipe closes the process that
 * started it is gone (even by kill -9): TERM to the group, then KILL 2 s later or at the program's
 * end, also to itself and (Linux) to processes that left the group. Writes a `WatchdogReport` to
 * descriptor 3 as one line of JSON.
 */
const watchdogScript = `"use strict";
const { spawn } = require("node:child_process");
const worker = new (require("node:net").Socket)({ fd: 3 });
const [command, ...args] = process.argv.slice(1);
const heard = ["SIGTERM", "SIGINT", "SIGHUP"];
for (const signal of heard) process.on(signal, () => undefined);
const env = { ...process.env, ${markName}: process.env.${markName} + "-" + process.pid };
const program = spawn(command, args, { env, stdio: "inherit", windowsHide: true });
const all = process.platform === "win32" ? program.pid : -process.pid;
let isAlone = false;
function send(signal) {
  try {
    process.kill(all, signal);
  } catch {
    // The program has ended in the same moment.
  }
}
function endMarked() {
  const { readdirSync, readFileSync } = require("node:fs");
  const mark = "${markName}=" + env.${markName};
  for (const pid of readdirSync("/proc").filter((name) => /^\\d+$/.test(name))) {
    try {
      if (readFileSync("/proc/" + pid + "/environ", "utf8").split("\\0").includes(mark)) process.kill(pid, "SIGKILL");
    } catch {
      // The process has ended in the same moment, or is another user's.
    }
  }
}
function kill() {
  if (process.platform === "linux") endMarked();
  send("SIGKILL");
  process.exit(1);
}
function endAll() {
  if (isAlone) return;
  isAlone = true;
  send("SIGTERM");
  setTimeout(kill, 2_000);
}
function tell(ended) {
  if (isAlone) kill();
  isAlone = true;
  worker.end(JSON.stringify(ended) + "\\n", () => process.exit(0));
}
for (const event of ["end", "close", "error"]) worker.once(event, endAll);
worker.resume();
program.once("error", ({ code, message }) => tell({ code, message }));
program.once("exit", (code, signal) => tell({ code, signal }));
`;

type WatchdogReport =
  | { readonly code: number | null; readonly signal: NodeJS.Signals | null }
  | { readonly code?: string; readonly message: string };
