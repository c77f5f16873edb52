import { Id } from "../../contract/values.ts";
import { ok } from "../../shared/result.ts";
import { findById, offerNewest, restore, takeOverIfFree } from "../recovery/remote-queries.ts";
import { findElsewhere, type DeadRemoteSession, type RemoteContext } from "../recovery/remote-candidates.ts";
import { remoteContext } from "../recovery/remote-context.ts";
import { localClock } from "../recovery/remote-session.ts";
import { heldMessage, acquireLease } from "../recovery/remote-takeover.ts";
import type { Restoration } from "../recovery/restoration.ts";
import * as recoveries from "../sessions/recoveries.ts";
import type { Session } from "../sessions/sessions.ts";
import { pullSome } from "../sync/pull.ts";
import type { TeamChat } from "../team/team-chat.ts";
import type { Chat } from "./chat.ts";
import type { ToolError } from "./tool.ts";

/** One that can be gone on with: its brief, and how that is done. */
export interface RecoveryChoice {
  readonly from: Restoration;
  /** @returns why not */
  readonly take: () => Promise<ToolError | null>;
  /** [RE55] @returns why not */
  readonly dismiss: () => Promise<ToolError | null>;
}

/** As `shim_check_recovery` lists it. */
interface ListedSession {
  readonly session: string;
  readonly title: string;
  readonly diedMsAgo: number;
  readonly cause: string;
  readonly project: string;
  readonly machine: string;
}

/** Sessions of other machines, as the chat of one session sees them. */
export class OtherSessions {
  readonly #context: RemoteContext;
  readonly #member: TeamChat;
  readonly #session: Session;
  #deadSessions: Promise<DeadRemoteSession[]> | null = null;

  private constructor(context: RemoteContext, member: TeamChat, session: Session) {
    this.#context = context;
    this.#member = member;
    this.#session = session;
  }

  /**
   * Asks nobody where this machine has none beside it. Else it asks at once: a chat that has just begun knows of no other machine yet.
   *
   * @param idOrPrefix a session that is asked for
   * @returns null: there are none; "unreachable": there may be, and nobody can tell now
   */
  static async open(
    chat: Chat,
    session: Session,
    idOrPrefix: string | undefined,
  ): Promise<OtherSessions | "unreachable" | null> {
    // Where this machine's own file decides, or nothing can, there is no other machine.
    const reader = await chat.team?.reader();
    if (!reader?.edge || !chat.team) return null;
    const member = await chat.team.chatFor(session);
    if (!member.ok) return "unreachable";
    const context = remoteContext(chat.runtime, member.value.openedLink, session.id);
    if (!context) return null;
    if (context.link.self === null) return "unreachable";
    const others = new OtherSessions(context, member.value, session);
    return (await others.#pull(idOrPrefix)) ? others : "unreachable";
  }

  /** @returns whether anybody answered */
  async #pull(idOrPrefix: string | undefined): Promise<boolean> {
    const { mirror } = this.#context;
    const project = await this.#project();
    const ofProject = project === null ? ok(null) : await pullSome(mirror, { project });
    // The beginning of an id, or no id at all, can only be of one that is known.
    const id = Id.safeParse(idOrPrefix);
    const ofNamed = id.success ? await pullSome(mirror, { session: id.data }) : ok(null);
    return ofProject.ok && ofNamed.ok;
  }

  /** What the workspace calls the chat's project; null: it has none. */
  async #project(): Promise<string | null> {
    const root = this.#session.project;
    const project = root === null ? null : await this.#member.naming.project(root);
    return project?.ok ? project.value : null;
  }

  async list(limit: number): Promise<ListedSession[]> {
    const now = this.#context.runtime.now();
    return (await this.#all()).slice(0, limit).map(({ row, liveness }) => ({
      session: row.session,
      title: row.content.title ?? "untitled",
      diedMsAgo: now - localClock(row)(row.content.lastSeenAt),
      cause: liveness.isCertain ? "died" : "not heard of",
      project: row.content.project ?? "",
      machine: row.machine,
    }));
  }

  /** [RE24] The newest of the chat's project. */
  async newest(): Promise<RecoveryChoice | null> {
    const chatProject = { root: this.#session.project, project: await this.#project() };
    const from = await offerNewest(this.#context, await this.#all(), chatProject);
    return from && this.#choice(from);
  }

  async named(id: string): Promise<RecoveryChoice | null> {
    const row = findById(this.#context, id);
    if (!row) return null;
    // Files of another project would be compared with nothing that they have to do with.
    const project = await this.#project();
    const isSame = project !== null && project === row.project;
    return this.#choice(await restore(this.#context, row, isSame ? this.#session.project : null));
  }

  #choice(from: Restoration): RecoveryChoice {
    const take = async (): Promise<ToolError | null> => {
      const row = findById(this.#context, from.session.id);
      const taken = row && (await takeOverIfFree(this.#context, row));
      return taken === null || taken.ok ? null : taken.error;
    };
    const { store, now } = this.#context.runtime;
    const dismiss = async (): Promise<null> => {
      store.write((sql) => recoveries.add(sql, { at: now(), sessionId: from.session.id, action: "dismissed" }));
      return null;
    };
    return { from, take, dismiss };
  }

  async #all(): Promise<DeadRemoteSession[]> {
    return (this.#deadSessions ??= findElsewhere(this.#context));
  }
}

/**
 * [RE23] In a workspace who goes on with a session holds its lease, also with one of this machine. Where nobody answers, what this machine knows of
 * its own processes is enough.
 *
 * @returns who has it
 */
export async function heldByAnother(chat: Chat, session: Session, dead: string): Promise<ToolError | null> {
  const member = await chat.team?.chatFor(session);
  const opened = member?.ok ? member.value.openedLink : null;
  if (!opened?.link.self) return null;
  const lease = await acquireLease(opened.link, dead);
  const holder = lease.ok ? null : lease.error.holder;
  // Its own chat counts as alive for a while; that its process is gone is seen from here.
  if (holder === null || [dead, session.id].includes(holder.chat)) return null;
  return { code: "not_to_take", message: heldMessage(dead, opened.machine, holder) };
}
