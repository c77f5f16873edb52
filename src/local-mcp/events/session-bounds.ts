import { hasUser } from "../../clients/adapter/attendance.ts";
import { processKey } from "../../coordinator-client/local/process-key.ts";
import { brief } from "../../machine/recovery/brief/brief.ts";
import { missingFrom } from "../../machine/recovery/brief/compaction.ts";
import { closedContext, offeredLine, resumedLine, speakerOf } from "../../machine/recovery/brief/user-lines.ts";
import { acceptedContext, compactionOf, lostBrief, recordGivenBack } from "../../machine/recovery/given-context.ts";
import { recordDeaths } from "../../machine/recovery/incomplete/deaths.ts";
import { restore } from "../../machine/recovery/incomplete/restoration.ts";
import { adoptSuccession } from "../../machine/recovery/incomplete/successor.ts";
import { goneFolderLine, offer, offerable, offerPolicy, type Offer } from "../../machine/recovery/offers.ts";
import * as journal from "../../machine/sessions/journal.ts";
import { mayBeContinued, note } from "../../machine/sessions/ending/ending.ts";
import { interruptedReason, type Signs } from "../../machine/sessions/ending/judge.ts";
import { withSessionConfig } from "../../machine/sessions/session-settings.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { formatAgo } from "../../shared/format.ts";
import { beginningOf } from "../../shared/shorten.ts";
import { readHead } from "../../snapshots/git-head.ts";
import * as notices from "../../store/notices.ts";
import type { Concern, Recording, StartedSession } from "./concern.ts";
import { startSource } from "./sighting.ts";
import { isDead } from "../../machine/sessions/life/presence.ts";

/** The end of a session. What is reported after it changes what it was. */
export const end: Concern = {
  name: "end",
  on: ["SessionEnd", "ending"],
  isForLate: true,
  inTransaction(recording, { isNew }) {
    const { incoming, session } = recording;
    if (incoming.event === "SessionEnd") noteEnd(recording, signOf(recording));
    else if (isNew && session.ending !== null) noteEnd(recording, {});
  },
};

/** Hooks registered twice (settings and plugin) run at each start; only the first answers. */
export const start: Concern = {
  name: "start",
  on: ["SessionStart"],
  isForLate: true,
  inTransaction({ sql, machine, incoming, known, session, before, claim }, draft) {
    const { isLate = false } = incoming;
    const { id } = session;
    const source = startSource(incoming);
    // A person continues the run, unless its client has just compacted the conversation.
    if (session.isScripts && source !== "compact" && hasUser(machine.env))
      sessions.update(sql, id, { isScripts: false });
    const git = known.project === null ? null : readHead(known.project);
    const details = {
      ...(git ? { git } : {}),
      ...(isLate ? ({ isUndelivered: true } as const) : {}),
    };
    const [last] = journal.newest(sql, id, ["compacting", "end", "detached"], 1);
    const key = `start:${source}:${known.client ? processKey(known.client) : ""}:${last?.seq ?? 0}`;
    const isFirst = journal.append(sql, id, machine.now(), key, { kind: "start", source, ...details });
    if (!isFirst || isLate) return;
    // A spooled start is applied by a process with another environment.
    adoptSuccession(sql, machine.env, id);
    draft.start = { session, before, claim, source };
  },
};

/** The client was asked to end, or a run without a user is over. */
const askedReason = "other";

/** Any other reason names what the user has done. */
function signOf({ machine, incoming: { input, client } }: Recording): Signs {
  const { reason = askedReason } = input;
  const isScripts = !hasUser(machine.env);
  const seen = { at: machine.now(), reason, ...(isScripts ? { isScripts } : {}) };
  if (reason === askedReason) return { asked: seen };
  return reason === client.endReason ? { exit: seen } : { left: seen };
}

/** One that was cut off is detached or closed, and may be continued. */
function noteEnd({ sql, machine, session }: Recording, seen: Signs): void {
  const ending = note(sql, machine, session.id, seen);
  if (ending === null || ending.how === "detached") return;
  const { how, at, reason, isOpen } = ending;
  const [start] = journal.newest(sql, session.id, ["start"], 1);
  const entry =
    how === "ended" ? ({ kind: "end", reason } as const) : ({ kind: "detached", reason: wordOf(how, isOpen) } as const);
  // Two hooks may report one end.
  journal.append(sql, session.id, at, `over:${start?.seq ?? 0}:${reason}:${entry.kind}`, entry);
  note(sql, machine, session.id, {});
}

function wordOf(how: "closed" | "died", isOpen: boolean): string {
  if (how === "died") return interruptedReason;
  return isOpen ? "closed_open" : "closed";
}

const maxNoticeChars = 250;

export interface StartAnswer {
  readonly context: string | null;
  readonly line: string | null;
}

export const emptyStart: StartAnswer = { context: null, line: null };

/** Empty if there is nothing to recover. A scripted run gets no line for a user. */
export function startSession(machine: Runtime, started: StartedSession): StartAnswer {
  const runtime = withSessionConfig(machine, started.session.id);
  recordDeaths(runtime, () => true);
  const { context, line } = startContext(runtime, started);
  const withCommand = (text: string): string => withShimCommand(text, () => shimCommand(runtime));
  const warnings = runtime.store.read((sql) => notices.list(sql), []).map((notice) => `SHIM notice: ${notice.text}`);
  const all = [beginningOf(warnings.join("\n"), maxNoticeChars), context ?? ""]
    .map(withCommand)
    .filter((part) => part !== "");
  return {
    context: all.length > 0 ? all.join("\n\n") : null,
    line: line === null || !hasUser(runtime.env) ? null : withCommand(line),
  };
}

function startContext(runtime: Runtime, started: StartedSession): StartAnswer {
  switch (started.source) {
    case "startup":
      return offerAnswer(runtime, started);
    case "resume":
      return resumedAnswer(runtime, started);
    case "compact":
      return { context: compactedContext(runtime, started), line: null };
    default:
      return emptyStart;
  }
}

function offerAnswer(runtime: Runtime, { session }: StartedSession): StartAnswer {
  const policy = offerPolicy(runtime, session.id);
  if (policy === "mention") return { context: pointerLine(runtime, session), line: null };
  if (policy !== "offer") return emptyStart;
  const { id, project, client } = session;
  const answer = (): StartAnswer => {
    const found = offer(runtime, id, { project });
    if (!found) return { context: null, line: goneFolderLine(runtime, id, project) };
    const { brief: composed, more } = found;
    const offered = { ...composed.from, more };
    const line = runtime.store.read((sql) => offeredLine(sql, runtime, offered, client), null);
    return { context: offeredContext(runtime, found), line };
  };
  const options = { counts: ({ context }: StartAnswer) => context !== null, session: () => id };
  return runtime.durations.time("shim_recovery_duration_seconds", answer, options);
}

function offeredContext(runtime: Runtime, { brief: { from, text }, more }: Offer): string {
  if (!mayBeContinued(from.session)) return closedContext(from, runtime.now(), more);
  const others = more > 0 ? `\n${more} more incomplete: \`shim sessions --incomplete\`.` : "";
  return text(runtime.config.recovery) + others;
}

/** Gives a script one line; the offer stays open for a chat with a user. */
function pointerLine(runtime: Runtime, { id, project }: sessions.Session): string | null {
  const dead = offerable(runtime, { project, except: id })[0]?.session;
  if (!dead || !mayBeContinued(dead)) return null;
  const when = formatAgo(runtime.now(), dead.lastSeenAt);
  return `SHIM: session ${dead.id} of this project died ${when}. Only if your task is to continue its work: shim_check_recovery (of "${dead.id}", take true). Otherwise ignore this.`;
}

/** The client restores the conversation; SHIM adds the cause of death and later changes. */
function resumedAnswer(runtime: Runtime, { before, claim }: StartedSession): StartAnswer {
  if (!before) return emptyStart;
  if (claim?.is === "recovered") return continuedAnswer(before, claim.by);
  if (before.ending?.how === "ended" || !isDead(runtime, before)) return emptyStart;
  const isKnown = runtime.store.read((sql) => sessions.hasContent(sql, before.id), false);
  const from = isKnown ? restore(runtime, before) : null;
  if (!from) return emptyStart;
  const isClosed = before.ending?.how === "closed";
  const line = isClosed ? null : resumedLine(from, runtime.now());
  // The user has closed and reopened the chat, and nothing has changed.
  const isUnchanged = isClosed && from.files.every(({ now }) => now !== "changed" && now !== "missing");
  return { context: isUnchanged ? null : brief(from, runtime.now(), "resumed"), line };
}

function continuedAnswer({ client }: sessions.Session, by: string | null): StartAnswer {
  const knows = `${speakerOf(client)} knows.`;
  return {
    context: `SHIM: this session was continued by ${by === null ? "another session" : `session ${by}`} in the meantime; its work may be done already. Check before you repeat it.`,
    line: `SHIM: another chat has continued this one in the meantime; its work may be done already. ${knows}`,
  };
}

/** Where a summary follows, what it lacks is given back after it. */
function compactedContext(runtime: Runtime, { session }: StartedSession): string | null {
  const { keepsPrompts, showsSummary } = compactionOf(session.client);
  if (showsSummary) return null;
  const from = restore(runtime, session);
  const text = from && missingFrom(from, null, keepsPrompts);
  if (text !== null) runtime.store.write((sql) => recordGivenBack(sql, runtime.now(), session.id, text));
  const lost = runtime.store.read((sql) => lostBrief(sql, runtime, session.id), null);
  const given = [text, lost && acceptedContext(runtime, lost)].filter((one) => one !== null);
  return given.length === 0 ? null : given.join("\n\n");
}
