import type { Readable, Writable } from "node:stream";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { setTimeout as pause } from "node:timers/promises";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { mayBeJoined } from "../../coordinator-client/edge-config.ts";
import type { DeferredWork } from "../hooks/run-hook.ts";
import { identify, isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { TelemetryInput } from "../telemetry/telemetry-input.ts";
import { isSignal } from "../signals/crash-cause.ts";
import type { Background, BackgroundParts } from "./background.ts";
import { Chat, type ClientInfo } from "../chat/chat.ts";
import { withControl, witnessMethod } from "../front/control.ts";
import { FileSaver } from "./file-saver.ts";
import { lateTeam } from "../chat/late-team.ts";
import { logFailure, ServerEnd } from "./server-end.ts";
import { clientInfoIn, createServer } from "./server.ts";
import { isWithin } from "../../shared/elapsed.ts";

const tickMs = 2_000;
/** Nothing is written for a client that only inspects the server and leaves. */
const settleMs = 3_000;

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
    background.begin();
  });
  const afterEvent = async (work: DeferredWork): Promise<void> => {
    const { afterHookEvent } = await import("./upkeep.ts");
    afterHookEvent(chat, work);
    await files.saveFor(work.trigger);
    background.begin();
  };
  // The SDK's transport adds a listener for each unread answer.
  options.stdout.setMaxListeners(0);
  const onClosed = (): void => shutDown("stdin_end");
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
  // A signal to the worker alone does not end its server: the front starts the next one.
  const isServerGone = async (reason: string): Promise<boolean> =>
    front === null || !isSignal(reason) || (await hasEnded(options.stdin));
  const onWitness = (): void => {
    if (front?.pid === process.ppid)
      options.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", method: witnessMethod })}\n`);
  };
  const close = async (reason: string): Promise<void> => {
    if (reason === "parent_death") await endHungFront(options, server);
    await handle.close();
  };
  const { exit } = options;
  const end = new ServerEnd({ runtime, chat, server, files, background, isServerGone, onWitness, close, exit });
  const shutDown = (reason: string): void => {
    clearInterval(timer);
    void end.begin(reason);
  };
  const startedAt = runtime.now();
  // Behind a launcher or a wrapper the parent is not the client.
  const parent = identify(runtime.processes, process.ppid);
  const timer = setInterval(() => {
    const isOrphan = [chat.client, parent].some((one) => one !== null && !isAlive(runtime.processes, one));
    if (isOrphan) shutDown("parent_death");
    else if (background.hasBegun || !isWithin(runtime.now() - startedAt, settleMs))
      void background.tick().catch(logFailure(runtime, "tick"));
  }, tickMs);
  onClientEnd(options.stdin, (reason) => shutDown(reason));
}

/** A front ends the input of its worker together with a signal, which may arrive first. */
const endOfInputMs = 200;

function hasEnded(stdin: Readable): Promise<boolean> {
  if (stdin.readableEnded || stdin.destroyed) return Promise.resolve(true);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  for (const event of ["end", "close"]) stdin.once(event, () => resolve(true));
  setTimeout(() => resolve(false), endOfInputMs);
  return promise;
}

/** Reads who connects before the SDK makes its server, whose texts are for this client. */
class Opening {
  clientInfo: ClientInfo | null = null;
  readonly read = (message: JSONRPCMessage): void => {
    this.clientInfo ??= clientInfoIn(message);
  };
}

interface LateBackground {
  readonly hasBegun: boolean;
  /** Called when something was stored. */
  begin(): void;
  tick(): Promise<void>;
  pullSoon(): void;
  stop(isClientGone: boolean): Promise<void>;
}

/** [SY162] A chat's first checkpoint is sent soon, but not before what follows its answer. */
const beginAfterMs = 250;

/** Loads the background work at its first tick: the client waits for an answer. */
function lateBackground(parts: BackgroundParts): LateBackground {
  const { runtime } = parts;
  let loading: Promise<Background> | null = null;
  let hasBegun = false;
  const telemetry = lateTelemetry(runtime, parts.server);
  const tick = async (): Promise<void> => {
    void telemetry?.tick();
    loading ??= import("./background.ts").then(({ Background: Loaded }) => new Loaded(parts));
    (await loading).tick();
  };
  return {
    get hasBegun() {
      return hasBegun;
    },
    begin: () => {
      if (hasBegun || !mayBeJoined(runtime.paths.home, runtime.env)) return;
      hasBegun = true;
      setTimeout(() => void tick().catch(logFailure(runtime, "tick")), beginAfterMs).unref();
    },
    tick,
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

const hungChecks = 30;
const hungPauseMs = 100;

/** [PR21] A front that hangs does not see that its client is gone. Another passes a signal on. */
async function endHungFront({ runtime, front, stdin }: ServeOptions, server: ProcessIdentity): Promise<void> {
  const { processes, log } = runtime;
  if (front === null || !isAlive(processes, server)) return;
  let isPassedOn = false;
  process.once("SIGTERM", () => (isPassedOn = true));
  process.kill(server.pid, "SIGTERM");
  for (let checks = hungChecks; checks > 0; checks--) {
    if (isPassedOn || stdin.readableEnded || !isAlive(processes, server)) return;
    await pause(hungPauseMs);
  }
  log("error", "the front hung and was ended", { pid: server.pid });
  process.kill(server.pid, "SIGKILL");
}
