import { isAbsolute } from "node:path";
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
    if (this.runtime.store.read((sql) => isPaused(sql, this.runtime.now(), project ?? null), false)) {
      return err({ code: "paused", message: "SHIM is paused: nothing is stored. `shim pause --off` ends it." });
    }
    return this.runtime.store.write((sql) => this.#enter(sql, wanted));
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

  notices(): string[] {
    return this.runtime.store.read((sql) => notices.list(sql), []).map((notice) => notice.text);
  }

  #enter(sql: Sql, wanted: Wanted): Result<sessions.Session, ToolError> {
    const named = wanted.session === undefined ? null : this.#named(sql, wanted.session);
    if (named && !named.ok) return named;
    const known = named?.value ?? null;
    const id = known?.id ?? this.#hooked(sql) ?? this.#mint(wanted.project);
    const isMinted = this.#isMinted(id) || known?.origin === "handle";
    const cwd = this.runtime.env["CLAUDE_PROJECT_DIR"] ?? null;
    const project = wanted.project ?? (isMinted ? null : cwd);
    return ok(
      sessions.seen(sql, this.runtime.now(), {
        id,
        client: known?.client ?? this.#options.clientName() ?? "unknown",
        origin: isMinted ? "handle" : "startup",
        project: project === null ? null : projectRoot(project),
        cwd: project,
        owner: isMinted ? this.#options.server : this.#options.client,
        isAlive: true,
      }),
    );
  }

  #named(sql: Sql, handle: string): Result<sessions.Session, ToolError> {
    const [session, other] = handle.length < 8 ? [sessions.get(sql, handle)] : sessions.byPrefix(sql, handle);
    if (session && (!other || session.id === handle)) return ok(session);
    const why = other ? "is the beginning of several sessions" : "is not a session that SHIM knows";
    return err({ code: "unknown_session", message: `"${handle}" ${why}. Leave "session" out, or take it from an earlier answer.` });
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
