import type { Readable, Writable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import type { OpenedLink } from "../../coordinator-client/open-link.ts";
import { isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/elapsed.ts";
import { Chat, type ClientInfo } from "../chat/chat.ts";
import { lateTeam, type LateTeam, type LoadedTeam } from "../chat/late-team.ts";
import { HookChannel } from "../hooks/hook-channel.ts";
import { finishEvent, type DeferredWork } from "../hooks/answer-hook.ts";
import * as servers from "../sessions/servers.ts";
import { ChatWaker } from "../team/chat-waker.ts";
import { controlMethods } from "../front/hello.ts";
import { withControl } from "./control-transport.ts";
import { FileSaver } from "./file-saver.ts";
import type { MachineWork } from "./machine-work.ts";
import { clientInfoIn, createServer } from "./server.ts";
import { logFailure, ServerEnd } from "./server-end.ts";
import { refreshIfDue } from "./upkeep.ts";

/** Nothing is written for a client that only inspects the server and leaves. */
const settleMs = 3_000;
const batchMs = 30;

export interface ServedChatOptions {
  /** With the variables of the chat. */
  readonly runtime: Runtime;
  readonly machine: MachineWork;
  readonly version: string;
  /** Started from the bundle of Claude Desktop. */
  readonly isExtension: boolean;
  /** The front: the process that the client started. */
  readonly server: ProcessIdentity;
  /** The client, or a wrapper that the client started. */
  readonly client: ProcessIdentity | null;
  /** True: the client's connection began in a process that is gone. */
  readonly isRestart: boolean;
  readonly input: Readable;
  /** Carries only the protocol. */
  readonly output: Writable;
  readonly onHandOver: () => void;
  /** The sessions are saved and detached: the process that the client started may end. */
  readonly onDetached: () => void;
  /** Called once, when all is saved. @param code 1: the end took too long */
  readonly onEnded: (code: number) => void;
}

/** One client's connection. [MC8] It ends once, and detaches its sessions. */
export class ServedChat {
  readonly #options: ServedChatOptions;
  readonly #chat: Chat;
  readonly #team: LateTeam | null;
  readonly #files: FileSaver;
  readonly #wakeUp: ChatWaker;
  readonly #end: ServerEnd;
  readonly #startedAt: number;
  #clientInfo: ClientInfo | null = null;
  #hasStored = false;
  #works: (() => void)[] = [];

  constructor(options: ServedChatOptions) {
    const { runtime, machine, server, client, isRestart, input, output } = options;
    this.#options = options;
    this.#startedAt = runtime.now();
    this.#team = lateTeam(
      runtime,
      server,
      () => this.#chat.client,
      (isDeath) => machine.pullSoon(isDeath),
    );
    this.#chat = new Chat({ runtime, server, client, clientInfo: () => this.#clientInfo, team: this.#team, isRestart });
    this.#files = new FileSaver(runtime, this.#chat);
    this.#wakeUp = new ChatWaker(runtime);
    const hooks = new HookChannel({
      runtime,
      pid: server.pid,
      clientPid: client?.pid ?? server.pid,
      defer: (work) => this.#afterEvent(work),
      afterAnswer: (work) => void setImmediate(work),
      pause: (ms) => pause(ms),
    });
    // The SDK's transport adds a listener for each unread answer.
    output.setMaxListeners(0);
    const transport = withControl(new StdioServerTransport(input, output), {
      // The host has paused it behind the front's greeting.
      onStart: () => input.resume(),
      inTurn: (work) => machine.turns.take(this, work),
      onHook: (given) => hooks.answer(given),
      onEnd: (reason) => this.end(reason),
      onHandOver: options.onHandOver,
      // A transport that cannot write closes itself; the end of its paused input is never seen.
      onClosed: () => this.#closed(),
      onMessage: (message) => this.#onMessage(message, hooks),
    });
    const handle = serveStdio(
      () =>
        createServer({
          ...options,
          chat: this.#chat,
          clientName: this.#clientInfo?.name ?? null,
          afterAnswer: (work) => this.#afterAnswer(work),
        }),
      { transport, onerror: (error) => runtime.log("warn", "transport", { error: error.message }) },
    );
    const { onEnded } = options;
    this.#end = new ServerEnd({
      runtime,
      chat: this.#chat,
      server,
      files: this.#files,
      machine,
      onDetached: options.onDetached,
      close: () => handle.close(),
      onEnded: (code) => {
        machine.remove(this);
        onEnded(code);
      },
    });
    machine.add(this);
    for (const event of ["end", "close"]) input.once(event, () => machine.turns.take(this, () => this.#closed()));
  }

  get isConnected(): boolean {
    return !this.#end.isWitness;
  }

  get server(): ProcessIdentity {
    return this.#options.server;
  }

  get client(): ProcessIdentity | null {
    return this.#chat.client;
  }

  /** @param reason the end of stdin, a signal, or the death of a process, as sessions record it */
  end(reason: string): void {
    void this.#end.begin(reason, false);
  }

  /** A front that was not killed says that it ends. */
  #closed(): void {
    void this.#end.begin("stdin_end", true);
  }

  /** The host ends, and the front connects to another one: nothing is detached. */
  async leave(): Promise<void> {
    const { machine } = this.#options;
    // The front sends to the next host what was not answered.
    machine.turns.forget(this);
    await this.#end.leave();
    machine.remove(this);
    this.#options.output.end();
  }

  /** False until something was stored, or the client has stayed for a few seconds. */
  get isSettled(): boolean {
    return this.#hasStored || !isWithin(this.#options.runtime.now() - this.#startedAt, settleMs);
  }

  /** Tells its front that the host may be silent for long, or no longer. */
  announceWork(isOver: boolean): void {
    const notification = { jsonrpc: "2.0", method: controlMethods.longWork, params: { isOver } };
    this.#options.output.write(`${JSON.stringify(notification)}\n`);
  }

  /** Ends it if its client is gone. */
  checkClient(): void {
    const { runtime, server } = this.#options;
    const isOrphan = [this.#chat.client, server].some((one) => one !== null && !isAlive(runtime.processes, one));
    if (isOrphan) this.end("parent_death");
  }

  /** Null until it is loaded. */
  get team(): LoadedTeam | null {
    return this.#team?.loaded ?? null;
  }

  work(): void {
    const { runtime, server } = this.#options;
    const session = this.#chat.current();
    // The client's hooks have deleted the row of a front that is dead [HO4].
    if (this.#chat.client && !this.#end.hasBegun) servers.register(runtime, server, this.#chat.client);
    if (session) refreshIfDue(this.#chat, session);
    void this.#team?.follow(session);
    if (session) this.#wakeUp.check(session);
    void this.#files.save();
  }

  reader(): OpenedLink | null | Promise<OpenedLink | null> {
    return this.#team?.reader() ?? null;
  }

  /** Reads who connects before the SDK makes its server, whose texts are for this client. */
  #onMessage(message: JSONRPCMessage, hooks: HookChannel): void {
    this.#clientInfo ??= clientInfoIn(message);
    if ("method" in message && message.method === "notifications/initialized") setImmediate(() => hooks.replaceDead());
  }

  #afterAnswer(work: () => void): void {
    this.#works.push(work);
    if (this.#works.length > 1) return;
    setTimeout(() => {
      const works = this.#works;
      this.#works = [];
      for (const one of works) one();
      void this.#files.save();
      this.#stored();
    }, batchMs).unref();
  }

  async #afterEvent(work: DeferredWork): Promise<void> {
    try {
      await this.#files.saveFor(await finishEvent(this.#options.runtime, work, this.#chat.recent));
      this.#stored();
    } catch (error) {
      logFailure(this.#options.runtime, "the work after a hook event")(error);
    }
  }

  #stored(): void {
    this.#hasStored = true;
    this.#options.machine.begin();
  }
}
