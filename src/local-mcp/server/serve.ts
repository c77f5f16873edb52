import type { Readable, Writable } from "node:stream";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { capture } from "../checkpoints/capture.ts";
import type { DeferredWork } from "../hooks/run-hook.ts";
import { identify, isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import { recordDeath } from "../recovery/deaths.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { catchUp } from "../observe/record-transcript.ts";
import { isPausedById } from "../sessions/paused-session.ts";
import * as servers from "../sessions/servers.ts";
import type { TelemetryInput } from "../telemetry/telemetry-input.ts";
import { isSignal } from "../signals/crash-cause.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Background, BackgroundParts } from "./background.ts";
import { Chat, type ClientInfo } from "./chat/chat.ts";
import { withControl } from "../front/control.ts";
import { FileSaver } from "./file-saver.ts";
import { lateTeam } from "./chat/late-team.ts";
import { clientInfoIn, createServer } from "./server.ts";
import { stackOf } from "../../shared/error.ts";
import { isWithin } from "../../shared/elapsed.ts";

const tickMs = 2_000;
/** Nothing is written for a client that only inspects the server and leaves. */
const settleMs = 3_000;
const maxEndMs = 10_000;

export interface FrontInfo {
  readonly pid: number;
  readonly isRestart: boolean;
}

export interface ServeOptions {
  readonly runtime: Runtime;
  readonly version: string;
  /** Started from the bundle of Claude Desktop. */
  readonly isExtension: boolean;
  /** The client, or a wrapper that the client started. */
  readonly clientPid: number;
  /** Null if the client started this process. */
  readonly front: FrontInfo | null;
  readonly stdin: Readable;
  /** Carries only the protocol. */
  readonly stdout: Writable;
  readonly exit: (code: number) => void;
}

/** [MC8] Ends once, detaches its sessions and leaves no process behind. */
export function serve(options: ServeOptions): void {
  const { runtime, clientPid, front } = options;
  const server = identify(runtime.processes, front?.pid ?? process.pid);
  const client = identify(runtime.processes, clientPid);
  if (!server) throw new Error("this process is not in the process table");
  const opening = new Opening();
  const onSyncHint = (): void => background.pullSoon();
  const team = lateTeam(runtime, server, () => chat.client, onSyncHint);
  const isRestart = front?.isRestart ?? false;
  const chat: Chat = new Chat({ runtime, server, client, clientInfo: () => opening.clientInfo, team, isRestart });
  const files = new FileSaver(runtime, chat);
  const afterAnswer = batchWork((works) => {
    for (const work of works) work();
    void files.save();
  });
  const afterEvent = async (work: DeferredWork): Promise<void> => {
    const { afterHookEvent } = await import("./upkeep.ts");
    afterHookEvent(chat, work);
    await files.saveFor(work.trigger);
  };
  // The SDK's transport adds a listener for each unread answer.
  options.stdout.setMaxListeners(0);
  const onClosed = (): void => void shutDown("stdin_end");
  const transport = new StdioServerTransport(options.stdin, options.stdout);
  const handle = serveStdio(
    () => createServer({ ...options, chat, clientName: opening.clientInfo?.name ?? null, afterAnswer }),
    {
      // A transport that cannot write closes itself and pauses stdin, whose end is then never seen.
      transport: withControl(transport, afterEvent, onClosed, opening.read),
      onerror: (error) => runtime.log("warn", "transport", { error: error.message }),
    },
  );
  const background = lateBackground({ runtime, chat, server, team, files });
  let ending: string | null = null;
  const shutDown = async (reason: string): Promise<void> => {
    const before = ending;
    ending = before === null || isOrderly(reason) ? reason : before;
    if (before !== null) return;
    // Bounds the shutdown if a disk or git hangs.
    setTimeout(() => options.exit(1), maxEndMs).unref();
    clearInterval(timer);
    files.stop();
    // [SI47] Node reports the end of stdin before a signal that preceded it.
    await nextTurn();
    const isClientGone = chat.client !== null && (await isGone(runtime, chat.client, reason));
    saveAndDetach(runtime, chat, server, { isClientGone, reason: ending ?? reason });
    const teamEnd = team?.end(isClientGone ? "client_gone" : "goes_on").catch(logFailure(runtime, "leaving the team"));
    if (isClientGone) await files.saveLast();
    await Promise.all([teamEnd, background.stop(isClientGone).catch(logFailure(runtime, "sync"))]);
    runtime.store.close();
    await handle.close().catch(logFailure(runtime, "close"));
    options.exit(0);
  };
  const startedAt = runtime.now();
  // Behind a launcher or a wrapper the parent is not the client.
  const parent = identify(runtime.processes, process.ppid);
  const timer = setInterval(() => {
    const isOrphan = [chat.client, parent].some((one) => one !== null && !isAlive(runtime.processes, one));
    if (isOrphan) void shutDown("parent_death");
    else if (!isWithin(runtime.now() - startedAt, settleMs)) void background.tick().catch(logFailure(runtime, "tick"));
  }, tickMs);
  onClientEnd(options.stdin, (reason) => void shutDown(reason));
}

/** Reads who connects before the SDK makes its server, whose texts are for this client. */
class Opening {
  clientInfo: ClientInfo | null = null;
  readonly read = (message: JSONRPCMessage): void => {
    this.clientInfo ??= clientInfoIn(message);
  };
}

interface LateBackground {
  tick(): Promise<void>;
  pullSoon(): void;
  stop(isClientGone: boolean): Promise<void>;
}

/** Loads the background work at its first tick: the client waits for an answer. */
function lateBackground(parts: BackgroundParts): LateBackground {
  let loading: Promise<Background> | null = null;
  const telemetry = lateTelemetry(parts.runtime, parts.server);
  return {
    tick: async () => {
      void telemetry?.tick();
      loading ??= import("./background.ts").then(({ Background: Loaded }) => new Loaded(parts));
      (await loading).tick();
    },
    pullSoon: () => void loading?.then((loaded) => loaded.pullSoon()).catch(logFailure(parts.runtime, "sync")),
    stop: async (isClientGone) => {
      const stopped = loading?.then((background) => background.stop(isClientGone));
      await Promise.all([telemetry?.stop(parts.chat.client), stopped]);
    },
  };
}

/** The client's first export comes a second after its start; its handshake goes first. */
const listenAfterMs = 300;

/** [OB25] @returns null where the user has not switched it on */
function lateTelemetry(runtime: Runtime, server: ProcessIdentity): Pick<TelemetryInput, "tick" | "stop"> | null {
  const { telemetry } = runtime.config;
  if (telemetry === null) return null;
  const failed = logFailure(runtime, "telemetry");
  const load = async (): Promise<TelemetryInput> => {
    await pause(listenAfterMs, null, { ref: false });
    const { TelemetryInput: Loaded } = await import("../telemetry/telemetry-input.ts");
    const input = new Loaded(runtime, telemetry, server);
    await input.listen();
    return input;
  };
  const loading = load().catch((error: unknown): null => {
    failed(error);
    return null;
  });
  return {
    tick: () => loading.then((input) => input?.tick()).catch(failed),
    stop: (client) => loading.then((input) => input?.stop(client)).catch(failed),
  };
}

function onClientEnd(stdin: Readable, end: (reason: string) => void): void {
  for (const event of ["end", "close"]) stdin.once(event, () => end("stdin_end"));
  // Not once(): a repeated signal would otherwise kill this process during its last save.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => end(signal.toLowerCase()));
}

const pauseMs = 30;

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

interface Ending {
  readonly isClientGone: boolean;
  /** The end of stdin, a signal, or the death of a parent. */
  readonly reason: string;
}

/** A killed client causes no such signal; one that led its terminal's session causes SIGHUP. */
function isOrderly(reason: string): boolean {
  return reason === "sigint" || reason === "sigterm";
}

/** [RE3] Neither the end of stdin nor a signal means that the work is finished. */
function saveAndDetach(runtime: Runtime, chat: Chat, server: ProcessIdentity, end: Ending): void {
  const { isClientGone } = end;
  const reason = isClientGone && !isOrderly(end.reason) ? "client_gone" : end.reason;
  try {
    servers.leave(runtime, server);
    for (const sessionId of chat.servedSessions()) {
      if (runtime.store.read((sql) => sessions.get(sql, sessionId), null) === null) continue;
      runtime.store.write((sql) => {
        catchUp(sql, runtime.now(), sessionId);
        // [RE60] The last checkpoint would hide what the death has lost.
        if (isClientGone) recordDeath(sql, runtime, sessionId, reason);
      });
      const isPaused = runtime.store.read((sql) => isPausedById(sql, runtime.now(), sessionId), false);
      if (!isPaused) capture(runtime, { sessionId, trigger: "detached" }, chat.recent);
      runtime.store.write((sql) => sessions.detach(sql, runtime.now(), sessionId, reason, isSignal(reason)));
    }
  } catch (error) {
    logFailure(runtime, "last checkpoint")(error);
  }
}

const dyingChecks = 20;
const dyingPauseMs = 10;

/** A killed process closes stdin and hangs up before it leaves the process table. */
async function isGone(runtime: Runtime, client: ProcessIdentity, reason: string): Promise<boolean> {
  const isDying = reason === "stdin_end" || reason === "sighup";
  for (let checks = isDying ? dyingChecks : 1; checks > 0; checks--) {
    if (!isAlive(runtime.processes, client)) return true;
    if (checks > 1) await pause(dyingPauseMs);
  }
  return false;
}

function logFailure(runtime: Runtime, what: string): (error: unknown) => void {
  return (error) => runtime.log("error", what, { error: stackOf(error) });
}
