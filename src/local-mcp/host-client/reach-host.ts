import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { checkSocketFolder, hostSocket, recallHost } from "../../platform/host-socket.ts";
import type { HostRequest } from "../../platform/local-http.ts";
import { readText } from "../../platform/paths.ts";
import { createPrivateFolder } from "../../platform/private-files.ts";
import { isRunning, systemProcesses } from "../../platform/processes.ts";
import type { Launch } from "../../platform/shim-command.ts";
import { codeOf, messageOf } from "../../shared/error.ts";
import { sinceStartMs } from "../../platform/timers.ts";
import { isWithin } from "../../shared/known-time.ts";
import { toStoreError } from "../../store/store-error.ts";

/** How long a host may take from its start until it can be reached, in ms. */
export const maxStartMs = 10_000;
/** Interval of the attempts to connect to a host that starts, in ms. */
export const retryMs = 5;
/**
 * Most objects are short-lived: a small heap for them saves 5 MB. An idle host does not wake up
 * V8's second thread in each tick, which costs its start about 10 ms of 140.
 */
const nodeOptions = [
  "--max-semi-space-size=1",
  "--single-threaded-gc",
  "--no-concurrent-recompilation",
  "--no-concurrent-sparkplug",
  "--v8-pool-size=1",
  "--no-memory-reducer-for-small-heaps",
];
/** After a start whose process is unknown the next one waits so long. */
const startEveryMs = 1_000;

const markName = "host.starting";

/**
 * There while a host starts, with its process id. One that can be reached removes it; one that
 * fails writes why. So a host that was killed, or that found another one, is followed by the next
 * at once.
 */
export function startMark(home: string): string {
  return `${home}/${markName}`;
}

/** Why the last start failed, until one succeeds; empty where none has said why. */
export function lastFailure(home: string): string {
  const start = readText(startMark(home)) ?? "";
  return Number.isNaN(Number(start)) ? start : (readText(failedMark(home)) ?? "");
}

function failedMark(home: string): string {
  return `${home}/host.failed`;
}

/** A host can be reached. */
export function endStart(home: string): void {
  for (const mark of [startMark(home), failedMark(home)]) rmSync(mark, { force: true });
}

/** @param reason of a failed start; empty: the mark stays as it is */
export function failStart(home: string, reason: string): void {
  try {
    const mark = startMark(home);
    const { mtime } = statSync(mark);
    writeFileSync(mark, reason, { flag: "r+" });
    utimesSync(mark, mtime, mtime);
  } catch {
    // A host that can be reached has removed it.
  }
}

/** Before an older host hands over: its fronts would start another one like it. */
export function reserveStart(home: string): void {
  try {
    writeFileSync(startMark(home), String(process.pid), { mode: 0o600 });
  } catch {
    // The start itself says what is wrong.
  }
}

export interface HostStart {
  readonly home: string;
  /** The program of a host. */
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Starts a host unless another process has just done it, or one lives that cannot be found.
 *
 * @throws {StoreError} where nothing can be started here, as on a full disk
 * @throws {Error} the reason of the last start, if it failed: the next call starts another host
 */
export function startHost(start: HostStart): void {
  try {
    createPrivateFolder(start.home);
    if (beginStart(start.home) && !recallHost(start.home)) spawnHost(start);
  } catch (error) {
    throw toStoreError(error, startMark(start.home));
  }
}

function spawnHost({ home, program, env }: HostStart): void {
  // A start that ends without a reason is repeated at once, and none of these could succeed.
  const missing = [process.execPath, program].find((path) => !existsSync(path));
  if (missing !== undefined) return failStart(home, `${missing} is missing`);
  const log = openSync(`${home}/host.log`, "a", 0o600);
  try {
    const command = [process.execPath, ...nodeOptions, program] as const;
    // Clients end all processes below their servers: the first shell leaves the host to init. The
    // other one states its process before it becomes the host, which may soon write why it fails.
    const [file, ...args] =
      process.platform === "win32"
        ? command
        : ["/bin/sh", "-c", `/bin/sh -c 'echo $$ >${markName}; exec "$@"' sh "$@" &`, "sh", ...command];
    const started = spawn(file, args, {
      detached: true,
      stdio: ["ignore", "ignore", log],
      cwd: home,
      env: withoutChat(env),
      windowsHide: true,
    });
    started.once("error", (error) => failStart(home, `no process can be started (${messageOf(error)})`));
    started.unref();
    if (process.platform === "win32") writeFileSync(startMark(home), String(started.pid ?? ""));
  } finally {
    closeSync(log);
  }
}

const ofChat = /^SHIM_(?:TASK|CLIENT_PID)$|_SESSION_ID$/;

/** A host serves all chats: it inherits nothing that names one. */
function withoutChat(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ofChat.test(name)));
}

/**
 * @returns false: another process has just started a host
 * @throws {Error} the reason of the last start, if it failed: the next call starts another host
 */
function beginStart(home: string): boolean {
  const mark = startMark(home);
  try {
    // A full disk is found here, and not in each host.
    writeFileSync(mark, unknownStarter, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    const since = statSync(mark, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const content = readText(mark) ?? "";
    const starter = Number(content) || 0;
    if (starter === process.pid) return true;
    if (Number.isNaN(Number(content))) {
      renameSync(mark, failedMark(home));
      throw new Error(content, { cause: error });
    }
    // A start that failed is repeated; a mark of the future is of another clock.
    const maxMs = starter > 0 ? maxStartMs : startEveryMs;
    const isLate = Math.abs(Date.now() - since) > maxMs;
    if (hasEnded(starter) || (isLate && starter === 0)) rmSync(mark, { force: true });
    else if (isLate)
      failStart(home, `a host did not start within ${maxStartMs / 1_000} s; host.log in ${home} may say why`);
    return false;
  }
}

const unknownStarter = "0";

function hasEnded(pid: number): boolean {
  if (pid <= 0) return false;
  // Process 1 of a container may reap late. Elsewhere the facts of a process cost a program.
  return process.platform === "linux" ? systemProcesses.facts(pid) === null : !isRunning(pid);
}

/** A host of a home, for a process beside it. */
export interface HostHome {
  readonly home: string;
  readonly launch: Launch;
  readonly env: NodeJS.ProcessEnv;
}

/** Nothing was asked: no host could be started. */
export class NoHostError extends Error {
  override readonly name = "NoHostError";
  /** None has failed: one that starts may only be slow. */
  isStarting = false;
}

/** Status of a host that ends, since the caller's program is newer. */
export const handsOver = 426;

/**
 * Asks the host, and starts one where none runs, or where it hands over to a newer one.
 *
 * @param maxMs for the start of a host, from its beginning
 * @throws {NoHostError} where none has started in time, or others may enter its folder
 * @throws {Error} where the connection was lost or the signal aborted: a host may have done it
 */
export async function reachHost<Answer extends Partial<Pick<IncomingMessage, "statusCode" | "resume">>>(
  { home, launch, env }: HostHome,
  request: HostRequest,
  ask: (socket: string, request: HostRequest) => Promise<Answer | null>,
  maxMs = maxStartMs,
): Promise<Answer> {
  const program = join(dirname(launch.hookScript), "mcp-host.cjs");
  const giveUpAt = sinceStartMs() + maxMs - startingMs(home);
  for (;;) {
    const socket = hostSocket(home, systemProcesses.boot());
    orNoHost(() => checkSocketFolder(home, socket));
    const answer = await ask(socket, request).catch((error: unknown) => {
      // The socket of another user, as after `sudo`.
      throw codeOf(error) === "EACCES" ? new NoHostError(messageOf(toStoreError(error, socket))) : error;
    });
    if (answer !== null && answer.statusCode !== handsOver) return answer;
    if (answer !== null) reserveStart(home);
    else orNoHost(() => startHost({ home, program, env }));
    answer?.resume?.();
    if (sinceStartMs() > giveUpAt) {
      const reason = lastFailure(home);
      const error = new NoHostError(reason || `no host has started at ${socket}; host.log in ${home} says why`);
      throw Object.assign(error, { isStarting: reason === "" && startingMs(home) > 0 });
    }
    await pause(retryMs);
    request.signal.throwIfAborted();
  }
}

/** How long a start has been under way, so that of one that hangs a single event waits. */
function startingMs(home: string): number {
  try {
    const ageMs = Date.now() - statSync(startMark(home)).mtimeMs;
    return isWithin(ageMs, maxStartMs) ? Math.max(0, ageMs) : 0;
  } catch {
    // None is under way, or a start says why the home cannot be read.
    return 0;
  }
}

function orNoHost(attempt: () => void): void {
  try {
    attempt();
  } catch (error) {
    throw new NoHostError(messageOf(error), { cause: error });
  }
}
