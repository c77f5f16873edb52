import { isAbsolute } from "node:path";
import type { Readings } from "../../contract/readings.ts";
import { uuidv7 } from "../../shared/ids.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Recent } from "../checkpoints/capture.ts";
import type { ProcessIdentity } from "../processes.ts";
import { brief } from "../recovery/brief.ts";
import { offer } from "../recovery/recover.ts";
import type { Runtime } from "../runtime.ts";
import * as clients from "../sessions/clients.ts";
import { projectRoot } from "../sessions/git-head.ts";
import * as sessions from "../sessions/sessions.ts";
import { estimateLong } from "../signals/calibrate.ts";
import * as notices from "../store/notices.ts";
import { isPaused } from "../store/pause.ts";
import type { ToolError } from "./tool.ts";

export interface ChatOptions {
  readonly runtime: Runtime;
  /** This process. */
  readonly server: ProcessIdentity;
  /** The process that started it. */
  readonly client: ProcessIdentity | null;
  /** As the client names itself in the handshake. */
  readonly clientName: () => string | null;
}

export interface Wanted {
  readonly session?: string | undefined;
  readonly project?: string | undefined;
}

/**
 * The chat behind one MCP process: which session a call belongs to. It is the one that hooks have seen in this client, else the one
 * in the environment, else one that the first call mints (its life is this process's life). [MC3] A call may name any session by handle.
 */
export class Chat {
  readonly runtime: Runtime;
  readonly recent: Recent = new Map();
  readonly #options: ChatOptions;
  /** Sessions minted by this process, by project ("" for none). */
  readonly #minted = new Map<string, string>();
  /** Tokens by session. */
  readonly #heard = new Map<string, number>();
  #last: string | null = null;
  #isOfferDue = true;

  constructor(options: ChatOptions) {
    this.#options = options;
    this.runtime = options.runtime;
  }

  /** Finds or makes the session and gives its sign of life. */
  enter(wanted: Wanted): Result<sessions.Session, ToolError> {
    const { project } = wanted;
    if (project !== undefined && !isAbsolute(project)) {
      return err({ code: "bad_project", message: `project must be an absolute path, not "${project}".` });
    }
    const now = this.runtime.now();
    if (this.runtime.store.read((sql) => isPaused(sql, now, project ?? null), false)) {
      return err({ code: "paused", message: "SHIM is paused: nothing is stored. `shim pause --off` ends it." });
    }
    const known = this.runtime.store.read((sql) => this.#find(sql, wanted), ok(null));
    if (!known.ok) return known;
    const sighting = this.#sighting(wanted, known.value);
    // Most calls find a session that was seen a moment ago: one more sign of life is not worth a write to the disk.
    if (known.value && isFresh(known.value, sighting, now)) return ok(known.value);
    return ok(this.runtime.store.write((sql) => sessions.seen(sql, now, sighting)));
  }

  /** The sessions that this process answers for, to be saved and detached when it ends. */
  served(): string[] {
    const hooked = this.runtime.store.read((sql) => this.#hooked(sql), null);
    return [...new Set([...(hooked ? [hooked] : []), ...this.#minted.values()])];
  }

  /** The session of this client as far as it is known without making one. */
  current(): string | null {
    return this.runtime.store.read((sql) => this.#hooked(sql), null) ?? this.#last;
  }

  /** [MC5] Once per process: where no hook has told the chat of a session that died, its first tool answer does. */
  offerOnce(sessionId: string): string | null {
    if (!this.#isOfferDue) return null;
    this.#isOfferDue = false;
    const session = this.runtime.store.read((sql) => sessions.get(sql, sessionId), null);
    const found = session ? offer(this.runtime, session.id, { project: session.project }) : null;
    return found ? brief(found.from, this.runtime.now(), this.runtime.config.recovery) : null;
  }

  /** [SI27] Counts what has passed between this chat and SHIM; a client that measures its context is not asked for more. */
  hear(sessionId: string, text: string): void {
    const before = this.#heard.get(sessionId) ?? 0;
    const tokens = this.runtime.store.read(
      (sql) => estimateLong(sql, text, sessions.get(sql, sessionId)?.model ?? null),
      0,
    );
    this.#heard.set(sessionId, before + tokens);
  }

  /** The least that the context of the session holds, as far as this process has seen it. */
  heard(session: sessions.Session): Readings {
    const tokens = this.#heard.get(session.id);
    if (tokens === undefined || session.origin !== "handle") return {};
    return { contextTokens: { value: tokens, source: "estimated", at: this.runtime.now() } };
  }

  notices(): string[] {
    return this.runtime.store.read((sql) => notices.list(sql), []).map((notice) => notice.text);
  }

  #find(sql: Sql, wanted: Wanted): Result<sessions.Session | null, ToolError> {
    if (wanted.session !== undefined) return this.#named(sql, wanted.session);
    const id = this.#hooked(sql) ?? this.#minted.get(wanted.project ?? "");
    return ok(sessions.get(sql, id ?? this.#mint(wanted.project)));
  }

  #sighting(wanted: Wanted, known: sessions.Session | null): sessions.Sighting {
    const id = known?.id ?? this.current() ?? this.#mint(wanted.project);
    const isMinted = known ? known.origin === "handle" : this.#isMinted(id);
    const folder = this.#folder(wanted, isMinted);
    return {
      id,
      client: known?.client ?? this.#options.clientName() ?? "unknown",
      project: folder && projectRoot(folder),
      cwd: folder,
      isAlive: true,
      ...this.#originOf(isMinted),
    };
  }

  #folder(wanted: Wanted, isMinted: boolean): string | null {
    return wanted.project ?? (isMinted ? null : (this.runtime.env["CLAUDE_PROJECT_DIR"] ?? null));
  }

  #originOf(isMinted: boolean): Pick<sessions.Sighting, "origin" | "owner"> {
    const { server, client } = this.#options;
    return isMinted ? { origin: "handle", owner: server } : { origin: "startup", owner: client };
  }

  #named(sql: Sql, handle: string): Result<sessions.Session | null, ToolError> {
    const [session, other] = handle.length < 8 ? [sessions.get(sql, handle)] : sessions.byPrefix(sql, handle);
    if (session && (!other || session.id === handle)) return ok(session);
    const why = other ? "is the beginning of several sessions" : "is not a session that SHIM knows";
    return err({
      code: "unknown_session",
      message: `"${handle}" ${why}. Leave "session" out, or take it from an earlier answer.`,
    });
  }

  #hooked(sql: Sql): string | null {
    const { client } = this.#options;
    const current = client ? clients.current(sql, client) : null;
    return current?.sessionId ?? this.runtime.env["CLAUDE_CODE_SESSION_ID"] ?? null;
  }

  /** The session of this project that the process has made; without a project the one used last. */
  #mint(project: string | undefined): string {
    const known = project === undefined ? this.#last : (this.#minted.get(project) ?? this.#adopt(project));
    const id = known ?? `ses_${uuidv7(this.runtime.now(), this.runtime.random(16))}`;
    if (!known) this.#minted.set(project ?? "", id);
    this.#last = id;
    return id;
  }

  /** The chat's first calls named no project: the first one named is theirs. */
  #adopt(project: string): string | null {
    const id = this.#minted.get("") ?? null;
    if (id === null) return null;
    this.#minted.delete("");
    this.#minted.set(project, id);
    return id;
  }

  #isMinted(id: string): boolean {
    return [...this.#minted.values()].includes(id);
  }
}

/** Signs of life nearer to each other than this tell nothing new, in ms. */
const freshMs = 30_000;

function isFresh(known: sessions.Session, sighting: sessions.Sighting, now: number): boolean {
  const isSamePlace = !sighting.project || sighting.project === known.project;
  return isOpen(known) && isSameOwner(known, sighting) && isSamePlace && Math.abs(now - known.lastSeenAt) < freshMs;
}

function isOpen({ endedAt, detachedAt, recovery }: sessions.Session): boolean {
  return endedAt === null && detachedAt === null && recovery === null;
}

function isSameOwner(known: sessions.Session, sighting: sessions.Sighting): boolean {
  return known.owner?.pid === sighting.owner?.pid && known.owner?.start === sighting.owner?.start;
}
