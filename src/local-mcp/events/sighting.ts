import { hasUser } from "../../clients/adapter/attendance.ts";
import type { HookEvent } from "../../contract/hooks.ts";
import { withEarlierDeath } from "../../machine/recovery/incomplete/deaths.ts";
import * as clients from "../../machine/sessions/clients.ts";
import { digest, pathOf } from "../../machine/sessions/entries.ts";
import * as journal from "../../machine/sessions/journal.ts";
import { note } from "../../machine/sessions/ending/ending.ts";
import { noteProject } from "../../machine/sessions/projects.ts";
import { clearPausedFolder, recordSettings, transcriptMark } from "../../machine/sessions/session-settings.ts";
import { claimOf } from "../../machine/sessions/recoveries.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { isAlive, isSameProcess, type ProcessIdentity } from "../../platform/processes.ts";
import { label } from "../../redaction/redact.ts";
import * as notices from "../../store/notices.ts";
import type { Concern, Recording } from "./concern.ts";
import type { IdentifiedEvent } from "./known-session.ts";
import type { IncomingEvent } from "./read-event.ts";

const callKinds: Partial<Record<HookEvent, "start" | "end">> = {
  PreToolUse: "start",
  PostToolUse: "end",
  PostToolUseFailure: "end",
};

/** Without a client's id, the nth start of the same call and its nth end belong together. */
export function withCallId({ sql, incoming, known: { id } }: IdentifiedEvent): IncomingEvent {
  const { event, input } = incoming;
  const kind = callKinds[event];
  if (kind === undefined || input.tool_name === undefined) return incoming;
  const call = digest(JSON.stringify([input.agent_id, input.tool_name, input.tool_input]));
  const callId = `call_${call}.${journal.countKeys(sql, id, `${kind}:call_${call}.`)}`;
  return { ...incoming, input: { ...input, tool_use_id: callId } };
}

/** A client asked to resume an unknown session ends with that id, without having had it. */
export function isForeign({ sql, machine: { processes }, known: { row, parentId, client } }: IdentifiedEvent): boolean {
  const owner = (row ?? (parentId === null ? null : sessions.get(sql, parentId)))?.owner;
  if (!owner) return false;
  if (!client) return isAlive(processes, owner);
  return !isSameProcess(owner, client);
}

/** Events that only a living session sends; the others may arrive after its end. */
const signsOfLife: ReadonlySet<HookEvent> = new Set(["SessionStart", "UserPromptSubmit", "PreToolUse"]);

interface Sighted extends Pick<Recording, "session" | "before" | "claim"> {
  /** Change of the row by the event itself, which is stored with the other changes. */
  readonly sighting: sessions.SessionChange;
}

/** Whether the event opens a session again that is over, or that another chat has. */
function returnWith({ sql, machine, incoming, known: { id, row, has } }: IdentifiedEvent) {
  if (incoming.isLate || !signsOfLife.has(incoming.event)) return { before: row, claim: null, returns: false };
  const before = withEarlierDeath(sql, machine, row);
  const claim = has.claims > 0 ? claimOf(sql, id) : null;
  return { before, claim, returns: before !== null && (claim !== null || before.ending !== null) };
}

/** Enters the session of an event; one that is new, or returns, is stored at once. */
export function see(identified: IdentifiedEvent): Sighted {
  const { sql, incoming, known } = identified;
  const { isLate = false } = incoming;
  if (known.client && known.isEntered) enterSession(identified, known.client);
  if (!isLate && known.has.pauses > 0) clearPausedFolder(sql, known.id);
  const { before, claim, returns } = returnWith(identified);
  const sighting = sightingOf(identified);
  if (before && !returns) return { session: sessions.withChange(before, sighting), before, claim, sighting };
  if (!before && known.project !== null && !isLate) noteProject(sql, known.project);
  return { session: begin(identified, sighting, returns), before, claim, sighting: {} };
}

function begin(identified: IdentifiedEvent, sighting: ReturnType<typeof sightingOf>, returns: boolean) {
  const { sql, machine, incoming, known } = identified;
  if (returns) sessions.update(sql, known.id, { transcriptOffset: sighting.transcriptOffset });
  return sessions.recordSighting(sql, machine.now(), {
    ...sighting,
    id: known.id,
    transcriptOffset: returns ? 0 : transcriptMark(sql, known.id),
    client: incoming.client.name,
    origin: originOf(identified),
    parentId: known.parentId,
    isScripts: !hasUser(machine.env),
    owner: known.client,
    isAlive: returns,
    isWork: sighting.workedAt !== null,
  });
}

function sightingOf({ machine, incoming: { event, input }, known }: IdentifiedEvent) {
  const now = machine.now();
  const { model, client_version: clientVersion, transcript_path: path } = input;
  const isWork = event !== "Notification" && event !== "PermissionRequest";
  return {
    project: known.project,
    cwd: known.cwd,
    model,
    clientVersion,
    transcriptPath: path && pathOf(path),
    ...(path && known.row ? { transcriptOffset: sessions.offsetIn(known.row, path) } : {}),
    owner: known.client,
    lastSeenAt: now,
    workedAt: isWork ? now : null,
  };
}

/** A chat without a row that works already was there before a damaged store was replaced. */
function originOf({ sql, incoming, known: { row, parentId } }: IdentifiedEvent): string {
  if (parentId !== null) return "fork";
  const mayBeLost = row === null && incoming.event !== "SessionStart";
  return mayBeLost && notices.storeDamagedAt(sql) !== null ? "resume" : startSource(incoming);
}

export function startSource({ input }: IncomingEvent): string {
  return input.source ?? "startup";
}

/** A client with threads still works in the session that its user leaves. */
function enterSession(
  {
    sql,
    machine,
    incoming: {
      client: { threads },
      input,
    },
    known: { id, left },
  }: IdentifiedEvent,
  client: ProcessIdentity,
): void {
  const now = machine.now();
  clients.moveTo(sql, now, client, { givenId: input.session_id, session: id });
  // Windows gives no start time: this process may have reused the id of the session's client.
  if (!left || threads || client.start === "unknown") return;
  note(sql, machine, left.session, { left: { at: now, reason: "moved_on" } });
}

/** All changes of the session's row with one statement. */
export const row: Concern = {
  name: "row",
  isForLate: true,
  inTransaction: ({ sql, session }, { changes }) => sessions.update(sql, session.id, ...changes),
};

/** Model and effort of the session from now on. */
export const settings: Concern = {
  name: "settings",
  on: ["SessionStart", "effort"],
  isForLate: true,
  inTransaction({ sql, machine, incoming, session, arms }) {
    const level = incoming.input.effort?.level;
    const effort = level === undefined ? null : label(level);
    recordSettings(sql, machine.now(), session.id, machine.config, { model: session.model, effort }, arms);
  },
};
