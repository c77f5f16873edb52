import { adapterOf } from "../../clients/adapters.ts";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import { isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { stackOf } from "../../shared/error.ts";
import { capture } from "../checkpoints/capture.ts";
import { catchUp, isTurnOpen } from "../observe/record-transcript.ts";
import { recordDeath } from "../recovery/deaths.ts";
import { isPausedById } from "../sessions/paused-session.ts";
import * as servers from "../sessions/servers.ts";
import * as sessions from "../sessions/sessions.ts";
import { isSignal } from "../signals/crash-cause.ts";
import type { TeamEnding } from "../team/team.ts";
import type { Chat } from "../chat/chat.ts";
import type { FileSaver } from "./file-saver.ts";
import type { MachineWork } from "./machine-work.ts";

const maxEndMs = 10_000;
const witnessTickMs = 2_000;
/** A client that ends its server mostly ends soon. */
const endingChecks = 20;
const endingPauseMs = 50;

interface ServerEndOptions {
  readonly runtime: Runtime;
  readonly chat: Chat;
  readonly server: ProcessIdentity;
  readonly files: FileSaver;
  readonly machine: Pick<MachineWork, "clientGone">;
  /** The sessions are saved and detached, so that the server may end. */
  readonly onDetached: () => void;
  readonly close: () => Promise<void>;
  /** @param code 1: the end took too long */
  readonly onEnded: (code: number) => void;
}

/** [MC8] Ends the server of a client once. */
export class ServerEnd {
  readonly #options: ServerEndOptions;
  #reason: string | null = null;
  #isOver = false;
  #isWitness = false;
  /** Resolved when nothing of the end is lost with this process. */
  readonly #mayLeave = Promise.withResolvers<void>();

  constructor(options: ServerEndOptions) {
    this.#options = options;
  }

  get hasBegun(): boolean {
    return this.#reason !== null;
  }

  /** True: the sessions are detached, and only the client's end is waited for. */
  get isWitness(): boolean {
    return this.#isWitness;
  }

  /** @param isKilled the process that the client started has said nothing of its end */
  async begin(reason: string, isKilled: boolean): Promise<void> {
    const before = this.#reason;
    this.#reason = before === null || isOrderly(reason) ? reason : before;
    if (before !== null || this.#isOver) return;
    const { runtime, chat, server, files } = this.#options;
    const limit = this.#limit();
    files.stop();
    // [SI47] Node reports the end of stdin before a signal that preceded it.
    await nextTurn();
    const outlived = chat.client === null ? null : await checksUntilGone(runtime, chat.client, reason);
    const isClientGone = outlived !== null;
    // [CA43] Killed together they would have ended together.
    const isByClient = isKilled && outlived !== null && outlived >= minOutlived;
    saveAndDetach(runtime, chat, server, { isClientGone, isKilled, isByClient, reason: this.#reason });
    this.#options.onDetached();
    // A client may still write its transcript: it is read after the client has ended.
    if (isClientGone) return this.#finish(true);
    await this.#leaveTeam("server_gone");
    if (this.#isOver) return;
    clearTimeout(limit);
    this.#isWitness = true;
    this.#mayLeave.resolve();
    const isGoneNow = await this.#witness();
    if (this.#isOver) return;
    this.#limit();
    saveAndDetach(runtime, chat, server, {
      isClientGone: isGoneNow,
      isKilled,
      isByClient: false,
      reason: "parent_death",
    });
    return this.#finish(isGoneNow);
  }

  /** The chat moves to another host. An end that has begun is finished, but no witness stays. */
  async leave(): Promise<void> {
    if (this.#reason !== null) await this.#mayLeave.promise;
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.files.stop();
    await this.#leaveTeam("goes_on");
  }

  /** Bounds the end if a disk or git hangs. */
  #limit(): NodeJS.Timeout {
    return setTimeout(() => this.#over(1), maxEndMs).unref();
  }

  #over(code: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#mayLeave.resolve();
    this.#options.onEnded(code);
  }

  async #finish(isClientGone: boolean): Promise<void> {
    const { runtime, files, machine, close } = this.#options;
    const left = this.#leaveTeam(isClientGone ? "client_gone" : "goes_on");
    if (isClientGone) await files.saveLast();
    // First: at the hint of this machine's changes the other machines ask whether the chat lives.
    await left;
    if (isClientGone) await machine.clientGone().catch(logFailure(runtime, "notifications"));
    await close().catch(logFailure(runtime, "close"));
    this.#over(0);
  }

  async #leaveTeam(ending: TeamEnding): Promise<void> {
    const { runtime, chat } = this.#options;
    await chat.team?.end(ending).catch(logFailure(runtime, "leaving the team"));
  }

  /**
   * [TE112] Shows the other machines that the client of a server that is gone lives on.
   *
   * @returns whether the client is gone; else it has another server, or this process is to end
   */
  async #witness(): Promise<boolean> {
    const { runtime, chat } = this.#options;
    const { client, team } = chat;
    if (client === null) return false;
    for (let checks = 0; checks < endingChecks && isAlive(runtime.processes, client); checks++)
      await pause(endingPauseMs, undefined, { ref: false });
    while (!this.#isOver && isAlive(runtime.processes, client) && !this.#isServed(client)) {
      await team?.follow(chat.current()).catch(logFailure(runtime, "the team"));
      await pause(witnessTickMs, undefined, { ref: false });
    }
    return !isAlive(runtime.processes, client);
  }

  #isServed(client: ProcessIdentity): boolean {
    const { store, processes } = this.#options.runtime;
    return store.read((sql) => servers.check(sql, processes, client).isServed, false);
  }
}

interface Ending {
  readonly isClientGone: boolean;
  readonly isKilled: boolean;
  /** The client has killed its server in its own end. */
  readonly isByClient: boolean;
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
  try {
    // [HO4] Its row shows the hooks of the living client that the server has died.
    if (isClientGone || !end.isKilled) servers.leave(runtime, server);
    for (const sessionId of chat.servedSessions()) {
      const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
      if (session === null) continue;
      const isQuit = isOrderly(end.reason) || (end.isByClient && adapterOf(session.client)?.endsSilently === true);
      const reason = isClientGone && !isQuit ? "client_gone" : end.reason;
      runtime.store.write((sql) => {
        catchUp(sql, runtime.now(), sessionId);
        // [RE187] Its work went on until this moment, whatever its last event was.
        if (isClientGone && isTurnOpen(sql, sessionId)) sessions.touch(sql, runtime.now(), sessionId);
        // [RE60] The last checkpoint would hide what the death has lost.
        if (isClientGone) recordDeath(sql, runtime, sessionId, reason);
      });
      const isPaused = runtime.store.read((sql) => isPausedById(sql, runtime.now(), sessionId), false);
      if (!isPaused) capture(runtime, { sessionId, trigger: "detached" }, chat.recent);
      runtime.store.write((sql) => {
        sessions.detach(sql, runtime.now(), sessionId, reason, isSignal(reason));
        runtime.durations.store(sql);
      });
    }
  } catch (error) {
    logFailure(runtime, "last checkpoint")(error);
  }
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

export function logFailure(runtime: Runtime, what: string): (error: unknown) => void {
  return (error) => runtime.log("error", what, { error: stackOf(error) });
}
