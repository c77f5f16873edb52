import { statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import * as z from "zod";
import type { Config } from "../../contract/config.ts";
import type { HostStatus } from "../../contract/machine/installation.ts";
import { teamTools, machineTools } from "../../contract/tools.ts";
import { type FrontHello, type HostHello, mcpPath, mcpProtocol } from "../front/hello.ts";
import { handsOver } from "../host-client/reach-host.ts";
import { callPath, commitMarks, coordinatorPath, programHeader } from "../../machine/context/operation-wire.ts";
import { readConfig } from "../../platform/config-file.ts";
import { attempt } from "../../platform/log-file.ts";
import { readBody } from "../../platform/local-http.ts";
import { hostLock, newHostSocket, prepareSocketFolder, recallSignal } from "../../platform/host-socket.ts";
import { inodeOf } from "../../platform/private-files.ts";
import { isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import type { runProgram } from "../../platform/run-program.ts";
import { isNewer, ownProgram, type ProgramVersion } from "../../platform/version.ts";
import { HostedRuns } from "../../runtime/hosted-runs.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { systemRuntime } from "../../runtime/system-runtime.ts";
import { stackOf } from "../../shared/error.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { lockFile, requireLocks, type LoadedDriver } from "../../store/open-driver.ts";
import { drainInto } from "../events/answer-hook.ts";
import type { CoordinatorRequests } from "./coordinator-requests.ts";
import { answerPosted, isPostedEvent } from "../events/hook-channel.ts";
import { hostWindows } from "./host-windows.ts";
import { HostAddress } from "./host-address.ts";
import { MachineWork } from "./machine-work.ts";
import { ServedChat } from "./served-chat.ts";

const Identity = z.object({ boot: z.string(), pid: z.int(), start: z.string() });
const Program = z.object({ version: z.string(), builtAt: z.number() });
const Hello: z.ZodType<FrontHello> = z.object({
  program: Program,
  front: Identity,
  client: Identity.nullable(),
  isRestart: z.boolean(),
  isExtension: z.boolean(),
  env: z.record(z.string(), z.string().optional()),
});

const tickMs = 2_000;
/** The same while nothing is stored. */
const quietTickMs = 10_000;
const HostConnection = z.object({ isFollowing: z.boolean(), caller: z.string().optional() });

/** The environment of a process has at most some megabytes. */
const maxHelloBytes = 8_000_000;
/** More than any operation takes. */
const maxCallBytes = 64_000_000;
const maxQuestionBytes = 10_000;
/** A host ends by itself this long after its last connection, in ms. */
const maxIdleMs = 600_000;
/** Time after which a process that has closed its connection is gone, or lives on. */
const goneMs = 100;
/** Time that a front which has lost its client may take to end. */
const hungMs = 3_000;

export interface HostOptions {
  readonly runtime: Runtime;
  readonly self: ProcessIdentity;
  readonly program: ProgramVersion;
  readonly socket: string;
  /** The process is the host of the home as long as this is there: its lock, or else the home. */
  readonly claim?: string;
  readonly kill: (pid: number) => void;
  /** The host has ended; its connections are closed. @param reason why it could not begin */
  readonly onEnded: (reason?: string) => void;
}

const repeatable = Object.entries({ ...machineTools, ...teamTools }).flatMap(([name, { effect }]) =>
  effect === "add" ? [] : [name],
);

/** Serves all chats of a machine on one socket. */
export class Host {
  readonly #options: HostOptions;
  readonly #machine: MachineWork;
  #coordinator: CoordinatorRequests | null = null;
  /** Operations that are being done for processes beside the host. */
  readonly #running = new Set<Promise<void>>();
  readonly #server: Server;
  readonly #chats = new Set<ServedChat>();
  /** Answers to programs that stay connected; each stays open as long as its program runs. */
  readonly #connectedPrograms = new Set<ServerResponse>();
  #timer: NodeJS.Timeout;
  readonly #address: HostAddress;
  readonly #claim: string;
  readonly #claimInode: bigint | null;
  readonly #startedAt: number;
  readonly #ignoreCommits: () => void;
  #tickEveryMs = tickMs;
  #usedAt: number;
  #isOver = false;
  #failure: string | undefined;

  constructor(options: HostOptions) {
    const { runtime, self, socket, claim = runtime.paths.home } = options;
    this.#options = options;
    this.#machine = new MachineWork(runtime, options.self);
    this.#startedAt = this.#usedAt = runtime.now();
    this.#claim = claim;
    this.#claimInode = inodeOf(claim);
    // Events of the time without a host come before those that it is sent.
    void attempt(runtime.log, "the spool cannot be drained", () => drainInto(runtime));
    this.#server = createServer((request, response) => this.#answer(request, response));
    this.#server.on("upgrade", (request, connection, head) => {
      const isFront = request.url === mcpPath && request.headers.upgrade === mcpProtocol;
      if (!isFront || this.#isOver) return void connection.end("HTTP/1.1 404 Not Found\r\n\r\n");
      connection.unshift(head);
      this.#greet(connection);
    });
    const onUnreachable = ({ message }: Error): void => {
      this.#failure = `no socket can be made in ${runtime.paths.home} (${message}); set SHIM_HOME to a folder on a local disk`;
      this.stop();
    };
    this.#address = new HostAddress({ runtime, self, socket, server: this.#server, onUnreachable });
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#ignoreCommits = runtime.store.onCommit((changed) => {
      this.#machine.noteCommit(changed);
      this.#tickEvery(tickMs);
    });
  }

  /** Where its address was removed. */
  keepAddress(): void {
    if (!this.#isOver) this.#address.keep();
  }

  async #answerEvent(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { runtime } = this.#options;
    this.#usedAt = runtime.now();
    try {
      const answer = await answerPosted(runtime, this.#machine.settling, request, () => response.writeProcessing());
      if (!answer) return;
      const headers = { connection: "close", "content-length": Buffer.byteLength(answer.text) };
      response.writeHead(answer.status, headers).end(answer.text);
    } catch (error) {
      runtime.log("error", "an event was not answered", { error: stackOf(error) });
      response.writeHead(500).end();
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#isOver && isPostedEvent(request)) return void this.#answerEvent(request, response);
    const { method, url, headers } = request;
    const caller = Program.safeParse(parseJson(String(headers[programHeader]))).data;
    const isStop = method === "POST" && url === "/stop";
    if (isStop || (method === "GET" && url === "/status")) return this.#answerStatus(response, isStop);
    // The caller starts its own, newer host.
    if (caller && isNewer(caller, this.#options.program))
      return void response.writeHead(handsOver).end(() => this.stop());
    const answer = this.#answerOf(request, response);
    if (answer) return void this.#finish(answer, response);
    response.writeHead(404).end();
  }

  #answerOf(request: IncomingMessage, response: ServerResponse): Promise<void> | null {
    if (request.url?.startsWith(coordinatorPath)) return this.#answerCoordinator(request, response);
    if (request.method !== "POST") return null;
    if (request.url?.startsWith(callPath))
      return this.#answerCall(request.url.slice(callPath.length), request, response);
    return request.url === "/connection" ? this.#stayConnected(request, response) : null;
  }

  async #answerCall(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { runtime } = this.#options;
    const body = await readBody(request, maxCallBytes);
    if (body === null) return void response.writeHead(413).end();
    response.setHeader(programHeader, JSON.stringify(this.#options.program));
    // The caller may have gone.
    response.on("error", () => undefined);
    // Many hosts are never asked for an operation, so these are loaded by the first one.
    const running = import("./do-operation.ts").then(({ doOperation }) =>
      doOperation({ runtime, machine: this.#machine }, name, body.toString(), response),
    );
    this.#running.add(running);
    await running.finally(() => this.#running.delete(running));
  }

  async #answerCoordinator(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const coordinator = await this.#loadCoordinator();
    return coordinator ? coordinator.answer(request, response) : void response.destroy();
  }

  /** Half of the program, and a chat begins before it is needed. Null: the host ends. */
  async #loadCoordinator(): Promise<CoordinatorRequests | null> {
    const { CoordinatorRequests: Loaded } = await import("./coordinator-requests.ts");
    if (this.#isOver) return null;
    return (this.#coordinator ??= new Loaded(this.#options.runtime));
  }

  async #finish(answer: Promise<void>, response: ServerResponse): Promise<void> {
    const { runtime } = this.#options;
    this.#usedAt = runtime.now();
    try {
      await answer;
    } catch (error) {
      runtime.log("error", "a call was not answered", { error: stackOf(error) });
      response.destroy();
    }
  }

  #answerStatus(response: ServerResponse, isStop: boolean): void {
    const { self, program } = this.#options;
    const status: HostStatus = {
      pid: self.pid,
      version: program.version,
      startedAt: this.#startedAt,
      chats: [...this.#chats].map(({ server, client, isConnected, silent }) => ({
        front: server.pid,
        client: client?.pid ?? null,
        isConnected,
        silent,
      })),
    };
    response.end(JSON.stringify(status), () => {
      if (isStop) this.stop();
    });
  }

  /** The host stays, and works for the machine, as long as the program does. */
  async #stayConnected(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { isFollowing, caller } = HostConnection.parse(parseJson(String(await readBody(request, maxQuestionBytes))));
    const coordinator = caller === undefined ? null : await this.#loadCoordinator();
    if (response.destroyed) return;
    response.writeHead(200).flushHeaders();
    const leave = this.#machine.addProgram();
    // A mark that waits stands for all commits since.
    const send = (mark: string) => () => void (response.writableNeedDrain || response.write(mark));
    const unfollows = [
      isFollowing ? this.#options.runtime.store.onCommit(send(commitMarks.stored)) : null,
      caller === undefined ? null : coordinator?.follow(caller, send(commitMarks.coordinated)),
    ];
    this.#connectedPrograms.add(response);
    response.once("close", () => {
      for (const unfollow of unfollows) unfollow?.();
      leave();
      this.#connectedPrograms.delete(response);
      this.#usedAt = this.#options.runtime.now();
      // The kernel closes the connections of a process before it is gone.
      setTimeout(() => this.#machine.settleCoordinator(), goneMs).unref();
    });
  }

  /** Reads the front's first line. */
  #greet(connection: Duplex): void {
    const { log } = this.#options.runtime;
    const parts: Buffer[] = [];
    let bytes = 0;
    const refuse = (reason: string): void => {
      log("warn", "a connection was refused", { reason });
      connection.destroy();
    };
    connection.on("error", () => undefined);
    const read = (part: Buffer): void => {
      const end = part.indexOf(0x0a);
      bytes += part.length;
      parts.push(end < 0 ? part : part.subarray(0, end));
      if (end < 0) {
        if (bytes > maxHelloBytes) refuse("the greeting is too long");
        return;
      }
      connection.off("data", read);
      connection.pause();
      if (end + 1 < part.length) connection.unshift(part.subarray(end + 1));
      const hello = Hello.safeParse(parseJson(Buffer.concat(parts).toString())).data;
      if (hello === undefined) return refuse("the greeting is not that of a front");
      this.#serve(hello, connection);
    };
    connection.on("data", read);
  }

  #serve({ env, ...hello }: FrontHello, connection: Duplex): void {
    const { runtime, self, program, kill } = this.#options;
    const greeting: HostHello = { program, host: self, repeatable };
    connection.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${mcpProtocol}\r\n\r\n`);
    connection.write(`${JSON.stringify(greeting)}\n`);
    const { front, client } = hello;
    const chat = new ServedChat({
      runtime: { ...runtime, env },
      machine: this.#machine,
      version: program.version,
      hello,
      connection,
      onHandOver: () => this.stop(),
      onEnded: () => {
        this.#chats.delete(chat);
        this.#usedAt = runtime.now();
        connection.destroy();
        // A front that hangs does not see that its client is gone.
        setTimeout(() => {
          const isClientAlive = client !== null && isAlive(runtime.processes, client);
          if (!isClientAlive && isAlive(runtime.processes, front)) kill(front.pid);
        }, hungMs).unref();
      },
    });
    this.#chats.add(chat);
    this.#tickEvery(tickMs);
  }

  #tickEvery(ms: number): void {
    if (ms === this.#tickEveryMs || this.#isOver) return;
    this.#tickEveryMs = ms;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(), ms);
  }

  #tick(): void {
    const { runtime } = this.#options;
    // The home was deleted or replaced: its files are no longer those of this process.
    if (inodeOf(this.#claim) !== this.#claimInode) return this.stop();
    this.#address.keep();
    const lastMs = this.#tickEveryMs;
    this.#machine.tick();
    // A commit of the tick itself is no reason for another one.
    this.#tickEvery(this.#nextTickMs(lastMs));
    const count = this.#chats.size + this.#connectedPrograms.size + this.#running.size + runtime.runs.working;
    if (count > 0) this.#usedAt = runtime.now();
    else if (runtime.now() - this.#usedAt > maxIdleMs) this.stop();
  }

  /** Doubles from tick to tick: who has stored something stores more soon, or nothing for long. */
  #nextTickMs(lastMs: number): number {
    if (!this.#machine.isCalm || this.#connectedPrograms.size > 0) return tickMs;
    return this.#machine.isQuiet ? quietTickMs : Math.min(2 * lastMs, quietTickMs);
  }

  /** The fronts connect to the next host. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#ignoreCommits();
    this.#address.remove();
    this.#server.close();
    this.#server.closeAllConnections();
    this.#coordinator?.close();
    void this.#leave().finally(() => {
      this.#options.runtime.store.close();
      this.#options.onEnded(this.#failure);
    });
  }

  async #leave(): Promise<void> {
    await Promise.all([Promise.allSettled(this.#running), ...[...this.#chats].map((chat) => chat.leave())]);
    await this.#machine.stop();
  }
}

/** Other processes only read, each for milliseconds. */
const busyMs = 2_000;

interface HostHereOptions extends Pick<LoadedDriver, "open" | "fallbackReason">, Pick<Runtime, "startJob"> {
  readonly home: string;
  readonly self: ProcessIdentity;
  /** Absent: this process may start no program. */
  readonly run?: typeof runProgram;
  /** Another process can be the host now. @param reason why this one could not begin */
  readonly onEnded: (reason?: string) => void;
}

/**
 * Makes this process the host of the home; null: another process is it.
 *
 * @throws {StoreError} where nothing can be stored in the home
 */
export function hostHere({ home, self, open, fallbackReason, onEnded, startJob, run }: HostHereOptions): Host | null {
  // Others may enter its folder: that is said before the lock is taken.
  const socket = newHostSocket(home, self.boot);
  prepareSocketFolder(home, socket);
  const claim = hostLock(home, self.boot);
  const lock = lockFile(claim, open);
  if (lock === null) {
    requireLocks(home, open);
    return null;
  }
  const runtime: Runtime = withCurrentConfig({
    ...systemRuntime({ driver: open, busyMs, env: process.env }),
    windows: hostWindows(() => runtime),
    ...(startJob && { startJob }),
    ...(run && { runs: new HostedRuns(run) }),
  });
  if (fallbackReason) runtime.log("warn", "second choice of SQLite", { reason: fallbackReason });
  const keepAddress = (): void => host.keepAddress();
  const host: Host = new Host({
    runtime,
    self,
    program: ownProgram,
    socket,
    claim,
    kill: (pid) => {
      // A front in the host's process ends with it, and in order.
      if (pid !== self.pid) process.kill(pid, "SIGKILL");
    },
    onEnded: (reason) => {
      process.off(recallSignal, keepAddress);
      lock.close();
      onEnded(reason);
    },
  });
  process.on(recallSignal, keepAddress);
  return host;
}

/** Settings change while the host runs; a file that cannot be read changes nothing. */
function withCurrentConfig(started: Runtime): Runtime {
  let read = { at: 0, config: started.config };
  const current = (): Config => {
    const at = statSync(started.paths.config, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (at !== read.at) {
      const found = readConfig(started.paths.config);
      read = { at, config: found.ok ? found.value : read.config };
    }
    return read.config;
  };
  return {
    ...started,
    get config() {
      return current();
    },
  };
}
