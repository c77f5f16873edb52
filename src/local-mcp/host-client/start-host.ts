import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { prepareSocketFolder } from "../../platform/host-socket.ts";
import { isRunning, systemProcesses } from "../../platform/processes.ts";
import { codeOf } from "../../shared/error.ts";

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
 * There while a host starts, with its process id. One that can be reached removes it; one that ends
 * by itself empties it. So a host that was killed is followed by the next one at once.
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
    closeSync(openSync(mark, "wx", 0o600));
    return true;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    const since = statSync(mark, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const starter = starterOf(mark);
    if (starter === process.pid) return true;
    // A start that failed is repeated; a mark of the future is of another clock.
    const maxMs = starter > 0 ? maxStartMs : startEveryMs;
    if (Math.abs(Date.now() - since) > maxMs || hasEnded(starter)) rmSync(mark, { force: true });
    return false;
  }
}

function starterOf(mark: string): number {
  try {
    return Number(readFileSync(mark, "utf8")) || 0;
  } catch {
    return 0;
  }
}

function hasEnded(pid: number): boolean {
  if (pid <= 0) return false;
  // Process 1 of a container may reap late. Elsewhere the facts of a process cost a program.
  return process.platform === "linux" ? systemProcesses.facts(pid) === null : !isRunning(pid);
}
