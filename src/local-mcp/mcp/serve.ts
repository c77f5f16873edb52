import type { Readable, Writable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { capture } from "../checkpoints/capture.ts";
import { identify, isAlive, type ProcessIdentity } from "../processes.ts";
import type { Runtime } from "../runtime.ts";
import { catchUp } from "../sessions/catch-up.ts";
import * as servers from "../sessions/servers.ts";
import * as sessions from "../sessions/sessions.ts";
import { isPaused } from "../store/pause.ts";
import { takePending } from "../snapshots/pending.ts";
import { startSync } from "../sync/start-sync.ts";
import { WakeUp } from "../team/wake.ts";
import { Chat } from "./chat.ts";
import { openTeam } from "./open-team.ts";
import { createServer } from "./server.ts";
import { lookAfter, upkeep } from "./upkeep.ts";
import { stackOf } from "../../shared/error.ts";

/** How often the process looks after its session: parent alive, checkpoint due, files of new checkpoints. */
const tickMs = 2_000;
/** A client that only looks at the server, and leaves, finds nothing written. */
const settleMs = 3_000;
/** How long a process whose client was killed may take to save the files. */
const lastSnapshotMs = 5_000;

export interface ServeOptions {
  readonly runtime: Runtime;
  readonly version: string;
  /** The parent, or what the launcher says: the client, or a wrapper that the client has started. */
  readonly clientPid: number;
  readonly stdin: Readable;
  /** Takes the protocol and nothing else. */
  readonly stdout: Writable;
  readonly exit: (code: number) => void;
}

/** Serves MCP on stdio until the client is gone. [MC8] However it ends, it ends once, detaches its sessions and leaves no process behind. */
export function serve(options: ServeOptions): void {
  const { runtime, clientPid } = options;
  const server = identify(runtime.processes, process.pid);
  const client = identify(runtime.processes, clientPid);
  if (!server) throw new Error("this process is not in the process table");
  let clientName: string | null = null;
  const team = openTeam(runtime, server, () => chat.client);
  const chat: Chat = new Chat({ runtime, server, client, clientName: () => clientName, team });
  const wakeUp = new WakeUp(runtime);
  const snapshots = new AbortController();
  let pending = Promise.resolve();
  const takeFiles = (): void => {
    pending = pending
      .then(() => takePending(runtime, chat.served(), snapshots.signal))
      .catch(logged(runtime, "snapshot"));
  };
  const afterAnswer = inPauses((works) => {
    for (const work of works) work();
    takeFiles();
  });
  const handle = serveStdio(
    () => {
      const made = createServer({ chat, version: options.version, afterAnswer });
      made.server.oninitialized = () => (clientName = made.server.getClientVersion()?.name ?? null);
      return made;
    },
    {
      transport: new StdioServerTransport(options.stdin, options.stdout),
      onerror: (error) => runtime.log("warn", "transport", { error: error.message }),
    },
  );
  const stopSync = startSync(runtime, server);
  let isOver = false;
  const shutDown = async (reason: string): Promise<void> => {
    if (isOver) return;
    isOver = true;
    // Whatever hangs (a disk, git), this process does not outlive its client for long.
    setTimeout(() => options.exit(1), 2 * lastSnapshotMs).unref();
    clearInterval(timer);
    snapshots.abort();
    const isClientGone = chat.client !== null && (await isGone(runtime, chat.client, reason));
    // A killed client that led its terminal's session sends us SIGHUP by its death: that is no closed terminal.
    saveAndDetach(runtime, chat, server, isClientGone ? "stdin_end" : reason);
    const left = team?.end(isClientGone ? "client_gone" : "goes_on").catch(logged(runtime, "leaving the team"));
    if (isClientGone) await lastSnapshot(runtime, chat, pending);
    await Promise.all([left, stopSync().catch(logged(runtime, "sync"))]);
    runtime.store.close();
    await handle.close().catch(logged(runtime, "close"));
    options.exit(0);
  };
  const startedAt = runtime.now();
  // Behind a launcher or a wrapper the parent is not the client: the death of either is the end.
  const parent = identify(runtime.processes, process.ppid);
  const timer = setInterval(() => {
    const isOrphan = [chat.client, parent].some((one) => one !== null && !isAlive(runtime.processes, one));
    if (isOrphan) void shutDown("parent_death");
    else if (runtime.now() - startedAt >= settleMs) tick(runtime, chat, server, wakeUp, takeFiles);
  }, tickMs);
  for (const event of ["end", "close"]) options.stdin.once(event, () => void shutDown("stdin_end"));
  // Not once(): after the first one the same signal again would kill this process in the middle of its last save.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
    process.on(signal, () => void shutDown(signal.toLowerCase()));
}

/** Long enough that calls which follow each other at once do not wait for it. */
const pauseMs = 30;

/** Collects work and does it a moment later, all together. */
function inPauses(run: (works: readonly (() => void)[]) => void): (work: () => void) => void {
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

function tick(runtime: Runtime, chat: Chat, server: ProcessIdentity, wakeUp: WakeUp, takeFiles: () => void): void {
  try {
    const session = chat.current();
    if (chat.client) servers.register(runtime, server, chat.client);
    if (session) lookAfter(chat, session);
    void chat.team?.follow(session);
    if (session) wakeUp.look(session);
    upkeep(runtime);
    takeFiles();
  } catch (error) {
    logged(runtime, "tick")(error);
  }
}

/** [RE3] Neither the end of stdin nor a signal says that the work is finished. */
function saveAndDetach(runtime: Runtime, chat: Chat, server: ProcessIdentity, reason: string): void {
  try {
    servers.leave(runtime, server);
    for (const sessionId of chat.served().filter((id) => isStored(runtime, id))) {
      runtime.store.write((sql) => catchUp(sql, runtime.now(), sessionId));
      if (!isPausedFor(runtime, sessionId)) capture(runtime, { sessionId, trigger: "detached" }, chat.recent);
      runtime.store.write((sql) => sessions.detach(sql, runtime.now(), sessionId, reason));
    }
  } catch (error) {
    logged(runtime, "last checkpoint")(error);
  }
}

/** Looks at a client that may be dying, and the pause between two of them, in ms. */
const dyingLooks = 20;
const dyingPauseMs = 10;

/**
 * A killed process closes its files, and its terminal hangs up, a moment before it is gone from the process table: at these two signs the
 * look is repeated. Another signal comes from a client that lives.
 */
async function isGone(runtime: Runtime, client: ProcessIdentity, reason: string): Promise<boolean> {
  const isDying = reason === "stdin_end" || reason === "sighup";
  for (let looks = isDying ? dyingLooks : 1; looks > 0; looks--) {
    if (!isAlive(runtime.processes, client)) return true;
    if (looks > 1) await pause(dyingPauseMs);
  }
  return false;
}

function isPausedFor(runtime: Runtime, sessionId: string): boolean {
  return runtime.store.read(
    (sql) => isPaused(sql, runtime.now(), sessions.get(sql, sessionId)?.project ?? null),
    false,
  );
}

function isStored(runtime: Runtime, sessionId: string): boolean {
  return runtime.store.read((sql) => sessions.get(sql, sessionId) !== null, false);
}

/** [MC9] A client that was killed leaves this process behind for a moment: time to save the files as they are. */
async function lastSnapshot(runtime: Runtime, chat: Chat, before: Promise<void>): Promise<void> {
  const limit = AbortSignal.timeout(lastSnapshotMs);
  await before;
  await takePending(runtime, chat.served(), limit).catch(logged(runtime, "last snapshot"));
}

function logged(runtime: Runtime, what: string): (error: unknown) => void {
  return (error) => runtime.log("error", what, { error: stackOf(error) });
}
