import { isOfWorker } from "../../../clients/adapter/attendance.ts";
import { isAbsolute } from "node:path";
import type { OpenedLink } from "../../../coordinator-client/client.ts";
import { withEarlierDeath } from "../../../machine/recovery/incomplete/deaths.ts";
import { searchFor } from "../../../machine/recovery/incomplete/detect.ts";
import { offer } from "../../../machine/recovery/offers.ts";
import * as clients from "../../../machine/sessions/clients.ts";
import { pathOf } from "../../../machine/sessions/entries.ts";
import * as journal from "../../../machine/sessions/journal.ts";
import * as life from "../../../machine/sessions/life/row.ts";
import { isSessionPaused } from "../../../machine/sessions/session-settings.ts";
import {
  isHeldByAnother,
  newSessionId,
  sessionInCall,
  sessionInEnv,
  findSessionArgument,
  threadsOf,
} from "../../../machine/sessions/session-identity.ts";
import { noteProject } from "../../../machine/sessions/projects.ts";
import * as sessions from "../../../machine/sessions/sessions.ts";
import type { Team } from "../../../machine/team/team.ts";
import { isDescendant, isSameProcess, type ProcessIdentity } from "../../../platform/processes.ts";
import { label } from "../../../redaction/redact.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { isWithin } from "../../../shared/known-time.ts";
import { ok, type Result, fail } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import { projectRoot } from "../../../snapshots/git-head.ts";
import * as notices from "../../../store/notices.ts";
import { isPaused } from "../../../store/pause.ts";
import { claimOf } from "../../../machine/sessions/recoveries.ts";

export interface ClientInfo {
  readonly name: string;
  readonly version: string;
}

export interface ChatOptions {
  readonly runtime: Runtime;
  readonly server: ProcessIdentity;
  /** The client, or a wrapper that the client started. */
  readonly client: ProcessIdentity | null;
  /** Name and version that the client gave in the handshake. */
  readonly clientInfo: () => ClientInfo | null;
  readonly team: ChatTeam | null;
  readonly isRestart?: boolean;
}

/** `work` is a sign of life, `look` is none; `delete` works even while SHIM is paused. */
export type Purpose = "work" | "look" | "delete";

export interface SessionTarget {
  readonly session?: string | undefined;
  readonly project?: string | undefined;
  readonly start?: boolean | undefined;
}

/**
 * The chat behind one MCP process. A call belongs to the session that hooks saw in this client,
 * else to the one in the environment, else to a minted one. A call may name any session.
 */
export class Chat {
  readonly runtime: Runtime;
  readonly team: ChatTeam | null;
  readonly #options: ChatOptions;
  readonly #minted: MintedSessions;
  /** Sessions of other chats that calls have continued. */
  readonly #continued = new Set<string>();
  #clientInfo: ClientInfo | null = null;
  #client: ProcessIdentity | null;
  #hasFoundClient = false;
  /** The client's id of the session in which it has made the last call that names one. */
  #namedByClient: string | null = null;
  /** Tool of the last call; empty: there was none. */
  #calledTool = "";
  /** Sessions to which nothing is offered any more. */
  readonly #offered = new Set<string>();

  constructor(options: ChatOptions) {
    this.#options = options;
    this.runtime = options.runtime;
    this.team = options.team;
    this.#client = options.client;
    this.#minted = new MintedSessions(options.runtime);
    if (!options.isRestart) return;
    // Minted sessions survive a restart of the host; nothing is offered a second time.
    const open = this.runtime.store.read((sql) => sessions.listOpenOf(sql, options.server), []);
    this.#minted.adoptOpen(open);
    for (const { id } of open) this.cancelOffer(id);
  }

  get client(): ProcessIdentity | null {
    return this.#client;
  }

  /** The first one counts. */
  setClientInfo(clientInfo: ClientInfo): void {
    this.#clientInfo ??= clientInfo;
  }

  /** @param meta of the request that makes the call */
  setCaller(tool: string, meta: unknown): void {
    this.#calledTool = tool;
    this.#namedByClient = sessionInCall(meta, this.#clientName) ?? this.#namedByClient;
  }

  /** The session that hooks, the environment or the calls themselves name; none is made here. */
  #findCaller(sql: Sql): string | null {
    const named = this.#namedByClient === null ? null : this.#findNamedByClient(sql, this.#namedByClient);
    if (named !== null) return named;
    const threads = this.#threads;
    const inEnv = threads === "server-each" ? this.#findOwnInEnv(sql) : null;
    if (inEnv !== null) return inEnv;
    const open = this.#openThreads(sql);
    // This server is that of one of them, and nothing has said of which.
    if (open.length > 1 && threads === "server-each") return null;
    const known = this.#client && clients.current(sql, this.#client);
    return this.#findCalling(sql, open) ?? known?.session ?? this.#findGiven(sql);
  }

  /** A chat from which the client was started has left it a variable of its own. */
  #findOwnInEnv(sql: Sql): string | null {
    const given = this.#envSessionId();
    if (given === null || !this.#client) return null;
    const id = clients.sessionOf(sql, this.#client, given) ?? given;
    const owner = sessions.get(sql, id)?.owner ?? null;
    return owner === null || isSameProcess(owner, this.#client) ? id : null;
  }

  /** By the event before the call, of which none has said its end. */
  #findCalling(sql: Sql, open: readonly string[]): string | null {
    if (open.length < 2 || this.#calledTool === "") return null;
    const isCalling = (id: string): boolean =>
      life.read(sql, id)?.calls.some(({ name }) => name.endsWith(this.#calledTool)) === true;
    return open.find(isCalling) ?? null;
  }

  #openThreads(sql: Sql): string[] {
    return this.#client && this.#threads !== null ? clients.openIn(sql, this.#client) : [];
  }

  get #threads(): ReturnType<typeof threadsOf> {
    return threadsOf(this.#clientName);
  }

  #findGiven(sql: Sql): string | null {
    const given = this.#envSessionId();
    const found = given === null || this.#hasFoundClient ? null : this.#findWrappedClient(sql, given);
    return (found && clients.current(sql, found)?.session) ?? given;
  }

  /** Before there is a store, only the environment names the session. */
  #callerSession(): string | null {
    return this.runtime.store.read((sql) => this.#findCaller(sql), this.#envSessionId());
  }

  /** Null for one that no hook has reported. */
  #findNamedByClient(sql: Sql, named: string): string | null {
    const id = (this.#client && clients.sessionOf(sql, this.#client, named)) ?? named;
    return sessions.get(sql, id) === null ? null : id;
  }

  /** The parent may be a wrapper; the client is then the owner that hooks recorded. */
  #findWrappedClient(sql: Sql, given: string): ProcessIdentity | null {
    const owner = sessions.get(sql, given)?.owner ?? null;
    if (!owner || !isDescendant(this.runtime.processes, this.#options.server.pid, owner)) return null;
    this.#hasFoundClient = true;
    return (this.#client = owner);
  }

  #envSessionId(): string | null {
    return sessionInEnv(this.runtime.env, this.#clientName);
  }

  get #clientName(): string | null {
    return this.#info()?.name ?? null;
  }

  enter(target: SessionTarget, purpose: Purpose = "work"): Result<sessions.Session> {
    const found = this.#findStored(target, purpose);
    if (!found.ok) return found;
    const isOfAnother = target.session !== undefined;
    if (found.value && isOfAnother && purpose !== "work") return ok(found.value);
    if (found.value && isOfAnother) this.#continued.add(found.value.id);
    return ok(
      this.#recordSighting(found.value, { ...this.#sighting(target, found.value), isAlive: purpose === "work" }),
    );
  }

  /** One read, since every call begins with it. */
  #findStored(target: SessionTarget, purpose: Purpose): Result<sessions.Session | null> {
    const { project } = target;
    if (project !== undefined && !isAbsolute(project)) {
      return fail("bad_project", `project must be an absolute path, not "${project}".`);
    }
    const folder = this.#folder(target, false);
    const root = folder && projectRoot(folder);
    const now = this.runtime.now();
    return this.runtime.store.read<Result<sessions.Session | null>>((sql) => {
      if (purpose === "delete") return this.#findSession(sql, target);
      if (isPaused(sql, now, root)) return paused;
      const found = this.#findSession(sql, target);
      // The chat may have left the folder that the client was started in.
      return found.ok && found.value && isSessionPaused(sql, now, found.value) ? paused : found;
    }, ok(null));
  }

  #recordSighting(known: sessions.Session | null, sighting: sessions.Sighting): sessions.Session {
    const now = this.runtime.now();
    if (known && isFresh(known, sighting, now) && this.#isFree(known.id)) return known;
    return this.runtime.store.write((sql) => {
      if (sighting.isAlive) withEarlierDeath(sql, this.runtime, known);
      if (known === null && sighting.project) noteProject(sql, sighting.project);
      return sessions.recordSighting(sql, now, sighting);
    });
  }

  #isFree(session: string): boolean {
    return this.runtime.store.read((sql) => claimOf(sql, session), null) === null;
  }

  /** Open sessions of a client that works in several at once, those of its other servers too. */
  threads(): string[] {
    return this.runtime.store.read((sql) => this.#openThreads(sql), []);
  }

  /** Sessions of this server alone. */
  servedSessions(): string[] {
    const hooked = this.#threads === "one-server" ? null : this.#callerSession();
    const continued = [...this.#continued].filter((id) => {
      const owner = this.runtime.store.read((sql) => sessions.get(sql, id)?.owner, null);
      return this.#ownProcesses().some((one) => isSameProcess(one, owner));
    });
    const ids = [...new Set([...(hooked ? [hooked] : []), ...this.#minted.ids(), ...continued])];
    // The environment names a session before its first event.
    return this.runtime.store.read((sql) => ids.filter((id) => sessions.get(sql, id) !== null), []);
  }

  #ownProcesses(): (ProcessIdentity | null)[] {
    return [this.#options.server, this.#client];
  }

  current(): string | null {
    return this.#callerSession() ?? this.#minted.last;
  }

  /** Gives a chat that begins its own session where another chat has the present one. */
  begin(target: SessionTarget): Result<sessions.Session> {
    const { session, project, start } = target;
    const present = this.#minted.findFor(project) ?? this.#minted.last;
    const isMinted = session === undefined && present !== null && this.#callerSession() === null;
    if (start && isMinted && this.runtime.store.read((sql) => sessions.hasContent(sql, present), false))
      this.#minted.begin(project);
    return this.enter(target, "look");
  }

  cancelOffer(sessionId: string): void {
    this.#offered.add(sessionId);
  }

  /** The first answer to a session of this process makes the offer where no hook does. */
  offerOnce(sessionId: string): string | null {
    const isOwn = this.#minted.has(sessionId) || this.#callerSession() === sessionId;
    if (this.#offered.has(sessionId) || !isOwn) return null;
    this.cancelOffer(sessionId);
    const session = this.runtime.store.read((sql) => {
      // A hook that saw the session's start makes the offers itself.
      return journal.newest(sql, sessionId, ["start"], 1).length > 0 ? null : sessions.get(sql, sessionId);
    }, null);
    const found = session ? offer(this.runtime, session.id, searchFor(session)) : null;
    return found && found.brief.text(this.runtime.config.recovery);
  }

  notices(): string[] {
    return this.runtime.store.read((sql) => notices.list(sql), []).map((notice) => notice.text);
  }

  #findSession(sql: Sql, target: SessionTarget): Result<sessions.Session | null> {
    if (target.session !== undefined) return this.#findNamed(sql, target.session);
    const id = this.#findCaller(sql) ?? this.#minted.findFor(target.project);
    return ok(sessions.get(sql, id ?? this.#minted.findOrMake(target.project)));
  }

  #sighting(target: SessionTarget, known: sessions.Session | null): sessions.Sighting {
    const id = known?.id ?? this.current() ?? this.#minted.findOrMake(target.project);
    const isMinted = known ? known.origin === "handle" : this.#minted.has(id);
    return {
      id,
      ...this.#clientFields(known, isMinted),
      isAlive: true,
      ...this.#folderFields(target, isMinted),
      ...(isMinted ? { origin: "handle", owner: this.#options.server } : { origin: "startup", owner: this.#client }),
      // Taking the session of another living client would end it with this process.
      ...(isHeldByAnother(this.runtime, known, this.#ownProcesses()) ? { owner: null } : {}),
    };
  }

  #info(): ClientInfo | null {
    return this.#clientInfo ?? this.#options.clientInfo();
  }

  #clientFields(
    known: sessions.Session | null,
    isMinted: boolean,
  ): Pick<sessions.Sighting, "client" | "clientVersion"> {
    const info = this.#info();
    const client = known?.client ?? label(info?.name ?? "unknown");
    return isMinted && info ? { client, clientVersion: label(info.version) } : { client };
  }

  #folderFields(target: SessionTarget, isMinted: boolean): Pick<sessions.Sighting, "project" | "cwd"> {
    const folder = this.#folder(target, isMinted || target.session !== undefined);
    // Redacted first: resolving a path may remove what makes a secret recognizable.
    const cwd = folder && pathOf(folder);
    return { project: cwd && projectRoot(cwd), cwd };
  }

  #folder(target: SessionTarget, isMinted: boolean): string | null {
    return target.project ?? (isMinted ? null : (this.runtime.env["CLAUDE_PROJECT_DIR"] ?? null));
  }

  #findNamed(sql: Sql, handle: string): Result<sessions.Session | null> {
    const found = findSessionArgument(sql, handle);
    if (!found.ok || found.value) return found;
    return fail(
      "unknown_session",
      `"${handle}" is not a session that SHIM knows. Leave "session" out, or take it from an earlier answer.`,
    );
  }
}

const paused = fail("paused", "SHIM is paused: nothing is stored. `shim doctor` says how to end that.");

/** Signs of life closer together than this are not stored, in ms. */
const freshMs = 30_000;

function isFresh(known: sessions.Session, sighting: sessions.Sighting, now: number): boolean {
  const isSameProject = !sighting.project || sighting.project === known.project;
  const isSameOwner = sighting.owner === null || isSameProcess(known.owner, sighting.owner);
  return known.ending === null && isSameOwner && isSameProject && isWithin(now - known.lastSeenAt, freshMs);
}

/** One session per project, and one for calls without a project. */
class MintedSessions {
  readonly #runtime: Pick<Runtime, "now" | "random">;
  /** Keyed by project; "" for none. */
  readonly #ids = new Map<string, string>();
  /** Those of chats that were followed by another one of the same project. */
  readonly #earlier = new Set<string>();
  #last: string | null = null;

  constructor(runtime: Pick<Runtime, "now" | "random">) {
    this.#runtime = runtime;
  }

  /** @param open in the order of their creation */
  adoptOpen(open: readonly sessions.Session[]): void {
    for (const { id, project } of open) this.#set(project ?? "", id);
    this.#last = open.at(-1)?.id ?? null;
  }

  get last(): string | null {
    return this.#last;
  }

  ids(): string[] {
    return [...this.#earlier, ...this.#ids.values()];
  }

  has(id: string): boolean {
    return this.ids().includes(id);
  }

  findFor(project: string | undefined): string | null {
    return this.#ids.get(project ?? "") ?? null;
  }

  findOrMake(project: string | undefined): string {
    const known = project === undefined ? this.#last : (this.findFor(project) ?? this.#adopt(project));
    if (known === null) return this.begin(project);
    this.#last = known;
    return known;
  }

  /** A new session, also where the project has one. */
  begin(project: string | undefined): string {
    const id = newSessionId(this.#runtime);
    this.#set(project ?? "", id);
    this.#last = id;
    return id;
  }

  #set(project: string, id: string): void {
    const before = this.#ids.get(project);
    if (before !== undefined) this.#earlier.add(before);
    this.#ids.set(project, id);
  }

  #adopt(project: string): string | null {
    const id = this.findFor(undefined);
    if (id === null) return null;
    this.#ids.delete("");
    this.#ids.set(project, id);
    return id;
  }
}

export interface ChatTeam extends Pick<Team, "chatFor" | "follow" | "end"> {
  reader(): OpenedLink | null | Promise<OpenedLink | null>;
}

/** The part of a team that the host needs for its machine. */
export type LoadedTeam = Pick<Team, "watches" | "onPulled" | "onHandedOver">;

export interface LateTeam extends ChatTeam {
  /** The team itself; null until its code is loaded. */
  readonly loaded: LoadedTeam | null;
}

/**
 * Loads the team's code, most of the program, on demand: the client waits for an answer.
 *
 * @param first the team that has all sessions of the client; null: this one has
 */
export function lateTeam(
  runtime: Runtime,
  server: ProcessIdentity,
  client: () => ProcessIdentity | null,
  onSyncHint: (isDeath: boolean) => void = () => undefined,
  first: () => LateTeam | null = () => null,
): LateTeam | null {
  // The worker is the member in the run of a task.
  if (!runtime.config.team.isEnabled || isOfWorker(runtime.env)) return null;
  let loading: Promise<Team> | null = null;
  let loaded: Team | null = null;
  const load = (): Promise<Team> =>
    (loading ??= import("./open-team.ts").then(
      ({ openTeam }) => (loaded = openTeam(runtime, server, client, undefined, onSyncHint)),
    ));
  return {
    get loaded() {
      return loaded;
    },
    chatFor: async (session) => (first() ?? (await load())).chatFor(session),
    follow: async (ids) => {
      if (loading !== null || ids.length > 0) await (await load()).follow(ids);
    },
    reader: async () => (first() ?? (await load())).reader(),
    end: async (ending) => {
      if (loading !== null) await (await loading).end(ending);
    },
  };
}
