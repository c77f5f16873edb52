import type { Sql } from "../../shared/sql.ts";
import { isDescendant, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as clients from "../sessions/clients.ts";
import * as sessions from "../sessions/sessions.ts";
import * as z from "zod";
import { adapterOf } from "../../clients/adapters.ts";
import { sessionVariables } from "../../clients/hook-variables.ts";
import { idOf } from "../sessions/entries.ts";

interface CallerOptions {
  readonly runtime: Runtime;
  readonly server: ProcessIdentity;
  readonly client: ProcessIdentity | null;
}

/** The session that hooks, the environment or the calls themselves name; none is made here. */
export class CallerSession {
  readonly #options: CallerOptions;
  readonly #clientName: () => string | null;
  #client: ProcessIdentity | null;
  #hasFoundClient = false;
  /** The client's id of the session in which it has made the last call that names one. */
  #named: string | null = null;

  /** @param clientName of the handshake */
  constructor(options: CallerOptions, clientName: () => string | null) {
    this.#options = options;
    this.#clientName = clientName;
    this.#client = options.client;
  }

  get client(): ProcessIdentity | null {
    return this.#client;
  }

  /** [ID20] @param meta of the request that makes a call */
  name(meta: unknown): void {
    this.#named = namedSession(meta, this.#clientName()) ?? this.#named;
  }

  find(sql: Sql): string | null {
    const named = this.#named === null ? null : this.#findNamed(sql, this.#named);
    if (named !== null) return named;
    // This server is that of one session of its client, and no call has said of which.
    if (this.#client && hasThreads(this.#clientName()) && clients.hasSeveral(sql, this.#client)) return null;
    const known = this.#client && clients.current(sql, this.#client);
    return known?.session ?? this.#findGiven(sql);
  }

  #findGiven(sql: Sql): string | null {
    const given = this.#envSessionId();
    const found = given === null || this.#hasFoundClient ? null : this.#findWrappedClient(sql, given);
    return (found && clients.current(sql, found)?.session) ?? given;
  }

  /** Before there is a store, only the environment names the session. */
  served(): string | null {
    return this.#options.runtime.store.read((sql) => this.find(sql), this.#envSessionId());
  }

  /** Null for one that no hook has reported. */
  #findNamed(sql: Sql, named: string): string | null {
    const id = (this.#client && clients.sessionOf(sql, this.#client, named)) ?? named;
    return sessions.get(sql, id) === null ? null : id;
  }

  /** [ID14] The parent may be a wrapper; the client is then the owner that hooks recorded. */
  #findWrappedClient(sql: Sql, given: string): ProcessIdentity | null {
    const { runtime, server } = this.#options;
    const owner = sessions.get(sql, given)?.owner ?? null;
    if (!owner || !isDescendant(runtime.processes, server.pid, owner)) return null;
    this.#hasFoundClient = true;
    return (this.#client = owner);
  }

  #envSessionId(): string | null {
    return envSessionId(this.#options.runtime.env, this.#clientName());
  }
}

/**
 * [ID17] A client started from another's chat inherits that chat's variable, so the client's own
 * name decides which one counts: the handshake has it, or a name that begins with it.
 */
function envSessionId(env: NodeJS.ProcessEnv, clientName: string | null): string | null {
  const own = sessionVariables.find(([client]) => clientName?.startsWith(client));
  const given = env[own?.[1] ?? "CLAUDE_CODE_SESSION_ID"];
  return given === undefined ? null : idOf(given);
}

const NamedSession = z.object({ sessionId: z.string() });

/** @param clientName of the handshake: whether one process of it works in several sessions */
function hasThreads(clientName: string | null): boolean {
  return clientName !== null && adapterOf(clientName.replace(/-mcp-client$/, ""))?.hasThreads === true;
}

/** [ID19] The session in which a client with threads makes a call. @param meta of the request */
function namedSession(meta: unknown, clientName: string | null): string | null {
  const named = hasThreads(clientName) ? NamedSession.safeParse(meta).data : undefined;
  return named ? idOf(named.sessionId) : null;
}
