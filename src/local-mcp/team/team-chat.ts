import { Id } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { ChatNews } from "../automation/chat-news.ts";
import { newId, type Outside } from "../edge/outside.ts";
import type { Chat, News, Trouble } from "../link/chat-link.ts";
import type { OpenedLink } from "../link/open-link.ts";
import type { OtherMachines } from "../recovery/other-machines.ts";
import type { Runtime } from "../runtime.ts";
import * as sessions from "../sessions/sessions.ts";
import { StoreError } from "../store/store-error.ts";
import { ChatActivity } from "./chat-activity.ts";
import { Directory } from "./directory.ts";
import { FileDesk } from "./file-desk.ts";
import * as keptCalls from "./kept-calls.ts";
import { LeaderWatch } from "./leader-watch.ts";
import { OwnAbilities, type Abilities } from "./abilities.ts";
import { Leadership } from "./leadership.ts";
import * as members from "./members.ts";
import type { Naming } from "./naming.ts";
import * as news from "./news.ts";
import { Outbox } from "./outbox.ts";
import { Post } from "./post.ts";
import { Reports } from "./reports.ts";
import { TaskClaims } from "./task-claims.ts";
import { TaskHolder } from "./task-holder.ts";

export interface TeamSurroundings {
  readonly runtime: Runtime;
  readonly outside: Pick<Outside, "clock" | "setTimer" | "random">;
  readonly opened: OpenedLink;
  readonly naming: Naming;
  /** Sessions of other machines that concern the chat. */
  readonly others: OtherMachines;
}

const pollEveryMs = 15_000;
const leaseWithinMs = 10_000;
/** After a registration that was refused, or not answered, in ms. */
const againMs = 10_000;
/** The time that a tool waits for the registration, in ms. */
const waitMs = 5_000;

/** One session as a chat of the workspace, from its registration to its leaving. [TE1] */
export class TeamChat {
  readonly sessionId: string;
  readonly opened: OpenedLink;
  readonly naming: Naming;
  readonly others: OtherMachines;
  readonly directory: Directory;
  readonly outbox: Outbox;
  readonly tasks: TaskHolder;
  readonly claims: TaskClaims;
  readonly files: FileDesk;
  readonly reports: Reports;
  readonly leadership: Leadership;
  readonly #abilities: OwnAbilities;
  readonly #post: Post;
  readonly #leaders: LeaderWatch;
  readonly #around: TeamSurroundings;
  readonly #process: string;
  readonly #activity: ChatActivity;
  #joining: Promise<Result<null, Trouble>> | null = null;
  /** The registered description; null: not registered. */
  #registered: string | null = null;
  /** The incarnation that was last seen to hold the session's lease. */
  #owner: number | null = null;
  #isFollowing = false;
  #isClosed = false;
  #cancelTimer: () => void = () => undefined;
  #stops: (() => void)[] = [];

  /** @param process key of the process whose end is the chat's end */
  constructor(around: TeamSurroundings, sessionId: string, process: string) {
    const { runtime, outside, opened, naming } = around;
    const { link, workspace, machine } = opened;
    this.sessionId = sessionId;
    this.opened = opened;
    this.naming = naming;
    this.others = around.others;
    this.#around = around;
    this.#process = process;
    this.directory = new Directory(runtime, link, machine, naming);
    const isLocal = opened.edge === null;
    const isAtWork = (): boolean => this.#activity.keepsTasks();
    const parts = { runtime, outside, link, sessionId, workspace, isLocal, isAtWork, directory: this.directory };
    this.outbox = new Outbox(parts);
    this.tasks = new TaskHolder(parts);
    this.files = new FileDesk(parts);
    this.#post = new Post(parts);
    this.#leaders = new LeaderWatch(parts);
    this.reports = new Reports(parts, this.outbox, this.tasks);
    this.leadership = new Leadership({ runtime, link, sessionId, newId: () => this.newId() });
    this.#abilities = new OwnAbilities(parts);
    this.#activity = new ChatActivity(runtime, sessionId, new ChatNews(link, outside.clock, () => ({})));
    const able = (): readonly string[] => this.#abilities.current.capabilities;
    const taken = (): void => this.#activity.report(this.tasks.list().length);
    this.claims = new TaskClaims({ ...parts, tasks: this.tasks, able, taken });
  }

  /** Registers the chat, and goes on trying in the background. @returns the error of the first attempt */
  async join(): Promise<Result<null, Trouble>> {
    if (this.#isClosed) return err({ code: "closed", message: "this chat has left the team" });
    if (this.#registered !== null && this.opened.link.self) return ok(null);
    this.#joining ??= this.#register().finally(() => (this.#joining = null));
    const late = Promise.withResolvers<Result<null, Trouble>>();
    const error = { code: "unreachable", message: "the coordinator has not answered yet" };
    const cancel = this.#around.outside.setTimer(() => late.resolve(err(error)), waitMs);
    const joined = await Promise.race([this.#joining, late.promise]);
    cancel();
    return joined;
  }

  /** Registers the chat again when its description, such as its title, has changed. */
  async describe(): Promise<void> {
    if (this.#registered === null || this.#joining) return;
    const chat = await this.#describe();
    const isOld = this.opened.link.self === null || JSON.stringify(chat) !== this.#registered;
    if (!chat || !isOld || this.#joining) return;
    this.#joining = this.#again(chat).finally(() => (this.#joining = null));
    await this.#joining;
  }

  /** [TE34] Sets the chat's abilities, and reports them to the coordinator at once. */
  async able(abilities: Partial<Abilities>): Promise<void> {
    this.#abilities.change(abilities);
    await this.describe();
  }

  newId(): string {
    return newId(this.#around.outside);
  }

  /** Reads new messages. */
  pull(): Promise<Result<null, Trouble>> {
    return this.#post.pull();
  }

  /** Sets the chat's progress. */
  say(progress: string): void {
    this.#activity.progress = progress;
    this.#activity.report(this.tasks.list().length);
  }

  /** [TE3] The chat leaves: all that it holds is released. */
  async leave(withinMs: number): Promise<void> {
    const { runtime, opened } = this.#around;
    this.#end();
    try {
      await opened.link.leave(withinMs);
      runtime.store.write((sql) => {
        // The process that sends kept calls later reads the row.
        if (keptCalls.count(sql, this.sessionId) === 0) members.drop(sql, this.sessionId, this.#process);
      });
    } finally {
      opened.close();
    }
  }

  /** [TE3] The client was killed: releases all that the chat holds, where the coordinator does not see the death by itself. */
  async attest(withinMs: number): Promise<void> {
    const { link, machine, edge } = this.opened;
    const { self } = link;
    const late = Promise.withResolvers<void>();
    const cancel = this.#around.outside.setTimer(() => late.resolve(), withinMs);
    const tell = async (): Promise<void> => {
      await this.tasks.flush();
      if (edge === null || !self) return;
      await link.call("chats.attest-death", { chat: self.chat, machine, process: this.#process }, withinMs);
    };
    await Promise.race([tell(), late.promise]);
    cancel();
    this.close();
  }

  /** Stops all work here; the chat itself goes on, in another process of the same client. */
  close(): void {
    this.#end();
    this.opened.close();
  }

  #end(): void {
    this.#isClosed = true;
    this.#cancelTimer();
    for (const stop of this.#stops) stop();
    const { outbox, tasks, claims, files, leadership } = this;
    for (const part of [outbox, tasks, claims, files, this.#post, this.#leaders, leadership]) part.close();
  }

  async #register(): Promise<Result<null, Trouble>> {
    const recalled = await this.#abilities.recall().catch(refusedByStore);
    if (!recalled.ok) return this.#retried(recalled);
    const chat = await this.#describe();
    if (!chat) return err({ code: "unknown_session", message: `SHIM cannot register "${this.sessionId}" as a chat` });
    const done = await this.#again(chat).catch(refusedByStore);
    if (this.#isClosed) return err({ code: "closed", message: "this chat has left the team" });
    return done.ok ? done : this.#retried(done);
  }

  #retried(failed: Result<null, Trouble>): Result<null, Trouble> {
    if (!this.#isFollowing && !this.#isClosed) {
      this.#cancelTimer();
      this.#cancelTimer = this.#around.outside.setTimer(() => this.#joinAgain(), againMs);
    }
    return failed;
  }

  #joinAgain(): void {
    this.join().catch(this.#logged("registration"));
  }

  async #again(chat: Chat): Promise<Result<null, Trouble>> {
    const { runtime, opened } = this.#around;
    const registered = await opened.link.register(chat);
    if (!registered.ok) return registered;
    const { incarnation } = registered.value;
    const { sessionId } = this;
    const member = { sessionId, workspace: opened.workspace, chat: chat.chat, incarnation, process: this.#process };
    runtime.store.write((sql) => members.keep(sql, runtime.now(), member));
    // Only now: others rely on a registered chat to receive its messages.
    this.#follow();
    this.#registered = JSON.stringify(chat);
    return ok(null);
  }

  async #describe(): Promise<Chat | null> {
    const { runtime, opened, naming } = this.#around;
    const session = runtime.store.read((sql) => sessions.get(sql, this.sessionId), null);
    if (!session || !Id.safeParse(this.sessionId).success) return null;
    return {
      chat: this.sessionId,
      session: this.sessionId,
      process: this.#process,
      machine: opened.machine,
      client: session.client.slice(0, 200) || "unknown",
      role: "worker",
      isInteractive: true,
      ...this.#abilities.current,
      metadata: { ...(await naming.metadata(session)), ...this.#abilities.mark },
    };
  }

  /** Once, from the first registration on. */
  #follow(): void {
    if (this.#isFollowing || this.#isClosed) return;
    this.#isFollowing = true;
    const { link } = this.opened;
    this.#stops = [
      link.onNews((what) => this.#safely(() => this.#heed(what))),
      link.onLost((reason) => this.#safely(() => this.#lost(reason))),
    ];
    this.files.follow();
    this.#leaders.follow();
    void this.leadership.adopt().catch(this.#logged("the leadership of an earlier process"));
    this.#check();
  }

  #check(): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#around.outside.setTimer(() => this.#check(), pollEveryMs);
    this.#owner = null;
    this.files.check();
    this.#leaders.check();
    void this.leadership.check().catch(this.#logged("the leadership"));
    this.#safely(() => this.#heed("any"));
  }

  /** [TE21] No caller catches errors of this work; a store that takes no write now may do so later, at the next check. */
  #safely(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#logged("a look")(error);
    }
  }

  #heed(what: News): void {
    if (what !== "message") {
      this.tasks.check();
      void this.claims.check().catch(this.#logged("tasks that were asked for"));
    }
    if (what !== "task") void this.#post.pull().catch(this.#logged("messages"));
    if (what !== "any") return;
    this.outbox.send();
    this.#activity.report(this.tasks.list().length);
    if (this.opened.link.self?.incarnation !== this.#owner) this.#own();
    void this.others.check(this.opened, this.sessionId, this.naming).catch(this.#logged("sessions of other machines"));
  }

  /** A repeated request gets the same grant. */
  #own(): void {
    void this.#ownSession().catch(this.#logged("the session's lease"));
  }

  /** [TE2] One chat works on a session. */
  async #ownSession(): Promise<void> {
    const { link } = this.opened;
    const { self } = link;
    if (!self) return;
    const resource = `session:${this.sessionId}`;
    const wanted = { resource, requestId: `own-${self.incarnation}`, isBound: true };
    const answer = await link.call("leases.acquire", wanted, leaseWithinMs);
    if (answer.ok) this.#owner = self.incarnation;
    if (answer.ok || answer.error.code !== "lease_held") return;
    const held = await link.call("leases.list", { prefix: resource, limit: 1 }, leaseWithinMs);
    const by = held.ok ? held.value.leases[0]?.holder : undefined;
    if (by === undefined || by === self.chat) return;
    const { machine } = await this.directory.person(by);
    this.#tell(`continued:${this.sessionId}:${by}`, {
      kind: "continued_elsewhere",
      session: this.sessionId,
      by,
      machine,
    });
  }

  #lost(reason: string): void {
    this.#registered = null;
    this.tasks.loseAll(reason);
    this.#tell(`lost:${reason}`, { kind: "notice", text: `This chat is no longer in the team: ${reason}` });
  }

  #tell(key: string, told: news.News): void {
    const { runtime } = this.#around;
    const isKnown = runtime.store.read((sql) => news.has(sql, this.sessionId, key), false);
    if (!isKnown) runtime.store.write((sql) => void news.add(sql, runtime.now(), this.sessionId, key, told));
  }

  #logged(what: string): (error: unknown) => void {
    return (error) => this.#around.runtime.log("error", what, { error: String(error) });
  }
}

function refusedByStore(error: unknown): Result<null, Trouble> {
  if (!(error instanceof StoreError)) throw error;
  return err({ code: error.code, message: error.message });
}
