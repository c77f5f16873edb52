import { causeOf, hasContent } from "../local-mcp/recovery/detect.ts";
import { restore, type Restoration } from "../local-mcp/recovery/restoration.ts";
import { redactAndClip } from "../local-mcp/sessions/entries.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { mayBeAlive } from "../platform/processes.ts";
import { redact } from "../redaction/redact.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { maxLineChars, RunState, isFull, isUnknownSession } from "../worker-runner/client/client-run.ts";
import { claudeCommand, clientAtLimit, otherCommand, type StartableClient } from "../worker-runner/client/command.ts";
import {
  briefFor,
  continueFrom,
  newSession,
  renderBrief,
  takeOver,
  type Continuation,
  interruptedText,
} from "../worker-runner/client/continuation.ts";
import { claudeOutput } from "../worker-runner/client/run-events.ts";
import type { AtLimit } from "../worker-runner/client/settings.ts";
import { classifyEnd, type EndEvidence } from "./auto-restarter.ts";
import { type NextRun, type NotRun, type ProgramRun, recordDeath, type DeathDeps } from "./supervised-program.ts";
import type { WatchedClaude } from "./supervisor-settings.ts";

export interface SupervisedClaudeOptions extends DeathDeps {
  readonly watched: WatchedClaude;
  /** Absolute working folder. */
  readonly folder: string;
}

const maxOutputChars = 2_000;

/** [SU7] [SU35] Runs Claude Code without a terminal; each session continues the one before. */
export function claudeRun(options: SupervisedClaudeOptions): NextRun {
  const { runtime, watched } = options;
  return ({ chat }) => {
    const last = runtime.store.read((sql) => {
      const id = [chat.session, chat.before].find((one) => one !== null && hasContent(sql, one)) ?? null;
      return id === null ? null : sessions.get(sql, id);
    }, null);
    const notRun = last && whyNotRun(last, runtime);
    if (notRun) return notRun;
    const restoration = last && restore(runtime, last);
    if (!restoration) return runClaude(options, newSession(runtime));
    const { atLimit } = watched;
    const other = chat.instead ? clientAtLimit(atLimit) : null;
    if (other && atLimit) return runOther(options, restoration, other, atLimit, chat.resetsAtMs ?? null);
    const isUnresumable = chat.isUnresumable && last.id === chat.session;
    return runClaude(
      options,
      continueFrom(runtime, restoration, isUnresumable ? "Claude Code cannot resume it" : null),
    );
  };
}

function runClaude(options: SupervisedClaudeOptions, continuation: Continuation): ProgramRun {
  const { watched, folder } = options;
  const { kind, session } = continuation;
  const state = new RunState(claudeOutput);
  const input = kind === "resume" ? interruptedText : promptFor(options, continuation);
  const before = kind === "brief" ? continuation.restoration.session.id : null;
  const chat = { session, before, isUnresumable: false };
  return {
    start: { ...claudeCommand(options, watched, continuation, input), cwd: folder, maxLineChars },
    prepare: () => takeOver(options, continuation),
    how: describeStart(continuation),
    chat,
    onLine: (line) => {
      const end = state.read(line).find((event) => event.kind === "ended");
      return end ? redactAndClip(end.text, maxOutputChars) : null;
    },
    onEnd: async (exit, wasAskedToEnd) => {
      await recordDeath(options, session);
      const { end } = state;
      const evidence = { exit, wasAskedToEnd, ...sessionEnd(options.runtime, session), result: end };
      const ending = classifyEnd({ ...evidence, limit: state.limit ?? evidence.limit });
      const isUnresumable = end !== null && (isUnknownSession(end) || isFull(end));
      // [CA51] Another client continues until the reset.
      const other = ending.kind === "limited" ? clientAtLimit(watched.atLimit) : null;
      if (!other || ending.kind !== "limited") return { ending, chat: { ...chat, isUnresumable } };
      const { resetsAtMs } = ending;
      return {
        ending: { ...ending, continuesIn: other.title },
        chat: { ...chat, isUnresumable, instead: other.name, resetsAtMs },
      };
    },
  };
}

/** End of a session and its usage limit, as its hooks have recorded them. */
function sessionEnd({ store, processes }: Runtime, id: string): Pick<EndEvidence, "isSessionOver" | "limit"> {
  return store.read<Pick<EndEvidence, "isSessionOver" | "limit">>(
    (sql) => {
      const session = sessions.get(sql, id);
      const cause = session && causeOf(sql, session, processes).cause;
      const isSessionOver = session !== null && session.endedAt !== null;
      return { isSessionOver, limit: cause === "usage_limit" ? { resetsAtMs: null } : null };
    },
    { isSessionOver: false, limit: null },
  );
}

/** [CA51] One run of another client, which continues a session that has reached a usage limit. */
function runOther(
  options: SupervisedClaudeOptions,
  from: Restoration,
  other: StartableClient,
  atLimit: AtLimit,
  resetsAtMs: number | null,
): ProgramRun {
  const { runtime, watched, folder } = options;
  const before = from.session.id;
  const continuation = briefFor(runtime, from, "Claude Code has reached its usage limit");
  const { session } = continuation;
  const request = { prompt: promptFor(options, continuation), successor: session, variables: watched.env };
  return {
    start: { ...otherCommand(runtime, other, atLimit, request), cwd: folder },
    prepare: () => takeOver(options, continuation),
    how: `${other.title} with the brief of ${before}, because ${continuation.reason}`,
    chat: { session, before, isUnresumable: false, instead: null },
    onLine: (text) => redact(text).text,
    onEnd: async (exit, wasAskedToEnd) => {
      const successor = runtime.store.read((sql) => sessions.get(sql, before)?.recoveryBy, null) ?? session;
      await recordDeath(options, successor);
      const ending = classifyEnd({ exit, wasAskedToEnd, isSessionOver: false, limit: null, result: null });
      const chat = { session: successor, before, isUnresumable: true, instead: null };
      // Claude Code is tried again as after a limit: this client's failure is no crash of it.
      return { ending: ending.kind === "crashed" ? { kind: "limited", resetsAtMs } : ending, chat };
    },
  };
}

/** For a session that is not resumed. */
function promptFor({ runtime, watched }: SupervisedClaudeOptions, continuation: Continuation): string {
  const brief = renderBrief(runtime, continuation);
  return brief === null ? watched.prompt : `${watched.prompt}\n\n${brief}`;
}

function describeStart(continuation: Continuation): string {
  const { kind, session } = continuation;
  if (continuation.kind === "brief")
    return `session ${session} with the brief of ${continuation.restoration.session.id}, because ${continuation.reason}`;
  return kind === "new" ? `a new session, ${session}` : `session ${session} is resumed`;
}

function whyNotRun(last: sessions.Session, { processes }: Runtime): NotRun | null {
  const { id, owner, recovery } = last;
  if (last.endedAt !== null) return { kind: "finished", reason: `session ${id} has ended` };
  if (recovery === "recovered") return { kind: "finished", reason: `session ${last.recoveryBy} continues it` };
  if (recovery === "dismissed") return { kind: "finished", reason: `session ${id} was dismissed` };
  if (!owner || !mayBeAlive(processes, owner)) return null;
  return { kind: "held", reason: `session ${id} is already running (pid ${owner.pid})` };
}
