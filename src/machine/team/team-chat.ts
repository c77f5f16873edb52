import { teamChats } from "../../store/team-tables.ts";
import { waitingProgress } from "../../contract/chat-state.ts";
import { Id } from "../../contract/values.ts";
import { statusReporter, type ReportStatus } from "../../coordinator-client/coordinator-client.ts";
import type { HintKind, OpenedLink } from "../../coordinator-client/client.ts";
import { newId, within } from "../../coordinator-client/edge/platform.ts";
import type { ChatInput } from "../../coordinator-client/edge/connection.ts";
import { attempt } from "../../platform/log-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { oneAtATime } from "../../shared/async-work.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { storeRefusal } from "../../store/store-error.ts";
import * as heldAtHandOver from "../sessions/held-at-hand-over.ts";
import * as life from "../sessions/life/row.ts";
import { activityOf, keepsTasks } from "../sessions/activity/activity.ts";
import { needOf } from "../sessions/life/questions.ts";
import * as news from "../sessions/news.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Session } from "../sessions/sessions.ts";
import { acquireLease } from "../recovery/incomplete/session-lease.ts";
import { createNaming, type ChatDirectory, type Naming } from "./chat-directory.ts";
import { type ChatParts, forgetHeld, type Holding, Leadership } from "./holdings.ts";
import { FileReservations } from "./file-reservations.ts";
import { HeldClaims, TaskClaims } from "./held-claims.ts";
import { messageInbox, countQueued, Outbox } from "./messages.ts";
import { attestDeath, workspaceWatch, type WatchOptions, type WorkspaceWatch } from "./workspace-watch.ts";
import { isDead } from "../sessions/life/presence.ts";
import type { Life } from "../../contract/work-state.ts";

export interface TeamOptions extends WatchOptions {
  /** Key of the process whose end is the session's end. */
  readonly processOf: (session: Session) => string;
  /** Made for each chat. */
  readonly otherMachines: (openedLink: OpenedLink) => (sessionId: string) => Promise<void>;
}

const rejoinAfterMs = 10_000;
/** Limit for a tool that waits for the registration. */
const joinTimeoutMs = 5_000;

export interface Abilities {
  readonly capabilities: string[];
  readonly capacity: number;
}

/** Metadata field by which the chat's next process keeps the stated abilities. */
const ownAbilitiesField = "hasOwnAbilities";
const abilitiesTimeoutMs = 5_000;

export class TeamChat {
  readonly sessionId: string;
  readonly openedLink: OpenedLink;
  readonly naming: Naming;
  readonly directory: ChatDirectory;
  readonly watch: WorkspaceWatch;
  readonly outbox: Outbox;
  readonly tasks: HeldClaims;
  readonly claims: TaskClaims;
  readonly files: FileReservations;
  readonly leadership: Leadership;
  /** Takes in the messages that wait for the chat. */
  readonly pull: () => Promise<Result<null>>;
  /** Gives all back where its session was handed over; what could not be is, by the next call. */
  readonly giveBack: () => Promise<void>;
  readonly #runtime: Runtime;
  readonly #platform: ChatParts["platform"];
  readonly #checkOtherMachines: (sessionId: string) => Promise<void>;
  readonly #process: string;
  readonly #sendStatus: ReportStatus;
  #statedAbilities: Abilities | null = null;
  #areAbilitiesLoaded = false;
  #progress = "";
  readonly #register = oneAtATime(() => this.#registerOnce());
  #registered: string | null = null;
  /** The incarnation for which the session's lease was answered. */
  #owner: number | null = null;
  readonly #closing = new AbortController();
  #isWithoutServer = false;
  #cancelRetry: () => void = () => undefined;
  #unsubscribes: (() => void)[] = [];

  constructor(options: TeamOptions, openedLink: OpenedLink, session: Session) {
    const { runtime, platform } = options;
    const { link, workspace, edge } = openedLink;
    const watch = workspaceWatch(options, openedLink);
    const sessionId = session.id;
    this.sessionId = sessionId;
    this.openedLink = openedLink;
    this.naming = createNaming(runtime, openedLink);
    this.watch = watch;
    this.directory = watch.directory;
    this.#runtime = runtime;
    this.#platform = platform;
    this.#checkOtherMachines = options.otherMachines(openedLink);
    this.#process = options.processOf(session);
    const parts: ChatParts = {
      runtime,
      platform,
      link,
      sessionId,
      workspace,
      directory: watch.directory,
      isLocal: edge === null,
      isActive: () => this.isActive(),
      holdings: watch.holdings,
      signal: this.#closing.signal,
    };
    this.outbox = new Outbox(parts);
    this.tasks = new HeldClaims(parts, this.outbox);
    this.files = new FileReservations(parts);
    this.pull = messageInbox(parts);
    this.leadership = new Leadership(parts);
    this.giveBack = oneAtATime(() => this.#giveBack());
    // A coordinator on this machine sees that the process lives.
    const everyMs = edge === null ? Number.POSITIVE_INFINITY : undefined;
    this.#sendStatus = statusReporter(link, platform.clock, () => ({}), everyMs);
    this.claims = new TaskClaims({
      ...parts,
      tasks: this.tasks,
      capabilities: () => this.#abilities.capabilities,
      onTaken: () => this.#reportActivity(),
    });
  }

  /** Whether heartbeats for its tasks are honest. */
  isActive(): boolean {
    return this.#ask(keepsTasks, { ifDead: false, ifUnknown: true });
  }

  /** Keeps trying in the background. @returns the first attempt's error */
  async join(): Promise<Result<null>> {
    if (this.#closing.signal.aborted) return closedResult;
    if (this.#registered !== null && this.openedLink.link.self) return ok(null);
    const joined = await within(this.#platform, joinTimeoutMs, this.#register());
    return joined ?? fail("unreachable", "the coordinator has not answered yet");
  }

  /** Registers the chat again if what is known of it has changed. */
  async describe(): Promise<void> {
    if (this.#registered !== null) await this.#register();
  }

  async setAbilities(abilities: Partial<Abilities>): Promise<void> {
    this.#statedAbilities = { ...this.#abilities, ...abilities };
    await this.describe();
  }

  get #abilities(): Abilities {
    const { capabilities, capacity } = this.#statedAbilities ?? this.#runtime.config.team;
    return { capabilities, capacity };
  }

  /** Required to register: only the coordinator knows what an earlier process stated. */
  async #loadAbilities(): Promise<Result<null>> {
    if (this.#areAbilitiesLoaded) return ok(null);
    const isMember = this.#runtime.store.read((sql) => teamChats.has(sql, { session: this.sessionId }), false);
    const chat = isMember
      ? await this.openedLink.link.call("chats.get", { chat: this.sessionId }, abilitiesTimeoutMs)
      : null;
    if (chat?.ok === false && chat.error.code !== "unknown_chat") return chat;
    this.#areAbilitiesLoaded = true;
    if (chat?.ok && chat.value.metadata[ownAbilitiesField] === true) this.#statedAbilities ??= chat.value;
    return ok(null);
  }

  newId(): string {
    return newId(this.#platform);
  }

  setProgress(progress: string): void {
    this.#progress = progress;
    this.#reportActivity();
  }

  #reportActivity(): void {
    const idle = { activity: "idle", waits: null } as const;
    const { activity, waits } = this.#ask(
      (sql, session, stood, now) => ({
        activity: activityOf(sql, session, stood, now),
        waits: needOf(stood)?.for ?? null,
      }),
      { ifDead: idle, ifUnknown: idle },
    );
    const isBusy = activity === "busy" || activity === "waiting";
    const status = activity === "stuck" ? "stuck" : isBusy ? "busy" : "idle";
    const progress = waits === null ? this.#progress : waitingProgress[waits];
    const taskCount = this.tasks.list().length;
    this.#runSafely("the chat's state", () => this.#sendStatus({ status, taskCount, progress }, false));
  }

  #ask<T>(
    question: (sql: Sql, session: Session, stood: Life | null, now: number) => T,
    { ifDead, ifUnknown }: { readonly ifDead: T; readonly ifUnknown: T },
  ): T {
    const { store, now } = this.#runtime;
    return store.read((sql) => {
      const session = sessions.get(sql, this.sessionId);
      if (!session) return ifUnknown;
      return isDead(this.#runtime, session) ? ifDead : question(sql, session, life.read(sql, session.id), now());
    }, ifUnknown);
  }

  checkOtherMachines(): Promise<void> {
    return this.#checkOtherMachines(this.sessionId);
  }

  /** Another machine may have reported a death. */
  onPulled(): void {
    this.#runSafely("sessions of other machines", () => this.checkOtherMachines());
  }

  async leave(timeoutMs: number): Promise<void> {
    const { link } = this.openedLink;
    this.#stop();
    try {
      await link.leave(timeoutMs);
      this.#runtime.store.write((sql) => {
        forgetHeld(sql, this.sessionId);
        // A process that sends kept calls later reads the row.
        if (countQueued(sql, this.sessionId) > 0) return;
        teamChats.delete(sql, { session: this.sessionId, process: this.#process });
      });
    } finally {
      link.close();
    }
  }

  /** Serves a killed client whose death the coordinator does not see. */
  async attestDeath(timeoutMs: number): Promise<void> {
    const { self } = this.openedLink.link;
    const report = async (): Promise<void> => {
      await this.tasks.sendLastCheckpoints();
      if (self) await attestDeath(this.openedLink, { chat: self.chat, process: this.#process });
    };
    await within(this.#platform, timeoutMs, report());
    this.close();
  }

  /** The chat continues in another process of the same client. */
  close(): void {
    this.#stop();
    this.openedLink.link.close();
  }

  #stop(): void {
    this.#closing.abort();
    this.#cancelRetry();
    this.watch.remove(this);
    for (const stop of this.#unsubscribes) stop();
  }

  async #registerOnce(): Promise<Result<null>> {
    const done = await this.#registerChat().catch(storeRefusal);
    if (this.#closing.signal.aborted) return closedResult;
    if (!done.ok && done.error.code !== "unknown_session" && this.#unsubscribes.length === 0) {
      this.#cancelRetry();
      const retry = (): void => this.#runSafely("registration", () => this.join());
      this.#cancelRetry = this.#platform.setTimer(retry, rejoinAfterMs);
    }
    return done;
  }

  async #registerChat(): Promise<Result<null>> {
    const { link, workspace } = this.openedLink;
    const loaded = await this.#loadAbilities();
    if (!loaded.ok) return loaded;
    const chat = await this.#describe();
    if (!chat) return fail("unknown_session", `SHIM cannot register "${this.sessionId}" as a chat`);
    if (link.self && JSON.stringify(chat) === this.#registered) return ok(null);
    const registered = await link.register(chat);
    if (!registered.ok) return registered;
    const { incarnation } = registered.value;
    const member = { session: this.sessionId, workspace, chat: chat.chat, incarnation, process: this.#process };
    this.#runtime.store.write((sql) => teamChats.put(sql, { ...member, at: this.#runtime.now() }));
    // Not before: others rely on a registered chat to receive messages.
    this.#follow();
    this.#registered = JSON.stringify(chat);
    return ok(null);
  }

  async #describe(): Promise<ChatInput | null> {
    const session = this.#runtime.store.read((sql) => sessions.get(sql, this.sessionId), null);
    if (!session || !Id.safeParse(this.sessionId).success) return null;
    return {
      chat: this.sessionId,
      session: this.sessionId,
      process: this.#process,
      machine: this.openedLink.machine,
      client: session.client.slice(0, 200) || "unknown",
      role: "worker",
      isInteractive: !session.isScripts,
      ...this.#abilities,
      metadata: {
        ...(await this.naming.metadata(session)),
        ...(this.#statedAbilities && { [ownAbilitiesField]: true }),
      },
    };
  }

  #follow(): void {
    if (this.#unsubscribes.length > 0 || this.#closing.signal.aborted) return;
    const { link } = this.openedLink;
    this.#unsubscribes = [
      link.onHint((hint) => this.#runSafely("a hint", () => this.#onHint(hint))),
      link.onLost((reason) => this.#runSafely("the loss of the chat", () => this.#onLost(reason))),
    ];
    this.watch.add(this);
    this.check();
  }

  async renew(held: Holding): Promise<void> {
    if (!this.openedLink.link.self) return;
    if (held.kind === "claim") await this.tasks.renew(held);
    if (held.kind === "leadership") await this.leadership.renew(held);
  }

  sendNewCheckpoint(): void {
    if (this.tasks.hasNewCheckpoint()) void this.watch.holdings.renew(this);
  }

  /** At intervals, for what was missed. */
  check(): void {
    this.#runSafely("a check", () => this.#onHint("any"));
  }

  /** No caller catches errors of this work; the next check retries it. */
  #runSafely(what: string, work: () => unknown): void {
    void attempt(this.#runtime.log, what, work);
  }

  #onHint(hint: HintKind): void {
    if (hint !== "message") {
      void this.watch.holdings.renew(this);
      this.#runSafely("tasks that were asked for", () => this.claims.check());
    }
    if (hint !== "task") this.#runSafely("messages", this.pull);
    if (hint !== "message") this.#runSafely("what was handed over", this.giveBack);
    if (hint !== "any") return;
    void this.outbox.flush();
    this.#reportActivity();
    if (this.openedLink.link.self?.incarnation !== this.#owner)
      this.#runSafely("the session's lease", () => this.#acquireLease());
    this.onPulled();
  }

  async #giveBack(): Promise<void> {
    const { store } = this.#runtime;
    const isToGiveBack = store.read((sql) => heldAtHandOver.isToGiveBack(sql, this.sessionId), false);
    if (!isToGiveBack || !this.openedLink.link.self) return;
    const released = await this.files.release("", []);
    const resigned = await this.leadership.resignAll();
    for (const task of this.tasks.list())
      await this.tasks.release(task, "the session was handed over to another machine");
    if (released.ok && resigned) store.write((sql) => heldAtHandOver.markGivenBack(sql, this.sessionId));
  }

  async #acquireLease(): Promise<void> {
    const { link } = this.openedLink;
    const { self } = link;
    if (!self) return;
    const acquired = await acquireLease(link, this.sessionId, `own-${self.incarnation}`);
    if (acquired.ok) this.#owner = self.incarnation;
    const holder = acquired.ok ? null : acquired.error.holder;
    if (holder === null || holder.chat === self.chat) return;
    const { chat: by } = holder;
    const { machine } = await this.directory.identify(by);
    const notice = { kind: "continued_elsewhere", session: this.sessionId, by, machine } as const;
    news.notify(this.#runtime, this.sessionId, `continued:${this.sessionId}:${by}`, notice);
  }

  /** The chat lives on without its server, and the next one takes it over. */
  stay(): void {
    this.#isWithoutServer = true;
  }

  #onLost(reason: string): void {
    this.#registered = null;
    if (this.#isWithoutServer) return this.close();
    this.tasks.loseAll(reason);
    const text = `This chat is no longer in the team: ${reason}`;
    news.notify(this.#runtime, this.sessionId, `lost:${reason}`, { kind: "notice", text });
  }
}

const closedResult: Result<null> = fail("closed", "this chat has left the team");
