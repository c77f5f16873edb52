import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import type { OpenedLink } from "../../coordinator-client/client.ts";
import { mayBeJoined, type EdgeWorkspace } from "../../coordinator-client/edge-config.ts";
import { settleLocalCoordinator } from "../../coordinator-client/local/open-coordinators.ts";
import { timerTrigger } from "../../learning/policy/risk.ts";
import { capture } from "../../machine/sessions/checkpoints/capture.ts";
import { prune, pruneTime } from "../../machine/view/keeping/retention.ts";
import { reviewIfDue } from "../../machine/learning/review-schedule.ts";
import { DeathWatch, recordDeaths } from "../../machine/recovery/incomplete/deaths.ts";
import * as clients from "../../machine/sessions/clients.ts";
import { isSessionPaused } from "../../machine/sessions/session-settings.ts";
import { unsavedOf } from "../../machine/sessions/session-content.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import type { SyncReport } from "../../machine/sharing/sync-round.ts";
import type { startSync } from "../../machine/sharing/synchronizer.ts";
import { refresh } from "../../machine/sessions/signals/observe.ts";
import type { ConflictWatch } from "../../machine/team/conflict-watch.ts";
import { phoneFileMark } from "../../machine/sharing/phones/phone-file.ts";
import { hasWritten, recordSubagents } from "../../machine/sessions/transcripts/record-subagents.ts";
import { catchUp } from "../../machine/sessions/transcripts/record-transcript.ts";
import { markHost, unmarkHost } from "../../platform/host-socket.ts";
import { removeLeftovers, temporaryNames } from "../../platform/leftovers.ts";
import { attempt } from "../../platform/log-file.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/known-time.ts";
import { dropMarked } from "../../snapshots/stored-snapshots.ts";
import { firstCheckpointAt, isBackupDue } from "../../store/backup.ts";
import { backUp } from "../../store/copy-store.ts";
import { isEmpty, retrySetAside } from "../../store/spool.ts";
import * as textIndex from "../../store/text-index.ts";
import { finishEvent, scheduleSettling, Settling, type DeferredWork } from "../events/after-answer.ts";
import { drainInto } from "../events/answer-hook.ts";
import type { Chat, LoadedTeam } from "../mcp/chat/chat.ts";
import { deadTasks } from "../notify/due-notifications.ts";
import { Notifier } from "../notify/notifier.ts";
import { FileSaver } from "./file-saver.ts";
import type { PhoneLinks } from "./phone-links.ts";
import type { ServedChat } from "./served-chat.ts";

const refreshIntervalMs = 15_000;
/** The same for a session without news, of which only the memory of its machine changes. */
const idleRefreshIntervalMs = 600_000;
const upkeepIntervalMs = 600_000;
const backupCheckIntervalMs = 60_000;
const processRowsMs = 7 * 86_400_000;
/** Share of garbage from which rewriting a pack is worth it. */
const minGarbageShare = 0.3;
const longSilentMs = 3_600_000;

/** Takes the readings that no hook reports, and a due checkpoint. */
export function refreshIfDue(chat: Chat, sessionId: string): void {
  const { runtime } = chat;
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  if (!session || session.endedAt !== null) return;
  const last = session.readings.sessionAgeMs?.at ?? 0;
  // A status line keeps the readings recent, and may be the one that saw the risk rise.
  const age = session.riskMark.pending === null ? runtime.now() - last : Number.POSITIVE_INFINITY;
  if (isWithin(age, refreshIntervalMs)) return;
  if (!isWithin(age, idleRefreshIntervalMs) || hasNews(runtime, session, last)) observeSession(chat, session);
}

/** Whether something has happened in the session since `last`, or is not saved. */
function hasNews({ store }: Runtime, session: sessions.Session, last: number): boolean {
  const isUnsaved = store.read((sql) => unsavedOf(sql, session.id).events, 0) > 0;
  return session.lastSeenAt > last || isUnsaved || hasWritten(session, last);
}

function observeSession(chat: Chat, session: sessions.Session): void {
  const { runtime } = chat;
  const sessionId = session.id;
  if (runtime.store.read((sql) => isSessionPaused(sql, runtime.now(), session), false)) {
    runtime.store.write((sql) => catchUp(sql, runtime.now(), sessionId));
    return;
  }
  const options = { prices: runtime.config.usage.prices, isOver: false };
  runtime.store.write((sql) => recordSubagents(sql, session, runtime.now(), options));
  const { facts, config } = refresh(runtime, session);
  const trigger = timerTrigger(facts, config.checkpoint);
  if (trigger) capture(runtime, { sessionId, trigger });
}

/** The work that a process does for its machine beside others, each part at its interval. */
class Upkeep {
  readonly #runtime: Runtime;
  readonly #deaths = new DeathWatch();
  #lastRunAt = 0;
  #lastBackupCheckAt = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  run(): void {
    const { store, durations, now: clock, config, log, paths } = this.#runtime;
    drainInto(this.#runtime);
    if (store.read(textIndex.hasPending, false)) store.write(textIndex.indexPending);
    if (durations.isDue) durations.store(store);
    store.checkpointWal();
    this.#deaths.check(this.#runtime);
    const now = clock();
    this.#backUpIfDue(now);
    if (isWithin(now - this.#lastRunAt, upkeepIntervalMs)) return;
    this.#lastRunAt = now;
    for (const folder of [paths.home, paths.spool]) removeLeftovers(folder, temporaryNames);
    retrySetAside(paths.spool, now);
    // Pruning a session keeps the record of its death. A chat of this host records its own.
    recordDeaths(this.#runtime, ({ lastSeenAt }) => !isWithin(now - lastSeenAt, longSilentMs));
    store.write((sql) => {
      prune(sql, pruneTime(sql, now), config.retention, 200);
      clients.prune(sql, this.#runtime.processes.boot(), now - processRowsMs);
    });
    void attempt(log, "experiments", async () => {
      // Statistics are a large part of the program.
      const { advanceAll } = await import("../../machine/learning/machine-trials.ts");
      advanceAll(this.#runtime);
    });
    reviewIfDue(this.#runtime);
    void attempt(log, "snapshots", () => dropMarked(this.#runtime, { maxGarbage: minGarbageShare }));
  }

  #backUpIfDue(now: number): void {
    const { store, paths, config, log } = this.#runtime;
    if (isWithin(now - this.#lastBackupCheckAt, backupCheckIntervalMs)) return;
    this.#lastBackupCheckAt = now;
    if (!isBackupDue(paths.backups, now, store.read(firstCheckpointAt, null))) return;
    void attempt(log, "backup", () => backUp(store, now, config.retention.backups));
  }
}

/**
 * Chats take turns: the messages of one that sends thousands wait for each other, and those of
 * another chat for at most one of each.
 */
class Turns {
  readonly #afterInput: (work: () => void) => void;
  /** In the order of their turns. */
  readonly #waiting = new Map<object, (() => void)[]>();
  #isTaken = false;

  /** @param afterInput runs its argument once the input of all chats was read */
  constructor(afterInput: (work: () => void) => void) {
    this.#afterInput = afterInput;
  }

  /** Runs `work` behind that of the same chat, at once where none waits. It must not throw. */
  take(chat: object, work: () => void): void {
    if (this.#isTaken) {
      const before = this.#waiting.get(chat);
      if (before) before.push(work);
      else this.#waiting.set(chat, [work]);
      return;
    }
    this.#isTaken = true;
    this.#afterInput(() => this.#next());
    work();
  }

  /** Drops what waits for a turn of the chat. */
  forget(chat: object): void {
    this.#waiting.delete(chat);
  }

  #next(): void {
    const [first] = this.#waiting;
    this.#isTaken = first !== undefined;
    if (!first) return;
    const [chat, works] = first;
    const work = works.shift();
    this.#waiting.delete(chat);
    if (works.length > 0) this.#waiting.set(chat, works);
    this.#afterInput(() => this.#next());
    work?.();
  }
}

/** A chat that the process serves, as far as the machine's work concerns it. */
type WorkingChat = Pick<
  ServedChat,
  "isConnected" | "isSettled" | "announceWork" | "checkClient" | "team" | "work" | "reader"
>;

/** The host ticks every ten seconds then, and a timer may be early. */
const quietIntervalMs = 9_000;
/** A chat's first checkpoint is sent soon, but not before what follows its answer. */
const beginAfterMs = 250;

/** Time after a commit in which a chat may edit on before conflicts are foreseen. */
const foreseeAfterMs = 1_500;
/** Bounds the share of the time in which conflicts are foreseen. */
const restFactor = 9;
/** The user is to learn of a conflict within five seconds. */
const maxRestMs = 3_000;

/** @returns when so much time has passed, or the signal came */
export type Wait = (ms: number, signal: AbortSignal) => Promise<void>;

const systemWait: Wait = (ms, signal) => pause(ms, undefined, { ref: false, signal }).catch(() => undefined);

/** A process's work for its machine beside the chats: upkeep, notifications, sync. */
export class MachineWork {
  /** The turns of the chats' messages. */
  readonly turns = new Turns(setImmediate);
  readonly files = new FileSaver();
  /** Work that events of all chats leave for after their answers. */
  readonly settling = new Settling({
    finish: (work) => this.#finish(work),
    schedule: scheduleSettling,
    pause: (ms) => pause(ms, undefined, { ref: false }),
  });
  readonly #runtime: Runtime;
  readonly #self: ProcessIdentity;
  readonly #wait: Wait;
  readonly #chats = new Set<WorkingChat>();
  /** Programs that run for long beside the chats, such as a worker. */
  readonly #programs = new Set<object>();
  readonly #upkeep: Upkeep;
  readonly #notifier: Notifier;
  #sync: Promise<ReturnType<typeof startSync>> | null = null;
  /** Initially for what was stored before this process. */
  #hasCommitted = true;
  #changedAt = Number.NEGATIVE_INFINITY;
  #ranAt = Number.NEGATIVE_INFINITY;
  #isBeginning = false;
  #conflicts: ConflictWatch | null = null;
  readonly #stopped = new AbortController();
  /** The next or present look for conflicts; null: nothing was stored since the last one. */
  #foreseeing: Promise<void> | null = null;
  #isForeseenLate = false;
  #isCheckingHandovers = false;
  #phones: PhoneLinks | null = null;

  constructor(runtime: Runtime, self: ProcessIdentity, wait = systemWait) {
    this.#runtime = runtime;
    this.#self = self;
    this.#wait = wait;
    this.#upkeep = new Upkeep(runtime);
    this.#notifier = new Notifier({
      runtime,
      deadTasks: deadTasks(runtime.now, () => this.#reader()),
    });
  }

  noteCommit(): void {
    this.#phones?.changed("sessions");
    this.#hasCommitted = true;
    this.#isForeseenLate = this.#foreseeing !== null;
    this.#foreseeing ??= this.#foresee(foreseeAfterMs);
  }

  /** One at a time; what is stored meanwhile leads to another, after a rest. */
  async #foresee(afterMs: number): Promise<void> {
    const { log, now } = this.#runtime;
    const { signal } = this.#stopped;
    await this.#wait(afterMs, signal);
    if (signal.aborted) return;
    this.#isForeseenLate = false;
    const at = now();
    await attempt(log, "conflicts were not foreseen", async () => {
      // Not at the start: it comes with the part of the chats.
      const { ConflictWatch } = await import("../../machine/team/conflict-watch.ts");
      this.#conflicts ??= new ConflictWatch(this.#runtime, () => this.#reader());
      await this.#conflicts.check(signal);
      void this.#notifier.checkNow();
    });
    const restMs = Math.min(maxRestMs, Math.max(foreseeAfterMs, restFactor * (now() - at)));
    this.#foreseeing = this.#isForeseenLate ? this.#foresee(restMs) : null;
  }

  add(chat: WorkingChat): void {
    this.#chats.add(chat);
  }

  remove(chat: WorkingChat): void {
    this.#chats.delete(chat);
  }

  /** The machine's work is done while a program is connected, as for a chat. @returns ends that */
  addProgram(): () => void {
    const program = {};
    this.#programs.add(program);
    return () => void this.#programs.delete(program);
  }

  #reader(): OpenedLink | null | Promise<OpenedLink | null> {
    const [chat] = this.#chats;
    return chat?.reader() ?? null;
  }

  /** Something was stored: another machine is to have it soon. */
  begin(): void {
    if (this.#isBeginning || !mayBeJoined(this.#runtime.paths.home, this.#runtime.env)) return;
    this.#isBeginning = true;
    setTimeout(() => this.tick(), beginAfterMs).unref();
  }

  #finish(work: DeferredWork): Promise<void> {
    return attempt(this.#runtime.log, "the work after a hook event", async () => {
      await this.files.saveFor(work.runtime, await finishEvent(work));
      this.begin();
    });
  }

  /** Works at most once per `quietIntervalMs` while the store does not change. */
  tick(): void {
    for (const chat of this.#chats) chat.checkClient();
    this.settleCoordinator();
    // Chats that send their events by hooks alone wait for it.
    void this.files.save(this.#runtime);
    const settled = [...this.#chats].filter(({ isSettled }) => isSettled);
    if (settled.length === 0 && this.#programs.size === 0 && this.#ranAt === Number.NEGATIVE_INFINITY) return;
    const { paths, now } = this.#runtime;
    const at = now();
    for (const watch of this.#watches()) void watch.checkMembers();
    if (this.#hasCommitted || !isEmpty(paths.spool)) this.#changedAt = at;
    if (this.isQuiet && isWithin(at - this.#ranAt, quietIntervalMs)) return;
    this.#ranAt = at;
    void attempt(this.#runtime.log, "tick", () => {
      for (const chat of settled) chat.work();
      void this.#notifier.check();
      this.#upkeep.run();
      // Most machines never join a workspace.
      if (!mayBeJoined(paths.home, this.#runtime.env)) return;
      void this.#startSync();
      void this.#checkHandovers();
      this.refreshPhones();
    });
    // After the run, whose own commits are no news.
    this.#hasCommitted = false;
  }

  /** Whether no chat waits for a check. */
  get isCalm(): boolean {
    const isSettled = [...this.#chats].every((chat) => chat.isSettled && chat.isConnected);
    return isSettled && this.#watches().every(({ hasUnserved }) => !hasUnserved);
  }

  /** Whether nothing was stored for a while, either. */
  get isQuiet(): boolean {
    return this.isCalm && !isWithin(this.#runtime.now() - this.#changedAt, quietIntervalMs);
  }

  #watches(): ReturnType<LoadedTeam["watches"]> {
    return [...new Set([...this.#chats].flatMap(({ team }) => team?.watches() ?? []))];
  }

  /** One at a time: a coordinator may not answer for long. */
  async #checkHandovers(): Promise<void> {
    if (this.#isCheckingHandovers) return;
    this.#isCheckingHandovers = true;
    await attempt(this.#runtime.log, "hand-overs were not checked", async () => {
      const { checkGiven } = await import("../../machine/team/handover/watch.ts");
      if (await checkGiven(this.#runtime)) for (const { team } of this.#chats) await team?.onHandedOver();
    });
    this.#isCheckingHandovers = false;
  }

  /** Most machines have no phone. */
  refreshPhones(): void {
    const { paths, log } = this.#runtime;
    if (this.#phones === null && phoneFileMark(paths.home) === null) return;
    void attempt(log, "phones were not connected", async () => {
      const { PhoneLinks: Links } = await import("./phone-links.ts");
      if (this.#stopped.signal.aborted) return;
      this.#phones ??= new Links(this.#runtime);
      this.#phones.refresh();
    });
  }

  #startSync(): Promise<ReturnType<typeof startSync>> {
    const load = (): Promise<ReturnType<typeof startSync>> =>
      Promise.all([
        import("../../machine/sharing/synchronizer.ts"),
        import("../../machine/sharing/takeover-notices.ts"),
      ]).then(([sync, { recordTakeovers }]) =>
        sync.startSync(this.#runtime, (...pulled) => {
          recordTakeovers(...pulled);
          for (const { team } of this.#chats) team?.onPulled();
        }),
      );
    return (this.#sync ??= load());
  }

  /** A host that is at `work` is not taken for one that hangs. */
  async atLongWork<T>(work: () => Promise<T>): Promise<T> {
    const { home } = this.#runtime.paths;
    for (const chat of this.#chats) chat.announceWork(false);
    unmarkHost(home, this.#self);
    // Their fronts read it before the work begins.
    await nextTurn();
    try {
      return await work();
    } finally {
      markHost(home, this.#self);
      for (const chat of this.#chats) chat.announceWork(true);
    }
  }

  /** @param isDeath another machine's session may be taken over */
  pullSoon(isDeath: boolean): void {
    void attempt(this.#runtime.log, "sync", async () => (await this.#sync)?.pullSoon(isDeath));
  }

  /** @param asked the workspace of the process that asks for the round */
  async syncNow(asked: EdgeWorkspace): Promise<SyncReport> {
    const sync = await this.#startSync();
    return sync.syncNow({ isPulling: true, files: "all", asked });
  }

  /** The user may learn of the death from no other process. */
  async clientGone(): Promise<void> {
    this.settleCoordinator();
    await this.#notifier.checkNow();
  }

  /** Frees what is held by chats whose process is gone, and does what is due. */
  settleCoordinator(): void {
    const { paths, log } = this.#runtime;
    void attempt(log, "the coordinator of this machine", () => settleLocalCoordinator(paths.home));
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.files.stop();
    this.#phones?.close();
    await this.#foreseeing;
    await (await this.#sync)?.stop();
  }
}
