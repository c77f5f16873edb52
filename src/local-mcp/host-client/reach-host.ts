import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { prepareSocketFolder, checkSocketFolder, hostSocket } from "../../platform/host-socket.ts";
import { requestHost, type HostRequest } from "../../platform/local-http.ts";
import { isRunning, systemProcesses } from "../../platform/processes.ts";
import type { Launch } from "../../platform/shim-command.ts";
import { codeOf, messageOf } from "../../shared/error.ts";
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
/** After a start that failed, or whose process is unknown, the next one waits so long. */
const startEveryMs = 1_000;

const markName = "host.starting";

/**
 * There while a host starts, with its process id. One that can be reached removes it; one that
 * fails writes why, and another that ends by itself empties it. So a host that was killed is
 * followed by the next one at once.
 */
export function startMark(home: string): string {
  return `${home}/${markName}`;
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
  readonly socket: string;
  /** The program of a host. */
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Starts a host unless another process has just done it.
 *
 * @throws {SocketFolderError} where others may enter the folder of the socket
 * @throws {Error} the reason of the last start, if it failed: the next call starts another host
 */
export function startHost({ home, socket, program, env }: HostStart): void {
  prepareSocketFolder(home, socket);
  if (!takeTurn(startMark(home))) return;
  const log = openSync(`${home}/host.log`, "a", 0o600);
  try {
    const command = [process.execPath, ...nodeOptions, program] as const;
    // Clients end all processes below their servers, so the shell between leaves the host to init.
    const [file, ...args] =
      process.platform === "win32" ? command : ["/bin/sh", "-c", `"$@" & echo $! >${markName}`, "sh", ...command];
    const started = spawn(file, args, {
      detached: true,
      stdio: ["ignore", "ignore", log],
      cwd: home,
      env: withoutChat(env),
    });
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

function takeTurn(mark: string): boolean {
  try {
    // A full disk is found here, and not in each host.
    writeFileSync(mark, unknownStarter, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw toStoreError(error, mark);
    const since = statSync(mark, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const content = readMark(mark);
    const starter = Number(content) || 0;
    if (starter === process.pid) return true;
    if (Number.isNaN(Number(content))) {
      rmSync(mark, { force: true });
      throw new Error(content, { cause: error });
    }
    // A start that failed is repeated; a mark of the future is of another clock.
    const maxMs = starter > 0 ? maxStartMs : startEveryMs;
    if (Math.abs(Date.now() - since) > maxMs || hasEnded(starter)) rmSync(mark, { force: true });
    return false;
  }
}

const unknownStarter = "0";

function readMark(mark: string): string {
  try {
    return readFileSync(mark, "utf8");
  } catch {
    return "";
  }
}

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
}

/** Status of a host that ends, since the caller's program is newer. */
export const handsOver = 426;

/**
 * Asks the host, and starts one where none runs, or where it hands over to a newer one.
 *
 * @param maxMs for the start of a host; 0: none is started
 * @throws {NoHostError} where none has started in time, or others may enter its folder
 * @throws {Error} where the connection was lost or the signal aborted: a host may have done it
 */
export async function reachHost(
  { home, launch, env }: HostHome,
  request: HostRequest,
  maxMs = maxStartMs,
): Promise<IncomingMessage> {
  const socket = hostSocket(home, systemProcesses.boot());
  const program = join(dirname(launch.hookScript), "mcp-host.cjs");
  const giveUpAt = performance.now() + maxMs;
  for (;;) {
    orNoHost(() => checkSocketFolder(home, socket));
    const answer = await requestHost(socket, request);
    if (answer !== null && answer.statusCode !== handsOver) return answer;
    if (answer !== null) reserveStart(home);
    answer?.resume();
    if (performance.now() > giveUpAt)
      throw new NoHostError(`no host has started at ${socket}; host.log in ${home} says why`);
    if (answer === null) orNoHost(() => startHost({ home, socket, program, env }));
    await pause(retryMs);
    request.signal.throwIfAborted();
  }
}

function orNoHost(attempt: () => void): void {
  try {
    attempt();
  } catch (error) {
    throw new NoHostError(messageOf(error), { cause: error });
  }
}
