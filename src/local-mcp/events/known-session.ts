import type { HookEvent } from "../../contract/hooks.ts";
import * as clients from "../../machine/sessions/clients.ts";
import { pathOf } from "../../machine/sessions/entries.ts";
import { isPausedById } from "../../machine/sessions/session-settings.ts";
import { isHeldByAnother, newSessionId } from "../../machine/sessions/session-identity.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { identify as identifyProcess, type ProcessIdentity } from "../../platform/processes.ts";
import type { EventMachine } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { projectRoot } from "../../snapshots/git-head.ts";
import { isPaused } from "../../store/pause.ts";
import { sessions as sessionTable, type ClientSession } from "../../store/session-tables.ts";
import type { IncomingEvent } from "./read-event.ts";

/** An event's session as the store has it before the event. */
export interface KnownSession {
  /** SHIM's id of the session; another than the client's for a fork. */
  readonly id: string;
  /** Set when another live client uses the client's id: this session is a fork of it. */
  readonly parentId: string | null;
  /** Stored row; null: the event begins the session. */
  readonly row: sessions.Session | null;
  /** The client begins to work in the session. */
  readonly isEntered: boolean;
  /** Where the client has worked until now. */
  readonly left: ClientSession | null;
  readonly client: ProcessIdentity | null;
  /** Redacted. */
  readonly cwd: string | null;
  readonly project: string | null;
  readonly isPaused: boolean;
  readonly has: StoredParts;
}

/** An event whose session is known, in the transaction that records it. */
export interface IdentifiedEvent {
  readonly sql: Sql;
  readonly machine: EventMachine;
  /** Present time; that of the event is its machine's. */
  readonly readAt: number;
  readonly incoming: IncomingEvent;
  readonly known: KnownSession;
}

/** Parts that the store has, 1 or 0: no statement asks for another. */
export interface StoredParts {
  /** Pauses that run, or have ended. */
  readonly pauses: number;
  /** Decisions about the session. */
  readonly claims: number;
  /** Reservations of any chat. */
  readonly reservations: number;
  readonly conflicts: number;
  /** News that were not delivered. */
  readonly news: number;
  /** A task, whose budget counts. */
  readonly spending: number;
}

/**
 * Identifies the session of an event, and whether nothing is stored for it now.
 *
 * @param forkId of the session if it is a new fork; absent: a new id
 */
export function identify(sql: Sql, machine: EventMachine, incoming: IncomingEvent, forkId?: string): KnownSession {
  const { input, clientPid } = incoming;
  // Redacts first: resolving a path may remove what identifies a secret.
  const cwd = input.cwd ? pathOf(input.cwd) : null;
  const project = cwd === null ? null : projectRoot(cwd);
  const source = { client: identifyProcess(machine.processes, clientPid), cwd, project };
  const givenId = input.session_id;
  const first = readStored(sql, source.client, givenId);
  const newId = (): string => forkId ?? newSessionId(machine);
  const named = nameSession(sql, machine, incoming, { ...first, client: source.client, newId });
  const isFirst = named.id === (first.row?.id ?? givenId);
  const { row, has } = isFirst ? first : readStored(sql, null, named.id);
  const id = row ? named.id : (named.parentId ?? named.id);
  return {
    ...source,
    ...named,
    row,
    has,
    isPaused: has.pauses > 0 && isPausedAt(sql, machine.now(), { ...source, id }),
  };
}

type Stored = Pick<KnownSession, "row" | "left" | "has">;

interface StoredRow extends StoredParts {
  readonly leftId: string | null;
  readonly leftSession: string | null;
}

const storedQuery = `SELECT ${sessionTable.columns("s")}, c.givenId AS leftId, c.session AS leftSession,
    EXISTS (SELECT 1 FROM pauses) AS pauses,
    EXISTS (SELECT 1 FROM recoveries WHERE session = s.id) AS claims,
    EXISTS (SELECT 1 FROM team_files) AS reservations,
    EXISTS (SELECT 1 FROM team_conflicts WHERE session = s.id OR other = s.id) AS conflicts,
    EXISTS (SELECT 1 FROM team_news WHERE session = s.id AND deliveredAt IS NULL) AS news,
    EXISTS (SELECT 1 FROM task_spending WHERE session = s.id) AS spending
  FROM (SELECT 1) LEFT JOIN clients c ON c.boot = ? AND c.pid = ? AND c.start = ?
    LEFT JOIN sessions s ON s.id = iif(c.givenId = ?, c.session, ?)`;

/** The row of the client's session that has this id of the client, else of the session itself. */
function readStored(sql: Sql, client: ProcessIdentity | null, id: string): Stored {
  const { boot, pid, start } = client ?? { boot: "", pid: 0, start: "" };
  const [found] = sql.all<sessions.Session & StoredRow>(storedQuery, boot, pid, start, id, id);
  if (!found) throw new Error("one row of no table was not read");
  const { leftId, leftSession, pauses, claims, reservations, conflicts, news, spending, ...row } = found;
  return {
    row: row.id === null ? null : (sessionTable.decode([row])[0] ?? null),
    left: leftId === null || leftSession === null ? null : { givenId: leftId, session: leftSession },
    has: { pauses, claims, reservations, conflicts, news, spending },
  };
}

type Named = Pick<KnownSession, "id" | "parentId" | "isEntered" | "left">;

/** Events that show a client's session; a subagent of the session before may end later. */
const sessionSwitchEvents: ReadonlySet<HookEvent> = new Set(["SessionStart", "UserPromptSubmit"]);

/** An event that may come late, from a session already left, moves no client. */
function nameSession(
  sql: Sql,
  machine: EventMachine,
  { event, input: { session_id: givenId } }: IncomingEvent,
  { left, row, client, newId }: Stored & Pick<KnownSession, "client"> & { readonly newId: () => string },
): Named {
  const plain = { id: givenId, parentId: null, isEntered: false, left };
  if (!client) return plain;
  if (left?.givenId === givenId) return { ...plain, id: left.session };
  const fork = clients.sessionOf(sql, client, givenId);
  const isEntered = !left || sessionSwitchEvents.has(event);
  if (!isEntered) return { ...plain, id: fork ?? givenId };
  const isTaken =
    fork === null && row !== null && row.ending?.how !== "ended" && isHeldByAnother(machine, row, [client]);
  const id = isTaken ? newId() : (fork ?? givenId);
  return { id, parentId: isTaken || fork !== null ? givenId : null, isEntered, left };
}

/** Uses the session's folder for an event without one. */
export function isPausedAt(sql: Sql, at: number, { project, id }: Pick<KnownSession, "project" | "id">): boolean {
  return project === null ? isPausedById(sql, at, id) : isPaused(sql, at, project);
}
