import type { Readable, Writable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { capture } from "../checkpoints/capture.ts";
import type { DeferredWork } from "../hooks/run-hook.ts";
import { identify, isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import { recordDeath } from "../recovery/deaths.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { catchUp } from "../sessions/catch-up.ts";
import { isPausedById } from "../sessions/paused-session.ts";
import * as servers from "../sessions/servers.ts";
import * as sessions from "../sessions/sessions.ts";
import { lateBackground } from "./late-background.ts";
import { Chat } from "./chat.ts";
import { withControl } from "./control-transport.ts";
import { FileSaver } from "./file-saver.ts";
import { LateSync } from "./late-sync.ts";
import { lateTeam } from "./late-team.ts";
import { createServer } from "./server.ts";
import { stackOf } from "../../shared/error.ts";
import { isWithin } from "../../shared/elapsed.ts";

/** How often the process looks after its session: parent alive, checkpoint due, files of new checkpoints. */
const tickMs = 2_000;
/** A client that only looks at the server, and leaves, finds nothing written. */
const settleMs = 3_000;
const maxEndMs = 10_000;

export interface FrontInfo {
  readonly pid: number;
  /** A worker before this one has died. */
  readonly isRestart: boolean;
}

export interface ServeOptions {
  readonly runtime: Runtime;
  readonly version: string;
  /** The parent, or what the launcher says: the client, or a wrapper that the client has started. */
  readonly clientPid: number;
  /** The front that started this process and outlives it; null: the client has started it. */
  readonly front: FrontInfo | null;
  readonly stdin: Readable;
  /** Takes the protocol and nothing else. */
  readonly stdout: Writable;
  readonly exit: (code: number) => void;
}

/** Serves MCP on stdio until the client is gone. [MC8] However it ends, it ends once, detaches its sessions and leaves no process behind. */
export function serve(options: ServeOptions): void {
  const { runtime, clientPid, front } = options;
  // What belongs to the connection lives as long as the front, through the death of a worker.
  const server = identify(runtime.processes, front?.pid ?? process.pid);
  const client = identify(runtime.processes, clientPid);
  if (!server) throw new Error("this process is not in the process table");
  let clientName: string | null = null;
  const team = lateTeam(runtime, server, () => chat.client);
  const isRestart = front?.isRestart ?? false;
  const chat: Chat = new Chat({ runtime, server, client, clientName: () => clientName, team, isRestart });
  const files = new FileSaver(runtime, chat);
  const afterAnswer = batchWork((works) => {
    for (const work of works) work();
    void files.save();
  });
  const afterEvent = async (work: DeferredWork): Promise<void> => {
    const { afterHookEvent } = await import("./after-hook-event.ts");
    afterHookEvent(chat, work);
    await files.saveFor(work.trigger);
  };
  // The SDK's transport listens once for each answer that a slow client has not read yet.
  options.stdout.setMaxListeners(0);
  const onClosed = (): void => void shutDown("stdin_end");
  const handle = serveStdio(
    () => {
      const mcpServer = createServer({ chat, version: options.version, afterAnswer });
      mcpServer.server.oninitialized = () => (clientName = mcpServer.server.getClientVersion()?.name ?? null);
      return mcpServer;
    },
    {
      // A transport that cannot write closes itself and pauses stdin, whose end is then never seen.
      transport: withControl(new StdioServerTransport(options.stdin, options.stdout), afterEvent, onClosed),
      onerror: (error) => runtime.log("warn", "transport", { error: error.message }),
    },
  );
  const sync = new LateSync(runtime, server);
  const background = lateBackground({ runtime, chat, server, team, files, sync });
  let isOver = false;
  const shutDown = async (reason: string): Promise<void> => {
    if (isOver) return;
    isOver = true;
    // Whatever hangs (a disk, git), this process does not outlive its client for long.
    setTimeout(() => options.exit(1), maxEndMs).unref();
    clearInterval(timer);
    files.stop();
    const isClientGone = chat.client !== null && (await isGone(runtime, chat.client, reason));
    // A killed client that led its terminal's session sends us SIGHUP by its death: that is no closed terminal.
    saveAndDetach(runtime, chat, server, isClientGone ? "client_gone" : reason);
    const teamEnd = team?.end(isClientGone ? "client_gone" : "goes_on").catch(logFailure(runtime, "leaving the team"));
    if (isClientGone) await files.saveLast();
    await Promise.all([teamEnd, sync.stop().catch(logFailure(runtime, "sync"))]);
    runtime.store.close();
    await handle.close().catch(logFailure(runtime, "close"));
    options.exit(0);
  };
  const startedAt = runtime.now();
  // Behind a launcher or a wrapper the parent is not the client: the death of either is the end.
  const parent = identify(runtime.processes, process.ppid);
  const timer = setInterval(() => {
    const isOrphan = [chat.client, parent].some((one) => one !== null && !isAlive(runtime.processes, one));
    if (isOrphan) void shutDown("parent_death");
    else if (!isWithin(runtime.now() - startedAt, settleMs)) void background().catch(logFailure(runtime, "tick"));
  }, tickMs);
  onClientEnd(options.stdin, (reason) => void shutDown(reason));
}

function onClientEnd(stdin: Readable, end: (reason: string) => void): void {
  for (const event of ["end", "close"]) stdin.once(event, () => end("stdin_end"));
  // Not once(): after the first one the same signal again would kill this process in the middle of its last save.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => end(signal.toLowerCase()));
}

/** Long enough that calls which follow each other at once do not wait for it. */
const pauseMs = 30;

/** Collects work and does it a moment later, all together. */
function batchWork(run: (works: readonly (() => void)[]) => void): (work: () => void) => void {
  let waiting: (() => void)[] = [];
  return (work) => {
    waiting.push(work);
    if (waiting.length > 1) return;
    setTimeout(() => {
      const works = waiting;
      waiting = [];
      run(works);
    }, pauseMs).unref();
  };
}

/** [RE3] Neither the end of stdin nor a signal says that the work is finished. */
function saveAndDetach(runtime: Runtime, chat: Chat, server: ProcessIdentity, reason: string): void {
  try {
    servers.leave(runtime, server);
    for (const sessionId of chat.servedSessions().filter((id) => isStored(runtime, id))) {
      runtime.store.write((sql) => {
        catchUp(sql, runtime.now(), sessionId);
        // [RE60] Before the last checkpoint, which hides what the death would have lost.
        if (reason === "client_gone") recordDeath(sql, runtime, sessionId, reason);
      });
      if (!isPausedFor(runtime, sessionId)) capture(runtime, { sessionId, trigger: "detached" }, chat.recent);
      runtime.store.write((sql) => sessions.detach(sql, runtime.now(), sessionId, reason));
    }
  } catch (error) {
    logFailure(runtime, "last checkpoint")(error);
  }
}

/** Checks of a client that may be dying, and the pause between two of them, in ms. */
const dyingChecks = 20;
const dyingPauseMs = 10;

/**
 * A killed process closes its files, and its terminal hangs up, a moment before it is gone from the process table: after these two signs the
 * check is repeated. Any other signal comes from a client that lives.
 */
async function isGone(runtime: Runtime, client: ProcessIdentity, reason: string): Promise<boolean> {
  const isDying = reason === "stdin_end" || reason === "sighup";
  for (let checks = isDying ? dyingChecks : 1; checks > 0; checks--) {
    if (!isAlive(runtime.processes, client)) return true;
    if (checks > 1) await pause(dyingPauseMs);
  }
  return false;
}

function isPausedFor(runtime: Runtime, sessionId: string): boolean {
  return runtime.store.read((sql) => isPausedById(sql, runtime.now(), sessionId), false);
}

function isStored(runtime: Runtime, sessionId: string): boolean {
  return runtime.store.read((sql) => sessions.get(sql, sessionId) !== null, false);
}

function logFailure(runtime: Runtime, what: string): (error: unknown) => void {
  return (error) => runtime.log("error", what, { error: stackOf(error) });
}
