import type { ActiveLimitRule } from "../contract/at-limit.ts";
import {
  decide,
  handOver,
  limitOf,
  type LimitState,
  limitText,
  type LimitWay,
  reached,
  successorOf,
  titleOfWay,
  usualInMs,
  whyStop,
  withoutWay,
  withSession,
} from "../local-mcp/recovery/at-limit.ts";
import { hasContent } from "../local-mcp/recovery/detect.ts";
import { restore, type Restoration } from "../local-mcp/recovery/restoration.ts";
import { redactAndClip } from "../local-mcp/sessions/entries.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { mayBeAlive } from "../platform/processes.ts";
import { redact } from "../redaction/redact.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { maxLineChars, RunState, isFull, isUnknownSession } from "../worker-runner/client/client-run.ts";
import { claudeCommand, otherCommand, startableClient } from "../worker-runner/client/command.ts";
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
import type { ProgramExit } from "../worker-runner/run-program.ts";
import * as restarter from "./auto-restarter.ts";
import type { EndEvidence } from "./auto-restarter.ts";
import {
  type NextRun,
  type NotRun,
  type ProgramRun,
  recordDeath,
  type DeathDeps,
  type RunEnd,
} from "./supervised-program.ts";
import type { WatchedClaude } from "./supervisor-settings.ts";
import type { ProgramChat } from "./supervisor-state.ts";

export interface SupervisedClaudeOptions extends DeathDeps {
  readonly watched: WatchedClaude;
  /** Absolute working folder. */
  readonly folder: string;
}

const maxOutputChars = 2_000;

/** [SU7] [SU35] Runs Claude Code without a terminal; each session continues the one before. */
export function claudeRun(options: SupervisedClaudeOptions): NextRun {
  const { runtime } = options;
  return ({ chat }) => {
    const { last, limit } = lastRun(runtime, chat);
    const notRun = last && whyNotRun(last, runtime);
    if (notRun) return notRun;
    const restoration = last && restore(runtime, last);
    const atLimit = limit && runAtLimit(options, restoration, limit);
    if (atLimit) return atLimit;
    if (!restoration) return runClaude(options, newSession(runtime), limit);
    const isUnresumable = chat.isUnresumable && last.id === chat.session;
    // [RT16] A session is resumed only by the model that has begun it.
    const obstacle = isUnresumable
      ? "Claude Code cannot resume it"
      : limit?.sessions.includes(last.id) === true
        ? "another model began it"
        : null;
    return runClaude(options, continueFrom(runtime, restoration, obstacle), limit);
  };
}

/** @returns null where Claude Code as usual runs again */
function runAtLimit(
  options: SupervisedClaudeOptions,
  restoration: Restoration | null,
  limit: LimitState,
): ProgramRun | NotRun | null {
  const move = moveAtLimit(options, limit, restoration !== null);
  if ("reason" in move) return { kind: "stopped", reason: move.reason };
  const { way, rule, waitMs } = move;
  if (way && restoration) return runWay(options, restoration, { way, limit, rule });
  return waitMs > 0 ? { kind: "held", reason: "a usage limit was reached" } : null;
}

/** [LI2] Move that the rule of the folder makes. Only a recorded chat is handed over. */
function moveAtLimit({ runtime, folder }: SupervisedClaudeOptions, limit: LimitState, isRecorded: boolean) {
  const decided = decide(runtime, folder, limit);
  if ("reason" in decided) return decided;
  const { next, rule } = decided;
  const now = runtime.now();
  if (next.kind === "wait") return { way: null, waitMs: next.untilMs - now, rule };
  const way = isRecorded ? next.way : null;
  return { way, waitMs: way === null ? usualInMs(limit, now) : 0, rule };
}

/**
 * The session that is to be continued. [LI5] A supervisor that died while another client worked has
 * not stored its session: the hand-over names it.
 */
function lastRun(
  runtime: Runtime,
  { session, before, limit = null }: ProgramChat,
): { readonly last: sessions.Session | null; readonly limit: LimitState | null } {
  const { store } = runtime;
  const id = store.read((sql) => [session, before].find((one) => one !== null && hasContent(sql, one)) ?? null, null);
  const successor = id !== null && id === before && limit ? successorOf(runtime, id) : null;
  const lastId = successor ?? id;
  return {
    last: lastId === null ? null : store.read((sql) => sessions.get(sql, lastId), null),
    limit: successor !== null && limit ? withSession(limit, successor) : limit,
  };
}

function endAtLimit(
  options: SupervisedClaudeOptions,
  chat: ProgramChat,
  limit: LimitState,
  resetsAtMs: number | null,
): restarter.ProgramEnding {
  const move = moveAtLimit(options, limit, lastRun(options.runtime, chat).last !== null);
  if ("reason" in move) return { kind: "stopped", reason: `a usage limit was reached; ${move.reason}` };
  const { way, waitMs } = move;
  return { kind: "limited", resetsAtMs, next: { waitMs, title: way && titleOfWay(way) } };
}

/** @param limit at which it is, from before this run */
function runClaude(options: SupervisedClaudeOptions, continuation: Continuation, limit: LimitState | null): ProgramRun {
  const { runtime } = options;
  const run = claudeProgram(options, continuation, options.watched.args, limit);
  return {
    ...run,
    onEnd: async (exit, wasAskedToEnd) => {
      const { ending, chat, hasWorked } = await run.onEnd(exit, wasAskedToEnd);
      const before = hasWorked ? null : limit;
      if (ending.kind !== "limited") return { ending, chat: { ...chat, limit: before } };
      const now = reached(before, ending.resetsAtMs, runtime.now());
      const next = { ...chat, limit: now };
      return { ending: endAtLimit(options, next, now, ending.resetsAtMs), chat: next };
    },
  };
}

interface AtLimit {
  readonly way: LimitWay;
  readonly limit: LimitState;
  readonly rule: ActiveLimitRule;
}

/** [CA51] [LI2] One run of another model or client, which continues a session at its limit. */
function runWay(options: SupervisedClaudeOptions, from: Restoration, at: AtLimit): ProgramRun {
  const { runtime } = options;
  const { way, limit, rule } = at;
  const continuation = briefFor(runtime, from, limitText);
  const { session } = continuation;
  const before = from.session.id;
  const run =
    "model" in way
      ? claudeProgram(options, continuation, withModel(options.watched.args, way.model), limit)
      : otherProgram(options, continuation, way, limit);
  const successor = (): string | null => successorOf(runtime, before);
  return {
    ...run,
    prepare: () => takeOver(options, continuation, handOver(runtime, way, limit)),
    how: `${titleOfWay(way)} with the brief of ${before}, because ${limitText}`,
    whyStop: () => {
      const begun = successor();
      return whyStop(runtime, options.folder, rule, begun === null ? limit : withSession(limit, begun));
    },
    onEnd: async (exit, wasAskedToEnd) => {
      const state = withSession(limit, successor() ?? session);
      const { ending, chat } = await run.onEnd(exit, wasAskedToEnd);
      if (ending.kind !== "crashed" && ending.kind !== "limited") return { ending, chat: { ...chat, limit: state } };
      const resetsAtMs = ending.kind === "limited" ? ending.resetsAtMs : null;
      const now = withoutWay(state, way, resetsAtMs, runtime.now());
      const next = { ...chat, limit: now };
      return { ending: endAtLimit(options, next, now, resetsAtMs), chat: next };
    },
  };
}

function withModel(args: readonly string[], model: string): string[] {
  const others = args.filter((arg, at) => !/^--model(=|$)/.test(arg) && args[at - 1] !== "--model");
  return [...others, "--model", model];
}

interface ClientProgram extends ProgramRun {
  readonly onEnd: (exit: ProgramExit, wasAskedToEnd: boolean) => Promise<RunEnd & { readonly hasWorked: boolean }>;
}

function claudeProgram(
  options: SupervisedClaudeOptions,
  continuation: Continuation,
  args: readonly string[],
  limit: LimitState | null,
): ClientProgram {
  const { watched, folder } = options;
  const { kind, session } = continuation;
  const state = new RunState(claudeOutput);
  const input = kind === "resume" ? interruptedText : promptFor(options, continuation);
  const before = kind === "brief" ? continuation.restoration.session.id : null;
  const chat = { session, before, isUnresumable: false, limit };
  return {
    start: { ...claudeCommand(options, { ...watched, args }, continuation, input), cwd: folder, maxLineChars },
    prepare: () => takeOver(options, continuation),
    how: describeStart(continuation),
    chat,
    onLine: (line) => {
      const end = state.read(line).find((event) => event.kind === "ended");
      return end ? redactAndClip(end.text, maxOutputChars) : null;
    },
    onEnd: async (exit, wasAskedToEnd) => {
      await recordDeath(options, session);
      const { end, hasWorked } = state;
      const evidence = { exit, wasAskedToEnd, ...sessionEnd(options.runtime, session), result: end };
      const ending = restarter.classifyEnd({ ...evidence, limit: state.limit ?? evidence.limit });
      const isUnresumable = end !== null && (isUnknownSession(end) || isFull(end));
      return { ending, hasWorked, chat: { ...chat, isUnresumable } };
    },
  };
}

function otherProgram(
  options: SupervisedClaudeOptions,
  continuation: Extract<Continuation, { kind: "brief" }>,
  way: Extract<LimitWay, { client: unknown }>,
  limit: LimitState,
): ClientProgram {
  const { runtime, watched, folder } = options;
  const { session } = continuation;
  const before = continuation.restoration.session.id;
  const client = startableClient(way.client);
  if (!client) throw new Error(`${titleOfWay(way)} cannot be started from a command line`);
  const request = { prompt: promptFor(options, continuation), successor: session, variables: watched.env };
  return {
    start: { ...otherCommand(runtime, client, way, request), cwd: folder },
    how: client.title,
    chat: { session, before, isUnresumable: false, limit },
    onLine: (text) => redact(text).text,
    onEnd: async (exit, wasAskedToEnd) => {
      const successor = successorOf(runtime, before) ?? session;
      await recordDeath(options, successor);
      const { limit: ownLimit } = sessionEnd(runtime, successor);
      const evidence = { exit, wasAskedToEnd, isSessionOver: false, limit: ownLimit, result: null };
      const ending = restarter.classifyEnd(evidence);
      return { ending, hasWorked: true, chat: { session: successor, before, isUnresumable: true } };
    },
  };
}

/** End of a session and its usage limit, as its hooks have recorded them. */
function sessionEnd({ store }: Runtime, id: string): Pick<EndEvidence, "isSessionOver" | "limit"> {
  return store.read<Pick<EndEvidence, "isSessionOver" | "limit">>(
    (sql) => {
      const session = sessions.get(sql, id);
      const isSessionOver = session !== null && session.endedAt !== null;
      return { isSessionOver, limit: session && limitOf(sql, session) };
    },
    { isSessionOver: false, limit: null },
  );
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
