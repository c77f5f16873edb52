import { readProcessKey } from "../../coordinator-client/local/process-key.ts";
import { type Platform, within } from "../../coordinator-client/edge/platform.ts";
import type { OpenedLink } from "../../coordinator-client/open-link.ts";
import { mayBeAlive } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/elapsed.ts";
import { stackOf } from "../../shared/error.ts";
import * as servers from "../sessions/servers.ts";
import * as sessions from "../sessions/sessions.ts";
import * as members from "./members.ts";
import type { Member } from "./members.ts";
import { Outbox } from "./outbox.ts";
import * as queuedCalls from "./queued-calls.ts";

interface MemberWatchDeps {
  readonly runtime: Runtime;
  readonly platform: Pick<Platform, "setTimer" | "random">;
  readonly open: () => OpenedLink | null;
  readonly onCleanedUp: (openedLink: OpenedLink, died: readonly string[]) => Promise<void>;
}

type IsServed = (sessionId: string) => boolean;

const reportEveryMs = 10_000;
const watchEveryMs = 2_000;
const leaveTimeoutMs = 2_000;

/** [TE112] [TE113] Reports whether the machine's chats without a server of their own live. */
export class MemberWatch {
  readonly #deps: MemberWatchDeps;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #isRunning = false;
  #hasUnserved = false;

  constructor(deps: MemberWatchDeps) {
    this.#deps = deps;
  }

  /** Whether the last check found living chats that no server of their own reports. */
  get hasUnserved(): boolean {
    return this.#hasUnserved;
  }

  /**
   * May be called often; never rejects.
   *
   * @param opened of a registered chat
   * @param isOwn whether the session is a chat of this process
   */
  async check(opened: OpenedLink, isOwn: IsServed): Promise<void> {
    const { now, log } = this.#deps.runtime;
    if (this.#isRunning || isWithin(now() - this.#checkedAt, watchEveryMs)) return;
    this.#checkedAt = now();
    this.#isRunning = true;
    try {
      await this.#check(opened, isOwn);
    } catch (error) {
      log("error", "team", { error: stackOf(error) });
    } finally {
      this.#isRunning = false;
    }
  }

  async #check(opened: OpenedLink, isOwn: IsServed): Promise<void> {
    const { now, store } = this.#deps.runtime;
    const isReport = !isWithin(now() - this.#reportedAt, reportEveryMs);
    if (isReport) this.#reportedAt = now();
    const registered = store.read((sql) => members.inWorkspace(sql, opened.workspace), []);
    const unserved = registered.filter((member) => !this.#isServed(member));
    const dead = unserved.filter((member) => this.#isGone(member));
    const living = unserved.filter((member) => !dead.includes(member) && !isOwn(member.session));
    this.#hasUnserved = living.length > 0;
    if (isReport) await this.#keepAlive(opened, living);
    for (const member of dead) await cleanUp(this.#deps, opened, member);
    const died = dead.map(({ session: sessionId }) => sessionId);
    if (isReport || died.length > 0) await this.#deps.onCleanedUp(opened, died);
  }

  /** [TE112] Chats whose client lives, and whose server was killed with its host. */
  async #keepAlive({ link, edge }: OpenedLink, living: readonly Member[]): Promise<void> {
    if (edge === null) return;
    for (const { chat, incarnation } of living) {
      const answer = await link.call("chats.heartbeat", { self: { chat, incarnation } }, callTimeoutMs);
      if (!answer.ok) this.#deps.runtime.log("info", "a chat without a server", { chat, code: answer.error.code });
    }
  }

  #isGone({ process }: Member): boolean {
    const owner = readProcessKey(process);
    return owner !== null && !mayBeAlive(this.#deps.runtime.processes, owner);
  }

  /** Whether a living server of the chat reports its life and its death itself. */
  #isServed({ process }: Member): boolean {
    const { store, processes } = this.#deps.runtime;
    const owner = readProcessKey(process);
    if (owner === null) return true;
    if (store.read((sql) => servers.clientOf(sql, owner), null) !== null) return mayBeAlive(processes, owner);
    return store.read((sql) => servers.check(sql, processes, owner).isServed, false);
  }
}

const callTimeoutMs = 10_000;
const sendTimeoutMs = 60_000;

/** [TE15] Sends the kept calls of a dead chat, then releases all that it holds. */
async function cleanUp(deps: MemberWatchDeps, openedLink: OpenedLink, member: Member): Promise<void> {
  const { runtime } = deps;
  const { session: sessionId, process } = member;
  const hasKeptCalls = runtime.store.read((sql) => queuedCalls.count(sql, sessionId), 0) > 0;
  const isDone = hasKeptCalls ? await sendKeptCalls(deps, member) : await attestDeath(openedLink, member);
  if (isDone) runtime.store.write((sql) => members.remove(sql, sessionId, process));
}

/** A coordinator on one machine sees the death itself. */
async function attestDeath({ link, machine, edge }: OpenedLink, { chat, process }: Member): Promise<boolean> {
  if (edge === null) return true;
  const answer = await link.call("chats.attest-death", { chat, machine, process }, callTimeoutMs);
  return answer.ok || answer.error.code === "unknown_chat";
}

/** Claims are valid within the grace period of a lost connection. */
async function sendKeptCalls({ runtime, platform, open }: MemberWatchDeps, member: Member): Promise<boolean> {
  const openedLink = open();
  if (!openedLink) return false;
  const { session: sessionId, workspace, chat, process } = member;
  const { link, machine } = openedLink;
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  const client = session?.client.slice(0, 200) || "unknown";
  const registered = await link.register({ chat, session: sessionId, process, machine, client, capacity: 0 });
  const outbox = new Outbox({ runtime, platform, link, sessionId, workspace });
  if (registered.ok) await within(platform, sendTimeoutMs, outbox.whenEmpty());
  outbox.close();
  if (registered.ok) await link.leave(leaveTimeoutMs);
  link.close();
  return runtime.store.read((sql) => queuedCalls.count(sql, sessionId), 0) === 0;
}
