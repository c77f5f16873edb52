import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { connect as connectTo, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { text as textFrom } from "node:stream/consumers";
import { setImmediate as nextTurn } from "node:timers/promises";
import { onTestFinished, vi } from "vitest";
import { Front, type HostEvents, type HostLink } from "#src/local-mcp/front/front.ts";
import { Host } from "#src/local-mcp/host/host-process.ts";
import { Notifier, type NotifierOptions } from "#src/local-mcp/notify/notifier.ts";
import { DeathWatch } from "#src/machine/recovery/incomplete/deaths.ts";
import { hostSocket } from "#src/platform/host-socket.ts";
import { identify, type ProcessIdentity } from "#src/platform/processes.ts";
import { RealServer } from "#harness/edge/real-server.ts";
import { patience } from "./programs.ts";
import { tempRuntime, type TempRuntime } from "./temp-runtime.ts";
import type { MachineInput } from "#src/contract/machine/operations.ts";
import type { CallOperation, OperationContext, HostClient } from "#src/machine/context/operation-context.ts";
import { OperationRunner } from "#src/local-mcp/host/operation-runner.ts";
import { createSynchronizer } from "#src/machine/sharing/synchronizer.ts";
import type { RoundOptions, SyncReport } from "#src/machine/sharing/sync-round.ts";
import { recordTakeovers } from "#src/machine/sharing/takeover-notices.ts";
import type { Runtime } from "#src/runtime/runtime.ts";

export type Message = Record<string, unknown>;
export const program = { version: "2.0.0", builtAt: 1 };

export async function aHost(runtime = tempRuntime(), faked: readonly ("setTimeout" | "setInterval")[] = []) {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", ...faked] });
  mkdirSync(runtime.paths.home, { recursive: true });
  const socket = hostSocket(runtime.paths.home, runtime.processes.boot());
  const killed: number[] = [];
  const { promise: ended, resolve: onEnded } = Promise.withResolvers<void>();
  const self = runtime.processes.start(7_000);
  const host = new Host({
    runtime,
    self,
    program,
    socket,
    kill: (pid) => void killed.push(pid),
    onEnded: () => onEnded(),
  });
  onTestFinished(() => {
    host.stop();
    vi.useRealTimers();
  });
  await vi.waitUntil(() => existsSync(socket), patience);
  const rig = { runtime, host, socket, killed, ended, isOver: false };
  void ended.then(() => (rig.isOver = true));
  return rig;
}

type HostRig = Awaited<ReturnType<typeof aHost>>;

type Chat = Readonly<{
  pid: number;
  clientPid: number;
  /** As the client gives it in the handshake. */
  name?: string;
  env?: NodeJS.ProcessEnv;
  isRestart?: boolean;
}>;

export async function aFront({ runtime, socket }: HostRig, chat: Chat) {
  const { pid, clientPid, name = "raw", env = {}, isRestart = false } = chat;
  for (const each of [clientPid, pid]) if (!runtime.processes.facts(each)) runtime.processes.start(each);
  const connection = await open(socket);
  const heard: Message[] = [];
  const waiting = new Map<unknown, (message: Message) => void>();
  eachMessage(connection, (message) => {
    heard.push(message);
    waiting.get(message["id"])?.(message);
  });
  const send = (message: object): void => void connection.write(`${JSON.stringify(message)}\n`);
  connection.write("GET /mcp HTTP/1.1\r\nHost: shim\r\nConnection: Upgrade\r\nUpgrade: shim-mcp\r\n\r\n");
  const identities = { front: identify(runtime.processes, pid), client: identify(runtime.processes, clientPid) };
  send({ program, ...identities, isRestart, isExtension: false, env });
  let id = 0;
  const ask = (method: string, params: object): Promise<Message> => {
    const { promise, resolve } = Promise.withResolvers<Message>();
    waiting.set((id += 1), resolve);
    send({ jsonrpc: "2.0", id, method, params });
    return promise;
  };
  const call = async (name: string, given: object): Promise<Message> => {
    const { result } = await ask("tools/call", { name, arguments: given });
    return result as Message;
  };
  const save = async (goal: string): Promise<string> => {
    const { structuredContent } = await call("shim_force_checkpoint", { goal });
    return String((structuredContent as Message)["session"]);
  };
  const clientInfo = { name, version: "1" };
  await ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
  send({ jsonrpc: "2.0", method: "notifications/initialized" });
  const closed = new Promise<void>((resolve) => void connection.once("close", () => resolve()));
  return { connection, send, ask, call, save, heard, closed, greeting: heard[0] };
}

export function open(socket: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const connection = connectTo(socket, () => resolve(connection));
    connection.once("error", reject);
    onTestFinished(() => void connection.destroy());
  });
}

function eachMessage(connection: Socket, onMessage: (message: Message) => void): void {
  let text = "";
  connection.on("data", (part: Buffer) => {
    const lines = (text + part.toString()).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("{")) onMessage(JSON.parse(line) as Message);
  });
}

export async function ask(socketPath: string, method: string, path: string, question?: object, headers = {}) {
  // What goes wrong after the answer has begun is seen where its body is read.
  const sent = request({ socketPath, method, path, headers }).on("error", () => undefined);
  sent.end(question && JSON.stringify(question));
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: await textFrom(response) };
}

export async function statusOf({ socket }: HostRig): Promise<Message> {
  return JSON.parse((await ask(socket, "GET", "/status")).body) as Message;
}

/** All that follows from an event has happened by then. */
export async function settled(): Promise<void> {
  await nextTurn();
  await nextTurn();
}

export type FrontRig = ReturnType<typeof aFrontRig>;

export const ownProgram = { version: "2.0.0", builtAt: 1_000 };

function aFakeHost(pid: number, isRestart: boolean, events: HostEvents) {
  const received: Message[] = [];
  const state = { isHeld: false, unsent: 0 };
  const link: HostLink = {
    send: (line) => void received.push(JSON.parse(line) as Message),
    unsentBytes: () => state.unsent,
    pause: () => void (state.isHeld = true),
    resume: () => void (state.isHeld = false),
  };
  const line = (text: string): Promise<void> => {
    events.onLine(text);
    return settled();
  };
  const isOwn = ({ id }: Message): boolean => String(id).startsWith("shim-front:");
  const host = { boot: "b", pid, start: "1" };
  return Object.assign(state, {
    isRestart,
    link,
    host,
    greet: (program = ownProgram) => {
      events.onHello({ program, host, repeatable: ["shim_session_status"] });
      return settled();
    },
    received: () => received.filter((one) => !isOwn(one)),
    control: () => received.filter(isOwn).map(({ method, params }) => ({ method, params })),
    answer: (message: object) => line(JSON.stringify({ jsonrpc: "2.0", ...message })),
    sendLine: line,
    answerPings: () => {
      const pings = received.filter(({ method }) => method === "shim/ping");
      for (const { id } of pings) events.onLine(JSON.stringify({ jsonrpc: "2.0", id, result: {} }));
    },
    takeAll: () => {
      state.unsent = 0;
      events.onDrain();
      return settled();
    },
    die: () => {
      events.onClose("closed");
      return settled();
    },
  });
}

/** A front between a client and hosts that the test plays. */
export function aFrontRig(keepEvent: (given: unknown) => Promise<object> = async () => ({ content: [] })) {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const hosts: ReturnType<typeof aFakeHost>[] = [];
  const exits: number[] = [];
  const ended: ProcessIdentity[] = [];
  let later: { readonly work: () => void; readonly ms: number }[] = [];
  let written = "";
  stdout.on("data", (data: Buffer) => (written += data.toString()));
  const state = { now: 1_700_000_000_000, isClientAlive: true, reserved: 0 };
  const front = new Front({
    stdin,
    stdout,
    program: ownProgram,
    connect: (isRestart, events) => {
      const made = aFakeHost(100 + hosts.length, isRestart, events);
      hosts.push(made);
      return made.link;
    },
    keepEvent,
    endHost: (host) => void ended.push(host),
    reserveStart: () => void (state.reserved += 1),
    isClientAlive: () => state.isClientAlive,
    now: () => state.now,
    schedule: (work, ms) => {
      const one = { work, ms };
      later.push(one);
      return () => void (later = later.filter((each) => each !== one));
    },
    log: () => undefined,
    exit: (code) => void exits.push(code),
  });
  front.start();
  const say = (...messages: (object | string)[]): Promise<void> => {
    for (const one of messages) stdin.write(typeof one === "string" ? one : `${JSON.stringify(one)}\n`);
    return settled();
  };
  const heard = (): Message[] => (written.match(/.+/g) ?? []).map((each) => JSON.parse(each) as Message);
  /** Runs what was scheduled for at most `ms` from its moment. @returns the delays */
  const pass = async (ms: number): Promise<number[]> => {
    const due = later.filter((one) => one.ms <= ms);
    later = later.filter((one) => one.ms > ms);
    for (const { work } of due) work();
    await settled();
    return due.map((one) => one.ms);
  };
  return Object.assign(state, { front, stdin, stdout, hosts, exits, ended, say, heard, pass });
}

export async function aReceiver() {
  const server = await RealServer.listen();
  const receiver = { url: `${server.url}/hook`, bodies: [] as Record<string, unknown>[], status: 204 };
  server.answer = ({ body }, response) => {
    receiver.bodies.push(JSON.parse(body) as Record<string, unknown>);
    response.writeHead(receiver.status, { location: "/elsewhere" }).end();
  };
  return receiver;
}

/** Each call lets the time pass in which the host notifies of a death. */
export function looksOf(runtime: TempRuntime, options: Omit<NotifierOptions, "runtime"> = {}): () => Promise<void> {
  const notifier = new Notifier({ runtime, ...options });
  const deaths = new DeathWatch();
  return async () => {
    for (let n = 0; n < 4; n++) {
      runtime.wait(10_000);
      deaths.check(runtime);
      await notifier.check();
    }
  };
}

export async function roundOf(runtime: Runtime, asked?: RoundOptions["asked"]): Promise<SyncReport> {
  const synchronizer = createSynchronizer(runtime, recordTakeovers);
  const report = await synchronizer.syncNow({ isPulling: true, files: "all", ...(asked ? { asked } : {}) });
  await synchronizer.stop();
  return report;
}

export function callsOf(runtime: Runtime): CallOperation {
  const context = { paths: runtime.paths, runtime: () => Promise.resolve(runtime) } as OperationContext;
  const host = new OperationRunner(context);
  return (name, input) => host.call(name, input);
}

/** The host of a machine whose processes are invented. @param context of its operations; absent: none is asked for */
export function hostClientWith(runtime: Runtime, context?: () => Promise<OperationContext>): HostClient {
  return {
    call: async ({ name, input, by }, reports) => {
      if (!context) throw new Error(`${name} was not expected`);
      const own = { ...reports, by, syncNow: (edge: RoundOptions["asked"]) => roundOf(runtime, edge) };
      const host = new OperationRunner({ ...(await context()), ...own });
      const result = await host.call(name, input as MachineInput<typeof name>);
      await host.close();
      return result;
    },
    read: () => Promise.resolve(null),
    stayConnected: async ({ until, onStored }) => {
      // Commits of one moment are one call, as from another process.
      let isReported = true;
      const report = (): void => {
        isReported = true;
        onStored?.();
      };
      const unfollow = runtime.store.onCommit(() => {
        if (isReported) setImmediate(report);
        isReported = false;
      });
      if (!until.aborted) await once(until, "abort");
      unfollow();
    },
  };
}
