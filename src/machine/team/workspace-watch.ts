import { teamChats } from "../../store/team-tables.ts";
import type { Change } from "../../contract/state.ts";
import { pollEveryMs } from "../../contract/protocol.ts";
import { within, type Platform } from "../../coordinator-client/edge/platform.ts";
import { processLives } from "../../coordinator-client/local/process-key.ts";
import type { OpenedLink } from "../../coordinator-client/client.ts";
import { attempt } from "../../platform/log-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/known-time.ts";
import { oneAfterAnother, oneAtATime } from "../../shared/async-work.ts";
import type { Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import type { Store } from "../../store/store.ts";
import { recordDeath } from "../recovery/incomplete/deaths.ts";
import * as news from "../sessions/news.ts";
import * as sessions from "../sessions/sessions.ts";
import { ChatDirectory, createNaming } from "./chat-directory.ts";
import { listFileLeases, toReservation, formatResource } from "./file-reservations.ts";
import { forgetHeld, Holdings, type Holder } from "./holdings.ts";
import { countQueued, Outbox } from "./messages.ts";
import * as reservationTable from "../sessions/reservation-table.ts";

export interface WatchOptions {
  readonly runtime: Runtime;
  readonly platform: Pick<Platform, "clock" | "setTimer" | "random">;
  readonly open: () => Result<OpenedLink, string>;
  readonly onSyncHint: (isDeath: boolean) => void;
}

/** A chat of this process that is registered. */
export interface WatchedChat extends Holder {
  check(): void;
}

type Member = RowOf<typeof teamChats>;

const callTimeoutMs = 10_000;
const reportEveryMs = 10_000;
const memberCheckEveryMs = 2_000;
const sendTimeoutMs = 60_000;
const leaveTimeoutMs = 2_000;
const leaderPrefix = "$leader/";

const ofStore = new WeakMap<Store, Map<string, WorkspaceWatch>>();

/** The one of this process for the workspace of a link. */
export function workspaceWatch(options: WatchOptions, openedLink: OpenedLink): WorkspaceWatch {
  const { workspace, machine, edge } = openedLink;
  const known = ofStore.get(options.runtime.store) ?? new Map<string, WorkspaceWatch>();
  ofStore.set(options.runtime.store, known);
  const key = JSON.stringify([edge?.url, workspace, machine]);
  const watch = known.get(key) ?? new WorkspaceWatch(options, openedLink);
  known.set(key, watch);
  return watch;
}

/** A workspace, as far as a process follows it once for all of its chats. */
export class WorkspaceWatch {
  readonly directory: ChatDirectory;
  readonly holdings: Holdings;
  readonly workspace: string;
  readonly #options: WatchOptions;
  readonly #chats = new Map<string, WatchedChat>();
  /** Has no chat of its own; open while a chat is registered. */
  #opened: OpenedLink | null = null;
  #unfollow: (() => void)[] = [];
  #cancelTimer: () => void = () => undefined;
  #areFilesStale = false;
  readonly #refreshFiles = oneAfterAnother(() =>
    attempt(this.#options.runtime.log, "reservations of files", () => this.#copyFiles()),
  );
  #leaderChanges: Change[] = [];
  #membersAt = Number.NEGATIVE_INFINITY;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #hasUnserved = false;

  constructor(options: WatchOptions, openedLink: OpenedLink) {
    const { workspace, machine } = openedLink;
    const { runtime, platform } = options;
    this.#options = options;
    this.workspace = workspace;
    this.holdings = new Holdings({ runtime, platform, workspace, holders: this.#chats });
    this.directory = new ChatDirectory(runtime, () => this.#opened?.link, machine, createNaming(runtime, openedLink));
  }

  add(chat: WatchedChat): void {
    this.#chats.set(chat.sessionId, chat);
    this.holdings.check();
    if (this.#opened) return void this.#refreshFiles();
    const opened = this.#options.open();
    if (!opened.ok) return this.#options.runtime.log("error", "team", { reason: opened.error });
    const { link } = (this.#opened = opened.value);
    this.#unfollow = [
      link.onLost(() => this.#close()),
      link.onSyncHint(this.#options.onSyncHint),
      link.onChanges("$file/", () => void this.#refreshFiles()),
      link.onChanges(leaderPrefix, (changes) => {
        this.#leaderChanges.push(...(changes ?? []));
        this.#reportLeaders();
      }),
    ];
    this.#scheduleCheck();
  }

  remove(chat: WatchedChat): void {
    if (this.#chats.get(chat.sessionId) !== chat) return;
    this.#chats.delete(chat.sessionId);
    this.holdings.check();
    if (this.#chats.size === 0) this.#close();
  }

  #close(): void {
    this.#cancelTimer();
    for (const stop of this.#unfollow) stop();
    this.#opened?.link.close();
    this.#opened = null;
  }

  #scheduleCheck(): void {
    const { platform } = this.#options;
    // A coordinator in this process loses no hint.
    const everyMs = this.#opened?.edge === null ? 2 * pollEveryMs : pollEveryMs;
    this.#cancelTimer = platform.setTimer(
      () => this.#check(),
      everyMs - (Math.floor(platform.clock.monotonic()) % everyMs),
    );
  }

  #check(): void {
    this.#scheduleCheck();
    if (this.#areFilesStale) void this.#refreshFiles();
    this.#reportLeaders();
    for (const chat of this.#chats.values()) chat.check();
  }

  /** Copies all reservations into the table that hooks read. */
  async #copyFiles(): Promise<void> {
    const { runtime } = this.#options;
    const link = this.#opened?.link;
    if (!link) return;
    this.#areFilesStale = true;
    const before = runtime.store.read((sql) => this.#heldFiles(sql), []);
    const listed = await listFileLeases(link);
    if (!listed.ok) throw new Error(listed.error.code);
    const rows = await Promise.all(listed.value.map((lease) => toReservation(this, runtime.now(), lease)));
    const tokens = new Set(rows.map(({ token }) => token));
    const ended = before.filter(({ token }) => !tokens.has(token));
    runtime.store.write((sql) => {
      // One that is gone by now was given back.
      for (const one of ended) if (reservationTable.has(sql, one)) this.#reportLost(sql, one);
      reservationTable.replaceAll(sql, runtime.now(), rows);
    });
    this.#areFilesStale = false;
  }

  #members(sql: Sql): Member[] {
    return teamChats.select(sql, "WHERE workspace = ? ORDER BY session", this.workspace);
  }

  /** Reservations of the machine's chats that live. */
  #heldFiles(sql: Sql): reservationTable.Reservation[] {
    const living = this.#members(sql).filter(
      ({ process }) => processLives(this.#options.runtime.processes, process) !== false,
    );
    const holders = new Set(living.map(({ chat }) => chat));
    return reservationTable
      .list(sql)
      .filter(({ workspace, holder }) => workspace === this.workspace && holders.has(holder));
  }

  #reportLost(sql: Sql, { resource, token, holder }: reservationTable.Reservation): void {
    const text = `This chat no longer holds ${formatResource(resource)}: its reservation has ended. Reserve it again before you continue there.`;
    const key = `freed:${this.workspace}:${resource}:${token}`;
    news.add(sql, this.#options.runtime.now(), holder, key, { kind: "notice", text });
  }

  /** Changes that cannot be stored now are stored at the next check. */
  #reportLeaders(): void {
    const { runtime } = this.#options;
    const changes = this.#leaderChanges;
    if (changes.length === 0) return;
    void attempt(runtime.log, "a leader change is not stored yet", () => {
      runtime.store.write((sql) => {
        for (const { key, value, revision } of changes) {
          const leader = leaderIn(value);
          for (const sessionId of this.#chats.keys()) {
            const item = { kind: "leader_changed", name: key.slice(leaderPrefix.length), leader } as const;
            const isSelf = leader === sessionId;
            news.add(sql, runtime.now(), sessionId, `leader:${this.workspace}:${revision}`, { ...item, isSelf });
          }
        }
      });
      this.#leaderChanges = [];
    });
  }

  /** Whether the last check found living chats that no process serves. */
  get hasUnserved(): boolean {
    return this.#hasUnserved;
  }

  /**
   * Reports whether the machine's chats that no process serves live. May be called
   * often; never rejects.
   */
  readonly checkMembers = oneAtATime(() => attempt(this.#options.runtime.log, "team", () => this.#checkMembers()));

  async #checkMembers(): Promise<void> {
    const { now, store, processes } = this.#options.runtime;
    const opened = this.#opened;
    if (!opened || isWithin(now() - this.#membersAt, memberCheckEveryMs)) return;
    this.#membersAt = now();
    const isReport = !isWithin(now() - this.#reportedAt, reportEveryMs);
    if (isReport) this.#reportedAt = now();
    const unserved = store.read((sql) => this.#members(sql), []).filter(({ session }) => !this.#chats.has(session));
    // Another container has a host of its own.
    const living = unserved.filter(({ process }) => processLives(processes, process) === true);
    const dead = unserved.filter(({ process }) => processLives(processes, process) === false);
    this.#hasUnserved = living.length > 0;
    if (isReport) for (const member of living) await this.#keepAlive(opened, member);
    for (const member of dead) await this.#cleanUp(opened, member);
    // The cause travels to the other machines with the session.
    for (const { session } of dead) store.write((sql) => recordDeath(sql, this.#options.runtime, session));
  }

  /** A chat whose client lives, and whose server was killed with its host. */
  async #keepAlive({ link, edge }: OpenedLink, { chat, incarnation }: Member): Promise<void> {
    if (edge === null) return;
    const answer = await link.call("chats.heartbeat", { self: { chat, incarnation } }, callTimeoutMs);
    if (!answer.ok) this.#options.runtime.log("info", "a chat without a server", { chat, code: answer.error.code });
  }

  /** Sends the kept calls of a dead chat, then releases all that it holds. */
  async #cleanUp(opened: OpenedLink, member: Member): Promise<void> {
    const { store } = this.#options.runtime;
    const { session, process } = member;
    const hasKeptCalls = store.read((sql) => countQueued(sql, session), 0) > 0;
    const isDone = hasKeptCalls ? await this.#sendKeptCalls(member) : await attestDeath(opened, member);
    if (!isDone) return;
    store.write((sql) => {
      forgetHeld(sql, session);
      teamChats.delete(sql, { session, process });
    });
  }

  /** Claims are valid within the grace period of a lost connection. */
  async #sendKeptCalls({ session: sessionId, chat, process }: Member): Promise<boolean> {
    const { runtime, platform } = this.#options;
    const opened = this.#options.open();
    if (!opened.ok) return false;
    const { link, machine, workspace } = opened.value;
    const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
    const client = session?.client.slice(0, 200) || "unknown";
    const registered = await link.register({ chat, session: sessionId, process, machine, client, capacity: 0 });
    const closing = new AbortController();
    const outbox = new Outbox({ runtime, platform, link, sessionId, workspace, signal: closing.signal });
    if (registered.ok) await within(platform, sendTimeoutMs, outbox.flush());
    closing.abort();
    if (registered.ok) await link.leave(leaveTimeoutMs);
    link.close();
    return runtime.store.read((sql) => countQueued(sql, sessionId), 0) === 0;
  }
}

/** A coordinator on one machine sees the death itself. */
export async function attestDeath(
  { link, machine, edge }: OpenedLink,
  { chat, process }: Pick<Member, "chat" | "process">,
): Promise<boolean> {
  if (edge === null) return true;
  const answer = await link.call("chats.attest-death", { chat, machine, process }, callTimeoutMs);
  return answer.ok || answer.error.code === "unknown_chat";
}

function leaderIn(value: Change["value"]): string | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  return typeof value["leader"] === "string" ? value["leader"] : null;
}
