import type { Duplex } from "node:stream";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { adapterOf } from "../../clients/adapters.ts";
import type { HostStatus } from "../../contract/machine/installation.ts";
import type { OpenedLink } from "../../coordinator-client/client.ts";
import { capture } from "../../machine/sessions/checkpoints/capture.ts";
import { recordDeath } from "../../machine/recovery/incomplete/deaths.ts";
import { isPausedById } from "../../machine/sessions/session-settings.ts";
import { inHandshake, threadsOf } from "../../machine/sessions/session-identity.ts";
import { note } from "../../machine/sessions/ending/ending.ts";
import type { Signs } from "../../machine/sessions/ending/judge.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import type { TeamEnding } from "../../machine/team/team.ts";
import { catchUp, isTurnOpen } from "../../machine/sessions/transcripts/record-transcript.ts";
import { attempt } from "../../platform/log-file.ts";
import { endSignals, isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import { storeDurations, type Runtime } from "../../runtime/runtime.ts";
import * as pauses from "../../store/pause.ts";
import { isWithin } from "../../shared/known-time.ts";
import { HookChannel } from "../events/hook-channel.ts";
import { controlMethods, type FrontHello } from "../front/hello.ts";
import { Chat, type ClientInfo, lateTeam, type LateTeam, type LoadedTeam } from "../mcp/chat/chat.ts";
import { clientInfoIn, createServer } from "../mcp/server.ts";
import { ConnectionTransport, withControl } from "./connection-transport.ts";
import type { MachineWork, WorkingChat } from "./machine-work.ts";
import { refreshIfDue } from "./refresh.ts";
import { isAtWork } from "./unseen-chats.ts";

/** Nothing is written for a client that only inspects the server and leaves. */
const settleMs = 3_000;
const batchMs = 30;
const maxEndMs = 10_000;
/** A front that lives says at once how its client has ended it. */
const maxWordMs = 1_000;
/** A client that ends its server mostly ends soon. */
const endingChecks = 20;
const endingPauseMs = 50;

export interface ServedChatOptions {
  /** With the variables of the chat. */
  readonly runtime: Runtime;
  readonly machine: MachineWork;
  readonly version: string;
  readonly hello: Omit<FrontHello, "program" | "env">;
  readonly connection: Duplex;
  readonly onHandOver: () => void;
  /** Called once, when all is saved, or the end took too long. */
  readonly onEnded: () => void;
}

/** One client's connection. It ends once, and detaches its sessions. */
export class ServedChat implements WorkingChat {
  readonly #options: ServedChatOptions;
  readonly #chat: Chat;
  readonly lateTeam: LateTeam | null;
  readonly #close: () => Promise<void>;
  readonly #startedAt: number;
  #clientInfo: ClientInfo | null = null;
  #hasStored = false;
  /** A save of what calls have stored is due. */
  #isSaving = false;
  /** Why it ends; null: it does not. */
  #endReason: string | null = null;
  #isConcluding = false;
  #isOver = false;
  /** False once its sessions are detached: it waits for the end of its client, or another front. */
  #isConnected = true;
  /** Resolved when nothing of the end is lost with this process. */
  readonly #mayLeave = Promise.withResolvers<void>();
  /** The front has said why it ends, or its connection is closed. */
  readonly #said = Promise.withResolvers<void>();

  constructor(options: ServedChatOptions) {
    const { runtime, machine, version, hello, connection } = options;
    const { front: server, client, isRestart, isExtension } = hello;
    this.#options = options;
    this.#startedAt = runtime.now();
    this.lateTeam = lateTeam(
      runtime,
      server,
      () => this.#chat.client,
      (isDeath) => machine.pullSoon(isDeath),
      () => (this.#first === this ? null : this.#first.lateTeam),
    );
    const team = this.lateTeam;
    this.#chat = new Chat({ runtime, server, client, clientInfo: () => this.#clientInfo, team, isRestart });
    const hooks = new HookChannel({
      runtime,
      pid: server.pid,
      clientPid: client?.pid ?? server.pid,
      settling: machine.settling,
    });
    const transport = withControl(new ConnectionTransport(connection), {
      // The host has paused it behind the front's greeting.
      onStart: () => connection.resume(),
      inTurn: (work) => machine.turns.take(this, work),
      onHook: (given, gone) => {
        this.#hasStored = true;
        return hooks.answer(given, gone);
      },
      onEnd: (reason) => {
        this.#said.resolve();
        this.end(reason);
      },
      onHandOver: options.onHandOver,
      // A transport that cannot write closes itself; the end of its paused input is never seen.
      onClosed: () => this.#closed(),
      // Before the SDK makes its server, whose texts are for this client.
      onMessage: (message) => void (this.#clientInfo ??= clientInfoIn(message)),
    });
    const handle = serveStdio(
      () =>
        createServer({
          chat: this.#chat,
          version,
          isExtension,
          clientName: this.#clientInfo?.name ?? null,
          afterAnswer: () => this.#afterAnswer(),
        }),
      { transport, onerror: (error) => runtime.log("warn", "transport", { error: error.message }) },
    );
    this.#close = () => handle.close();
    machine.add(this);
    runtime.fronts.connect(this);
    for (const event of ["end", "close"]) connection.once(event, () => machine.turns.take(this, () => this.#closed()));
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  get server(): ProcessIdentity {
    return this.#options.hello.front;
  }

  get client(): ProcessIdentity | null {
    return this.#chat.client;
  }

  /** The oldest front of a client with threads has the team of all its sessions. */
  get #first(): WorkingChat {
    const { client } = this;
    const isAlone = client === null || threadsOf(this.#clientInfo?.name ?? null) === null;
    return (isAlone ? undefined : this.#options.machine.firstOf(client)) ?? this;
  }

  /** Silence of a client with hooks since it connected; null: it has none, or events came. */
  get silent(): HostStatus["chats"][number]["silent"] {
    const { runtime } = this.#options;
    const adapter = inHandshake(this.#clientInfo?.name ?? null);
    if (!this.#isConnected || !adapter) return null;
    const hasEvents = this.#chat.servedSessions().length > 0 || this.#chat.threads().length > 0;
    if (hasEvents || runtime.store.read((sql) => pauses.list(sql, runtime.now()).length > 0, false)) return null;
    const since = this.#startedAt;
    return { client: adapter.title, ms: runtime.now() - since, isAtWork: isAtWork(runtime, adapter, since) };
  }

  /** @param reason the end of stdin, a signal, or the death of a process, as sessions record it */
  end(reason: string): void {
    void this.#begin(reason, false);
  }

  /** A front that was not killed says that it ends. */
  #closed(): void {
    this.#said.resolve();
    void this.#begin("stdin_end", true);
  }

  /** The host ends, and the front connects to another one: nothing is detached. */
  async leave(): Promise<void> {
    const { machine } = this.#options;
    // The front sends to the next host what was not answered.
    machine.turns.forget(this);
    // An end that has begun is finished, but its client is waited for no longer.
    if (this.#endReason !== null) await this.#mayLeave.promise;
    if (!this.#isOver) {
      this.#isOver = true;
      await this.#leaveTeam("goes_on");
    }
    machine.remove(this);
    this.#options.connection.end();
  }

  /** @param isKilled the process that the client started has said nothing of its end */
  async #begin(reason: string, isKilled: boolean): Promise<void> {
    const before = this.#endReason;
    this.#endReason = before === null || isOrderly(reason) ? reason : before;
    if (before !== null || this.#isOver) return;
    const { runtime, connection } = this.#options;
    const limit = this.#limitEnd();
    runtime.fronts.disconnect(this, isKilled && this.isSettled);
    // Node reports the end of stdin before a signal that preceded it.
    await nextTurn();
    // A client that has ended its servers in order may be gone before its front is heard.
    if (reason === "parent_death" && isAlive(runtime.processes, this.server))
      await Promise.race([this.#said.promise, pause(maxWordMs, undefined, { ref: false })]);
    const outlived = this.client === null ? null : await checksUntilGone(runtime, this.client, reason);
    const isClientGone = outlived !== null;
    // Killed together they would have ended together.
    const isByClient = isKilled && outlived !== null && outlived >= minOutlived;
    this.#saveAndDetach({ isClientGone, isByClient, reason: this.#endReason });
    // The process that the client has started may end.
    connection.end();
    // A client may still write its transcript: it is read after the client has ended.
    if (isClientGone) return this.#finish(true);
    await this.#leaveTeam("server_gone");
    if (this.#isOver) return;
    clearTimeout(limit);
    this.#isConnected = false;
    this.#mayLeave.resolve();
    for (let checks = 0; checks < endingChecks && !this.#isConcluding; checks++) {
      this.checkClient();
      await pause(endingPauseMs, undefined, { ref: false });
    }
  }

  /** The client has ended as well, or has another front. */
  #conclude(isClientGone: boolean): void {
    if (this.#isOver || this.#isConcluding) return;
    this.#isConcluding = true;
    this.#limitEnd();
    if (isClientGone) this.#saveAndDetach({ isClientGone, isByClient: false, reason: "parent_death" });
    void this.#finish(isClientGone);
  }

  /** Bounds the end if a disk or git hangs. */
  #limitEnd(): NodeJS.Timeout {
    return setTimeout(() => this.#over(), maxEndMs).unref();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#mayLeave.resolve();
    this.#options.machine.remove(this);
    this.#options.onEnded();
  }

  async #finish(isClientGone: boolean): Promise<void> {
    const { runtime, machine } = this.#options;
    const left = this.#leaveTeam(isClientGone ? "client_gone" : "goes_on");
    if (isClientGone) await machine.files.saveLast(runtime);
    // First: at the hint of this machine's changes the other machines ask whether the chat lives.
    await left;
    if (isClientGone) await attempt(runtime.log, "notifications", () => machine.clientGone());
    await attempt(runtime.log, "close", this.#close);
    this.#over();
  }

  async #leaveTeam(ending: TeamEnding): Promise<void> {
    await attempt(this.#options.runtime.log, "leaving the team", () => this.lateTeam?.end(ending));
  }

  /** Neither the end of stdin nor a signal means that the work is finished. */
  #saveAndDetach(end: Ending): void {
    const { runtime } = this.#options;
    const { client } = this;
    // The fronts that are left serve the others.
    const isLast = this.#first === this && (client === null || !runtime.fronts.serves(client));
    void attempt(runtime.log, "last checkpoint", () => {
      const ids = new Set([...this.#chat.servedSessions(), ...(isLast ? this.#chat.threads() : [])]);
      for (const sessionId of ids) detachSession(runtime, sessionId, end);
    });
  }

  /** False until something was stored, or the client has stayed for a few seconds. */
  get isSettled(): boolean {
    return this.#hasStored || !isWithin(this.#options.runtime.now() - this.#startedAt, settleMs);
  }

  /** Tells its front that the host may be silent for long, or no longer. */
  announceWork(isOver: boolean): void {
    const notification = { jsonrpc: "2.0", method: controlMethods.longWork, params: { isOver } };
    this.#options.connection.write(`${JSON.stringify(notification)}\n`);
  }

  /** Ends it if its client is gone, and without a front also where the client has another one. */
  checkClient(): void {
    const { processes, fronts } = this.#options.runtime;
    const { client } = this;
    const isClientGone = client !== null && !isAlive(processes, client);
    if (this.#isConnected) {
      if (isClientGone || !isAlive(processes, this.server)) this.end("parent_death");
    } else if (isClientGone || client === null || fronts.serves(client)) this.#conclude(isClientGone);
  }

  /** The chat's team; null: its code is not loaded. */
  get team(): LoadedTeam | null {
    return this.lateTeam?.loaded ?? null;
  }

  work(): void {
    const current = this.#chat.current();
    const all = new Set([...(current === null ? [] : [current]), ...this.#chat.threads()]);
    const ids = this.#first === this ? [...all] : [];
    for (const session of ids) refreshIfDue(this.#chat, session);
    void this.lateTeam?.follow(ids);
  }

  reader(): OpenedLink | null | Promise<OpenedLink | null> {
    return this.lateTeam?.reader() ?? null;
  }

  #afterAnswer(): void {
    if (this.#isSaving) return;
    this.#isSaving = true;
    setTimeout(() => {
      this.#isSaving = false;
      const { machine, runtime } = this.#options;
      void machine.files.save(runtime);
      this.#hasStored = true;
      machine.begin();
    }, batchMs).unref();
  }
}

interface Ending {
  readonly isClientGone: boolean;
  /** The client has killed its server in its own end. */
  readonly isByClient: boolean;
  /** The end of stdin, a signal, or the death of a parent. */
  readonly reason: string;
}

/** A killed client causes no such signal; one that led its terminal's session causes SIGHUP. */
function isOrderly(reason: string): boolean {
  return reason === "sigint" || reason === "sigterm";
}

function frontSign(reason: string, at: number): Signs {
  const isSignal = endSignals.some((signal) => signal.toLowerCase() === reason);
  return { [isSignal ? "signal" : "front"]: { at, reason } };
}

function detachSession(runtime: Runtime, sessionId: string, end: Ending): void {
  const { store, now } = runtime;
  const { isClientGone, isByClient } = end;
  const session = store.read((sql) => sessions.get(sql, sessionId), null);
  if (session === null) return;
  const isQuit = isOrderly(end.reason) || (isByClient && adapterOf(session.client)?.endsSilently === true);
  const reason = isClientGone && !isQuit ? "client_gone" : end.reason;
  store.write((sql) => {
    catchUp(sql, now(), sessionId);
    // Its work went on until this moment, whatever its last event was.
    if (isClientGone && isTurnOpen(sql, sessionId)) sessions.touch(sql, now(), sessionId);
    // The last checkpoint would hide what the death has lost.
    if (isClientGone) recordDeath(sql, runtime, sessionId, frontSign(reason, now()));
  });
  const isPaused = store.read((sql) => isPausedById(sql, now(), sessionId), false);
  if (!isPaused) capture(runtime, { sessionId, trigger: "detached" });
  store.write((sql) => note(sql, runtime, sessionId, frontSign(reason, now())));
  storeDurations(runtime);
}

const dyingChecks = 20;
const dyingPauseMs = 10;
/** A client that was not killed together with its server survives so many of these checks. */
const minOutlived = 2;

/**
 * A killed process closes stdin and hangs up before it leaves the process table.
 *
 * @returns how many checks it has survived; null: it lives
 */
async function checksUntilGone(runtime: Runtime, client: ProcessIdentity, reason: string): Promise<number | null> {
  const isDying = reason === "stdin_end" || reason === "sighup";
  for (let checks = 0; checks < (isDying ? dyingChecks : 1); checks++) {
    if (!isAlive(runtime.processes, client)) return checks;
    if (isDying) await pause(dyingPauseMs);
  }
  return null;
}
