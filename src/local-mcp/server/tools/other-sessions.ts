import { Id } from "../../../contract/values.ts";
import { ok } from "../../../shared/result.ts";
import { findById, offerNewest, restore, takeOverIfFree } from "../../recovery/remote-queries.ts";
import { findElsewhere, type DeadRemoteSession, type RemoteContext } from "../../recovery/remote-candidates.ts";
import { remoteContext } from "../../recovery/remote-context.ts";
import { localClock } from "../../recovery/remote-session.ts";
import { heldMessage, acquireLease } from "../../recovery/remote-takeover.ts";
import type { Restoration } from "../../recovery/restoration.ts";
import * as recoveries from "../../sessions/recoveries.ts";
import type { Session } from "../../sessions/sessions.ts";
import { pullSome } from "../../sync/pull.ts";
import type { TeamChat } from "../../team/team-chat.ts";
import type { Chat } from "../chat/chat.ts";
import type { ToolError } from "../chat/session-argument.ts";

export interface RecoveryChoice {
  readonly from: Restoration;
  readonly take: () => Promise<ToolError | null>;
  /** [RE55] */
  readonly dismiss: () => Promise<ToolError | null>;
}

interface ListedSession {
  readonly session: string;
  readonly title: string;
  readonly diedMsAgo: number;
  readonly cause: string;
  readonly project: string;
  readonly machine: string;
}

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

  /** Pulls at once: a new chat knows no other machine. @returns "unreachable" if that fails */
  static async open(
    chat: Chat,
    session: Session,
    idOrPrefix: string | undefined,
  ): Promise<OtherSessions | "unreachable" | null> {
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

  async #pull(idOrPrefix: string | undefined): Promise<boolean> {
    const { mirror } = this.#context;
    const project = await this.#project();
    const ofProject = project === null ? ok(null) : await pullSome(mirror, { project });
    // A prefix can only match a session that is known here.
    const id = Id.safeParse(idOrPrefix);
    const ofNamed = id.success ? await pullSome(mirror, { session: id.data }) : ok(null);
    return ofProject.ok && ofNamed.ok;
  }

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

  /** [RE24] Newest of the chat's project. */
  async newest(): Promise<RecoveryChoice | null> {
    const chatProject = { root: this.#session.project, project: await this.#project() };
    const from = await offerNewest(this.#context, await this.#all(), chatProject);
    return from && this.#choice(from);
  }

  async named(id: string): Promise<RecoveryChoice | null> {
    const row = findById(this.#context, id);
    if (!row) return null;
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
 * [RE23] A succession in a workspace needs the session's lease; without a connection, this
 * machine's process table decides.
 */
export async function heldByAnother(chat: Chat, session: Session, dead: string): Promise<ToolError | null> {
  const member = await chat.team?.chatFor(session);
  const opened = member?.ok ? member.value.openedLink : null;
  if (!opened?.link.self) return null;
  const lease = await acquireLease(opened.link, dead);
  const holder = lease.ok ? null : lease.error.holder;
  // The dead chat may still count as alive.
  if (holder === null || [dead, session.id].includes(holder.chat)) return null;
  return { code: "not_to_take", message: heldMessage(dead, opened.machine, holder) };
}
