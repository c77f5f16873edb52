import type { Runtime } from "../runtime.ts";
import { named, offered, restorationOf, takeNamed } from "../recovery/remote-desk.ts";
import { findElsewhere, type Found, type Reach } from "../recovery/remote-find.ts";
import { reachOf } from "../recovery/remote-reach.ts";
import { clockOf } from "../recovery/remote-session.ts";
import { heldWords, hold } from "../recovery/remote-take.ts";
import type { Restoration } from "../recovery/restoration.ts";
import type { Session } from "../sessions/sessions.ts";
import type { TeamChat } from "../team/team-chat.ts";
import type { Chat } from "./chat.ts";
import type { ToolError } from "./tool.ts";

/** One that can be gone on with: its brief, and how that is done. */
export interface Choice {
  readonly from: Restoration;
  /** @returns why not */
  readonly take: () => Promise<ToolError | null>;
}

/** As `shim_check_recovery` lists it. */
interface Listed {
  readonly session: string;
  readonly title: string;
  readonly diedMsAgo: number;
  readonly cause: string;
  readonly project: string;
  readonly machine: string;
}

/** Sessions of other machines, as the chat of one session sees them. */
export class OtherSessions {
  readonly #reach: Reach;
  readonly #member: TeamChat;
  readonly #session: Session;
  #found: Promise<Found[]> | null = null;

  private constructor(reach: Reach, member: TeamChat, session: Session) {
    this.#reach = reach;
    this.#member = member;
    this.#session = session;
  }

  /**
   * Asks nobody while nothing of other machines is known here.
   *
   * @returns null: there are none; "unreachable": there are, and nobody can tell now whether they live
   */
  static async of(chat: Chat, session: Session): Promise<OtherSessions | "unreachable" | null> {
    if (!chat.team || !hasMirrors(chat.runtime)) return null;
    const member = await chat.team.of(session);
    if (!member.ok) return "unreachable";
    const reach = reachOf(chat.runtime, member.value.opened, session.id);
    if (!reach) return null;
    return reach.link.self === null ? "unreachable" : new OtherSessions(reach, member.value, session);
  }

  async list(limit: number): Promise<Listed[]> {
    const now = this.#reach.runtime.now();
    return (await this.#all()).slice(0, limit).map(({ row, fate }) => ({
      session: row.session,
      title: row.content.title ?? "untitled",
      diedMsAgo: now - clockOf(row)(row.content.lastSeenAt),
      cause: fate.isCertain ? "died" : "not heard of",
      project: row.content.project ?? "",
      machine: row.machine,
    }));
  }

  /** [RE24] The newest of the chat's project. */
  async newest(): Promise<Choice | null> {
    const root = this.#session.project;
    const project = root === null ? null : await this.#member.naming.project(root);
    const place = { root, project: project?.ok ? project.value : null };
    const from = await offered(this.#reach, await this.#all(), place);
    return from && this.#choice(from);
  }

  async named(id: string): Promise<Choice | null> {
    const row = named(this.#reach, id);
    if (!row) return null;
    // Files of another project would be compared with nothing that they have to do with.
    const root = this.#session.project;
    const project = root === null ? null : await this.#member.naming.project(root);
    const isSame = project?.ok === true && project.value === row.project;
    return this.#choice(await restorationOf(this.#reach, row, isSame ? root : null));
  }

  #choice(from: Restoration): Choice {
    const take = async (): Promise<ToolError | null> => {
      const row = named(this.#reach, from.session.id);
      const taken = row && (await takeNamed(this.#reach, row));
      return taken === null || taken.ok ? null : taken.error;
    };
    return { from, take };
  }

  async #all(): Promise<Found[]> {
    return (this.#found ??= findElsewhere(this.#reach));
  }
}

function hasMirrors({ store }: Runtime): boolean {
  return store.read((sql) => sql.all("SELECT 1 FROM remote_sessions LIMIT 1").length > 0, false);
}

/**
 * [RE23] In a workspace who goes on with a session holds its lease, also with one of this machine. Where nobody answers, what this machine knows of
 * its own processes is enough.
 *
 * @returns who has it
 */
export async function heldByAnother(chat: Chat, session: Session, dead: string): Promise<ToolError | null> {
  const member = await chat.team?.of(session);
  const opened = member?.ok ? member.value.opened : null;
  if (!opened?.link.self) return null;
  const held = await hold(opened.link, dead);
  const holder = held.ok ? null : held.error.holder;
  // Its own chat counts as alive for a while; that its process is gone is seen from here.
  if (holder === null || [dead, session.id].includes(holder.chat)) return null;
  return { code: "not_to_take", message: heldWords(dead, opened.machine, holder) };
}
