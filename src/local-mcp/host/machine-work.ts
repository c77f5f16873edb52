import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import type { OpenedLink } from "../../coordinator-client/client.ts";
import { mayBeJoined, type EdgeWorkspace } from "../../coordinator-client/edge-config.ts";
import { settleLocalCoordinator } from "../../coordinator-client/local/open-coordinators.ts";
import type { SyncReport } from "../../machine/sharing/sync-round.ts";
import type { startSync } from "../../machine/sharing/synchronizer.ts";
import type { ConflictWatch } from "../../machine/team/conflict-watch.ts";
import { phoneFileMark } from "../../machine/sharing/phones/phone-file.ts";
import { markHost, unmarkHost } from "../../platform/host-socket.ts";
import { attempt } from "../../platform/log-file.ts";
import { isSameProcess, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/known-time.ts";
import { isEmpty } from "../../store/spool.ts";
import { finishEvent, scheduleSettling, Settling, type DeferredWork } from "../events/after-answer.ts";
import type { LateTeam, LoadedTeam } from "../mcp/chat/chat.ts";
import { deadTasks } from "../notify/due-notifications.ts";
import { Notifier } from "../notify/notifier.ts";
import { FileSaver } from "./file-saver.ts";
import type { PhoneDoor } from "./phone-door.ts";
import type { PhoneLinks } from "./phone-links.ts";
import { Turns } from "./turns.ts";
import { noteUnseen, type SeenChat } from "./unseen-chats.ts";
import { upkeep, type TimedWork } from "./upkeep.ts";

/** A chat that the process serves, as far as the machine's work concerns it. */
export interface WorkingChat extends SeenChat {
  readonly lateTeam: LateTeam | null;
  readonly isConnected: boolean;
  readonly isSettled: boolean;
  /** The chat's team; null: its code is not loaded. */
  readonly team: LoadedTeam | null;
  announceWork(isOver: boolean): void;
  checkClient(): void;
  work(): void;
  reader(): OpenedLink | null | Promise<OpenedLink | null>;
}

/** The host ticks every ten seconds then, and a timer may be early. */
const quietIntervalMs = 9_000;
const notifyMs = 10_000;
/** A chat's first checkpoint is sent soon, but not before what follows its answer. */
const beginAfterMs = 250;

const tablesOfEdits = ["journal", "snapshots", "sessions_elsewhere"];
/** Bounds the share of the time in which conflicts are foreseen. */
const restFactor = 9;
/** The user is to learn of a conflict within five seconds. */
const maxRestMs = 3_000;

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
  readonly #chats = new Set<WorkingChat>();
  /** Programs that run for long beside the chats, such as a worker. */
  readonly #programs = new Set<object>();
  /** In their order. */
  readonly #works: readonly TimedWork[];
  readonly #workedAt = new Map<TimedWork, number>();
  readonly #running = new Set<TimedWork>();
  readonly #notifier: Notifier;
  #sync: Promise<ReturnType<typeof startSync>> | null = null;
  /** Initially for what was stored before this process. */
  #hasCommitted = true;
  #changedAt = Number.NEGATIVE_INFINITY;
  #ranAt = Number.NEGATIVE_INFINITY;
  #isBeginning = false;
  #conflicts: ConflictWatch | null = null;
  readonly #stopped = new AbortController();
  /** Something was stored since the last look for conflicts. */
  #isUnforeseen = false;
  #foreseenUntil = Number.NEGATIVE_INFINITY;
  #foreseeing: Promise<void> | null = null;
  #phones: PhoneLinks | null = null;

  constructor(runtime: Runtime, self: ProcessIdentity) {
    this.#runtime = runtime;
    this.#self = self;
    this.#notifier = new Notifier({
      runtime,
      deadTasks: deadTasks(runtime.now, () => this.#reader()),
    });
    this.#works = [
      {
        name: "conflicts",
        everyMs: 0,
        work: (now) => {
          const isDue = this.#isUnforeseen && now >= this.#foreseenUntil;
          return isDue ? (this.#foreseeing = this.#foresee(now)) : undefined;
        },
      },
      { name: "notifications", everyMs: notifyMs, work: () => this.#notifier.check() },
      { name: "unseen chats", everyMs: notifyMs, work: () => noteUnseen(runtime, this.#chats) },
      ...upkeep(runtime),
      { name: "sync", everyMs: 0, work: this.#ifJoined(() => this.#startSync()) },
      { name: "hand-overs", everyMs: 0, work: this.#ifJoined(() => this.#checkHandovers()) },
      { name: "phones", everyMs: 0, work: () => this.refreshPhones() },
    ];
  }

  /** @param changed tables */
  noteCommit(changed: ReadonlySet<string>): void {
    this.#phones?.changed("sessions");
    this.#hasCommitted = true;
    this.#isUnforeseen ||= tablesOfEdits.some((name) => changed.has(name));
  }

  /** Conflicts of the edits that were stored, with a rest behind each look. */
  async #foresee(at: number): Promise<void> {
    this.#isUnforeseen = false;
    // Not at the start: it comes with the part of the chats.
    const { ConflictWatch } = await import("../../machine/team/conflict-watch.ts");
    this.#conflicts ??= new ConflictWatch(this.#runtime, () => this.#reader());
    await this.#conflicts.check(this.#stopped.signal);
    void this.#notifier.checkNow();
    const now = this.#runtime.now();
    this.#foreseenUntil = now + Math.min(maxRestMs, restFactor * (now - at));
  }

  add(chat: WorkingChat): void {
    this.#chats.add(chat);
  }

  remove(chat: WorkingChat): void {
    this.#chats.delete(chat);
  }

  /** The oldest of the chats of one client's process. */
  firstOf(client: ProcessIdentity): WorkingChat | undefined {
    return [...this.#chats].find((chat) => isSameProcess(chat.client, client));
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
    // Files that could not be saved after their event.
    void this.files.save(this.#runtime);
    const settled = [...this.#chats].filter(({ isSettled }) => isSettled);
    const isUsed = settled.length > 0 || this.#programs.size > 0 || this.#isUnforeseen;
    if (!isUsed && this.#ranAt === Number.NEGATIVE_INFINITY) return;
    const { paths, now } = this.#runtime;
    const at = now();
    for (const watch of this.#watches()) void watch.checkMembers();
    if (this.#hasCommitted || !isEmpty(paths.spool)) this.#changedAt = at;
    if (this.isQuiet && isWithin(at - this.#ranAt, quietIntervalMs)) return;
    this.#ranAt = at;
    void attempt(this.#runtime.log, "tick", () => {
      for (const chat of settled) chat.work();
      for (const one of this.#works) this.#workIfDue(one, at);
    });
    // After the run, whose own commits are no news.
    this.#hasCommitted = false;
  }

  /** Throws what fails at once: the works behind it wait for the next tick. */
  #workIfDue(one: TimedWork, now: number): void {
    const { name, everyMs, work } = one;
    if (this.#running.has(one) || isWithin(now - (this.#workedAt.get(one) ?? Number.NEGATIVE_INFINITY), everyMs))
      return;
    this.#workedAt.set(one, now);
    const going = work(now);
    if (!going) return;
    this.#running.add(one);
    void attempt(this.#runtime.log, name, () => going).finally(() => this.#running.delete(one));
  }

  /** Most machines never join a workspace. */
  #ifJoined(work: () => Promise<unknown> | void): TimedWork["work"] {
    return () => (mayBeJoined(this.#runtime.paths.home, this.#runtime.env) ? work() : undefined);
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

  /** A coordinator may not answer for long. */
  async #checkHandovers(): Promise<void> {
    const { checkGiven } = await import("../../machine/team/handover/watch.ts");
    if (await checkGiven(this.#runtime)) for (const { team } of this.#chats) await team?.onHandedOver();
  }

  /** Most machines have no phone. */
  refreshPhones(): void {
    const { paths, log } = this.#runtime;
    if (this.#phones === null && phoneFileMark(paths.home) === null) return;
    void attempt(log, "phones were not connected", async () => {
      const phones = await this.#phoneLinks();
      if (!this.#stopped.signal.aborted) phones.refresh();
    });
  }

  async phoneDoor(): Promise<PhoneDoor> {
    return (await this.#phoneLinks()).door;
  }

  async #phoneLinks(): Promise<PhoneLinks> {
    const { PhoneLinks: Links } = await import("./phone-links.ts");
    return (this.#phones ??= new Links(this.#runtime));
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
    await Promise.all([this.files.stop(), this.#runtime.runs.stopAll()]);
    await this.#phones?.stop();
    await Promise.allSettled([this.#foreseeing]);
    await (await this.#sync)?.stop();
  }
}
