import { brief } from "../../machine/recovery/brief/brief.ts";
import { age, clip } from "../../shared/format.ts";
import { recordDeaths } from "../../machine/recovery/incomplete/deaths.ts";
import { missingFrom } from "../../machine/recovery/brief/compaction.ts";
import { hasContent } from "../../machine/recovery/incomplete/detect.ts";
import { compactionOf, recordGivenBack } from "../../machine/recovery/give-back.ts";
import { isDead } from "../../machine/recovery/incomplete/liveness.ts";
import { offer, offerable, offerPolicy, type Offer } from "../../machine/recovery/offers.ts";
import {
  closedContext,
  isScripted,
  offeredLine,
  resumedLine,
  speakerOf,
} from "../../machine/recovery/brief/user-lines.ts";
import { restore } from "../../machine/recovery/incomplete/restoration.ts";
import { withSessionConfig } from "../../machine/sessions/session-settings.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isClosed, isClosedWithNothingOpen } from "../../machine/sessions/activity.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import * as notices from "../../store/notices.ts";

const maxNoticeChars = 250;

export interface StartedSession {
  readonly session: sessions.Session;
  /** Row before this start; null for a new session. */
  readonly before: sessions.Session | null;
  readonly source: string;
}

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
  const all = [clip(warnings.join("\n"), maxNoticeChars), context ?? ""].map(withCommand).filter((part) => part !== "");
  return {
    context: all.length > 0 ? all.join("\n\n") : null,
    line: line === null || isScripted(runtime.env) ? null : withCommand(line),
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
    if (!found) return emptyStart;
    const { brief: composed, more } = found;
    const offered = { ...composed.from, more };
    const line = runtime.store.read((sql) => offeredLine(sql, runtime, offered, client), null);
    return { context: offeredContext(runtime, found), line };
  };
  const options = { counts: ({ context }: StartAnswer) => context !== null, session: () => id };
  return runtime.durations.time("shim_recovery_duration_seconds", answer, options);
}

function offeredContext(runtime: Runtime, { brief: { from, text }, more }: Offer): string {
  if (isClosedWithNothingOpen(from.session)) return closedContext(from, runtime.now(), more);
  const others = more > 0 ? `\n${more} more incomplete: \`shim sessions --incomplete\`.` : "";
  return text(runtime.config.recovery) + others;
}

/** Gives a script one line; the offer stays open for a chat with a user. */
function pointerLine(runtime: Runtime, { id, project }: sessions.Session): string | null {
  const dead = offerable(runtime, { project, except: id })[0]?.session;
  if (!dead || isClosedWithNothingOpen(dead)) return null;
  const when = age(runtime.now() - dead.lastSeenAt);
  return `SHIM: session ${dead.id} of this project died ${when} ago. Only if your task is to continue its work: shim_check_recovery (of "${dead.id}", take true). Otherwise ignore this.`;
}

/** The client restores the conversation; SHIM adds the cause of death and later changes. */
function resumedAnswer(runtime: Runtime, { before }: StartedSession): StartAnswer {
  if (!before) return emptyStart;
  if (before.recovery === "recovered") return continuedAnswer(before);
  if (before.endedAt !== null || !isDead(before, runtime.processes, runtime.now())) return emptyStart;
  const isKnown = runtime.store.read((sql) => hasContent(sql, before.id), false);
  const from = isKnown ? restore(runtime, before) : null;
  if (!from) return emptyStart;
  const line = isClosed(before) ? null : resumedLine(from, runtime.now());
  // The user has closed and reopened the chat, and nothing has changed.
  const isUnchanged = isClosed(before) && from.files.every(({ now }) => now !== "changed" && now !== "missing");
  return { context: isUnchanged ? null : brief(from, runtime.now(), "resumed"), line };
}

function continuedAnswer({ client, recoveryBy }: sessions.Session): StartAnswer {
  const knows = `${speakerOf(client)} knows.`;
  return {
    context: `SHIM: this session was continued by session ${recoveryBy} in the meantime; its work may be done already. Check before you repeat it.`,
    line: `SHIM: another chat has continued this one in the meantime; its work may be done already. ${knows}`,
  };
}

/** Where a summary follows, what it lacks is given back after it. */
function compactedContext(runtime: Runtime, { session }: StartedSession): string | null {
  const { keepsPrompts, showsSummary } = compactionOf(session.client);
  const from = showsSummary ? null : restore(runtime, session);
  const text = from && missingFrom(from, null, keepsPrompts);
  if (text !== null) runtime.store.write((sql) => recordGivenBack(sql, runtime.now(), session.id, text));
  return text;
}
