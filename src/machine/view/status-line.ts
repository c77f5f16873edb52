import * as clients from "../sessions/clients.ts";
import * as sessions from "../sessions/sessions.ts";
import * as notices from "../../store/notices.ts";
import * as recoveries from "../sessions/recoveries.ts";
import { quotedMachine } from "../recovery/brief/brief-text.ts";
import * as elsewhere from "../sharing/sessions-elsewhere.ts";
import * as news from "../sessions/news.ts";
import type { ChatState } from "../../contract/chat-state.ts";
import type { ChatStatus } from "../../contract/machine/overview.ts";
import type { Sql } from "../../shared/sql.ts";
import { identify } from "../../platform/processes.ts";
import { ok } from "../../shared/result.ts";
import { limitLine } from "../sessions/usage/at-limit.ts";
import { findIncomplete } from "../recovery/incomplete/detect.ts";
import { readState } from "../recovery/session-state.ts";
import { mayBeContinued } from "../sessions/ending/ending.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { observe } from "../sessions/signals/observe.ts";
import { isSessionPaused } from "../sessions/session-settings.ts";
import { assess } from "../sessions/signals/risk.ts";
import { parse, type StatusLineInput } from "../sessions/signals/context-readings.ts";
import { isPaused } from "../../store/pause.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import { StoreError } from "../../store/store-error.ts";
import { countCost } from "../sessions/usage/ledger.ts";
import { quotedTitle } from "../../shared/format.ts";
import { conflictsOf } from "../team/conflicts.ts";
import type { Handlers } from "../recovery/handler-context.ts";
import { livingSessions } from "../sessions/life/presence.ts";

const unknownStatus: ChatStatus = {
  session: null,
  savedMsAgo: null,
  risk: null,
  died: 0,
  offered: [],
  continued: [],
  conflicts: [],
  messages: 0,
  waits: 0,
  stuck: 0,
  notices: [],
  trouble: null,
};

export const statusLineHandlers = {
  "statusline.get": async ({ runtime }, { text }) => ok(statusOf(await runtime(), text)),
} satisfies Partial<Handlers>;

/** Stores the client's readings and returns what to show; never throws. */
export function statusOf(runtime: Runtime, text: string): ChatStatus {
  try {
    const input = parse(text, runtime.now(), runtime.env);
    const known = readFacts(runtime, input);
    const trouble = known.isPaused ? "paused, nothing is saved" : storeReadings(runtime, known.session, input);
    return { ...known.status, risk: currentRisk(runtime, known.session, input), trouble };
  } catch (error) {
    return { ...unknownStatus, trouble: formatProblem(runtime, error) };
  }
}

interface StatusFacts {
  readonly session: sessions.Session | null;
  readonly isPaused: boolean;
  readonly status: ChatStatus;
}

function readFacts(runtime: Runtime, input: StatusLineInput): StatusFacts {
  // The parent is the shell that the client starts, so the client passes its own pid.
  const client = identify(runtime.processes, Number(runtime.env["CLAUDE_PID"]) || 0);
  return runtime.store.read<StatusFacts>(
    (sql) => {
      const current = client ? clients.current(sql, client) : null;
      // SHIM's own id differs where two clients opened the same session.
      const id = current?.givenId === input.sessionId ? current.session : input.sessionId;
      const session = id === null ? null : sessions.get(sql, id);
      return { session, ...readStatus(sql, runtime, session) };
    },
    { session: null, status: unknownStatus, isPaused: false },
  );
}

function readStatus(sql: Sql, runtime: Runtime, session: sessions.Session | null): Omit<StatusFacts, "session"> {
  const now = runtime.now();
  const searchFilter = session ? { project: session.project, except: session.id } : {};
  const id = session?.id ?? null;
  const dead = findIncomplete(sql, runtime, { ...searchFilter, limit: 99, accepts: mayBeContinued });
  const limitLines = session ? [limitLine(sql, runtime, session)].filter((line) => line !== null) : [];
  const status: ChatStatus = {
    ...unknownStatus,
    session: id,
    savedMsAgo: typeof session?.savedAt === "number" ? Math.max(0, now - session.savedAt) : null,
    died: dead.filter((one) => one.offer?.chat !== id && readState(sql, runtime, one.session).state === "died").length,
    ...chatFacts(sql, runtime, id),
    notices: [...notices.list(sql).map(({ text }) => text), ...limitLines].map((text) => withCommand(runtime, text)),
  };
  return { status, isPaused: session ? isSessionPaused(sql, now, session) : isPaused(sql, now, null) };
}

/** Hooks make the session; before the first one there is no row to update. */
function storeReadings(runtime: Runtime, session: sessions.Session | null, input: StatusLineInput): string | null {
  if (!session) return input.readings.contextTokens ? `this chat is not saved, ${adviceFor(runtime)}` : null;
  try {
    runtime.store.keep((sql) => {
      observe(sql, runtime, session, null, input.readings);
      if (input.costUsd !== null) countCost(sql, session, input.costUsd, input.model, runtime.now());
      if (input.model) sessions.update(sql, session.id, { model: input.model });
    });
    return null;
  } catch (error) {
    // Another process is writing: the next line, a moment later, has the same readings.
    if (error instanceof StoreError && error.retryable) return null;
    return formatProblem(runtime, error);
  }
}

function adviceFor(runtime: Runtime): string {
  return withCommand(runtime, "run `shim doctor`");
}

function withCommand(runtime: Runtime, text: string): string {
  return withShimCommand(text, () => shimCommand(runtime));
}

function currentRisk(runtime: Runtime, session: sessions.Session | null, input: StatusLineInput): ChatStatus["risk"] {
  if (!session) return null;
  const kept = runtime.store.read((sql) => sessions.get(sql, session.id)?.readings, undefined) ?? session.readings;
  const { score, level } = assess({ ...kept, ...input.readings }, runtime.config.risk, runtime.now());
  return { score, level };
}

function formatProblem(runtime: Runtime, error: unknown): string {
  const code = error instanceof StoreError ? error.code : "internal error";
  return `cannot save (${code}), ${adviceFor(runtime)}`;
}

const namedForMs = 600_000;

function chatFacts(sql: Sql, runtime: Runtime, sessionId: string | null): Partial<ChatStatus> {
  const { now } = runtime;
  const others = countOthers(sql, runtime, sessionId);
  if (sessionId === null) return others;
  const messages = news.countUndelivered(sql, sessionId, "message");
  return {
    ...givenTitles(sql, sessionId, now() - namedForMs),
    ...others,
    conflicts: shownConflicts(sql, runtime, sessionId),
    messages,
  };
}

function shownConflicts(sql: Sql, runtime: Runtime, session: string): ChatStatus["conflicts"] {
  return conflictsOf(sql, runtime, session)
    .filter(({ kind }) => kind === "merge" || kind === "file")
    .map(({ path, chats: [, other] }) => ({ path, with: quotedTitle(other.title ?? other.shortId, 40) }));
}

function countOthers(sql: Sql, runtime: Runtime, except: string | null): Pick<ChatStatus, "waits" | "stuck"> {
  const others = livingSessions(sql, runtime).filter(({ id }) => id !== except);
  const states = others.map((one) => readState(sql, runtime, one).state);
  const count = (state: ChatState): number => states.filter((one) => one === state).length;
  return { waits: count("waits"), stuck: count("stuck") };
}

function givenTitles(sql: Sql, chat: string, since: number): Pick<ChatStatus, "offered" | "continued"> {
  const given = recoveries.claimsBy(sql, chat).flatMap(({ session, is, at }) => {
    const title = at < since ? null : titleOf(sql, session, { chat, at });
    return title === null ? [] : [{ title, isOffered: is === "offered" }];
  });
  return {
    offered: given.filter(({ isOffered }) => isOffered).map(({ title }) => title),
    continued: given.filter(({ isOffered }) => !isOffered).map(({ title }) => title),
  };
}

/** Null for a session that was only closed, has ended, or that another machine continues. */
function titleOf(sql: Sql, id: string, given: { readonly chat: string; readonly at: number }): string | null {
  const here = sessions.get(sql, id);
  if (here) return mayBeContinued(here) ? quotedTitle(sessions.displayTitle(here), 40) : null;
  const there = elsewhere.findNewest(sql, id);
  if (!there) return null;
  const isOver = elsewhere.isOver(there) || there.lastSeenAt > given.at;
  if (there.taken === null ? isOver : there.taken.chat !== given.chat) return null;
  return `${quotedTitle(there.title, 40)} of ${quotedMachine(there.machine)}`;
}
