import { clientEnvironment } from "../worker-runner/client/environment.ts";
import { readEvent, type ResultEvent } from "../worker-runner/client/claude-events.ts";
import { isFull, isUnknownSession } from "../worker-runner/claude/result-outcome.ts";
import { writeClaudeFiles } from "../worker-runner/claude/claude-files.ts";
import { clientAtLimit, type AtLimit, type StartableClient } from "../worker-runner/other-client/at-limit.ts";
import { otherCommand } from "../worker-runner/other-client/other-command.ts";
import { LimitReader, type UsageLimit } from "../worker-runner/claude/usage-limit.ts";
import { interruptedText } from "../worker-runner/client/prompt.ts";
import type { ProgramExit } from "../worker-runner/run-program.ts";
import type { Launch } from "../platform/launch.ts";
import { mayBeAlive } from "../platform/processes.ts";
import { causeOf, hasContent } from "../local-mcp/recovery/detect.ts";
import { restore, type Restoration } from "../local-mcp/recovery/restoration.ts";
import { redact } from "../redaction/redact.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { redactAndClip } from "../local-mcp/sessions/entries.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { recordDeath, type DeathDeps } from "./record-death.ts";
import { classifyEnd } from "./program-end.ts";
import type { WatchedClaude } from "./supervisor-settings.ts";
import type { ProgramRun, RunEnd, Supervised, NotRun } from "./program-run.ts";
import type { ProgramChat } from "./supervisor-state.ts";
import {
  briefFor,
  continueFrom,
  newSession,
  renderBrief,
  takeOver,
  type Continuation,
} from "../worker-runner/client/continuation.ts";

export interface SupervisedClaudeOptions extends DeathDeps {
  readonly launch: Launch;
  /** Output of `<program> --version`; null when it cannot be run. */
  readonly versionOf: (program: string) => string | null;
  readonly watched: WatchedClaude;
  /** Absolute working folder. */
  readonly folder: string;
}

const maxOutputChars = 2_000;
/** The last event of Claude Code repeats what was refused. */
const maxLineChars = 4_000_000;

/** [SU7] [SU35] Runs Claude Code without a terminal; each session continues the one before. */
export class SupervisedClaude implements Supervised {
  readonly #options: SupervisedClaudeOptions;

  constructor(options: SupervisedClaudeOptions) {
    this.#options = options;
  }

  next({ chat }: { readonly chat: ProgramChat }): ProgramRun | NotRun {
    const { runtime, watched } = this.#options;
    const last = this.#findLastSession(chat);
    const notRun = last && whyNotRun(last, runtime);
    if (notRun) return notRun;
    const restoration = last && restore(runtime, last);
    if (!restoration) return this.#toRun(newSession(runtime));
    const { atLimit } = watched;
    const other = chat.instead ? clientAtLimit(atLimit) : null;
    if (other && atLimit) return runInstead(this.#options, restoration, other, atLimit, chat.resetsAtMs ?? null);
    const isUnresumable = chat.isUnresumable && last.id === chat.session;
    return this.#toRun(continueFrom(runtime, restoration, isUnresumable ? "Claude Code cannot resume it" : null));
  }

  #findLastSession({ session, before }: ProgramChat): sessions.Session | null {
    const { runtime } = this.#options;
    return runtime.store.read((sql) => {
      const sessionId = [session, before].find((id) => id !== null && hasContent(sql, id)) ?? null;
      return sessionId === null ? null : sessions.get(sql, sessionId);
    }, null);
  }

  #toRun(continuation: Continuation): ProgramRun {
    const { runtime, launch, versionOf, watched, folder } = this.#options;
    const { kind, session } = continuation;
    const files = writeClaudeFiles(runtime, launch, versionOf(watched.program));
    const output = new ClaudeOutput();
    const args = [
      "-p",
      "--output-format",
      "stream-json",
      "--verbose",
      "--mcp-config",
      files.mcpConfig,
      "--settings",
      files.settings,
      ...watched.args,
      kind === "resume" ? "--resume" : "--session-id",
      session,
    ];
    const env = clientEnvironment("claude-code", runtime.env, watched.env, runtime.paths.home);
    const input = kind === "resume" ? interruptedText : promptOf(this.#options, continuation);
    const before = kind === "brief" ? continuation.restoration.session.id : null;
    const chat = { session, before, isUnresumable: false };
    return {
      start: { command: watched.program, args, cwd: folder, env, input, maxLineChars },
      prepare: () => takeOver(this.#options, continuation),
      how: describeStart(continuation),
      chat,
      onLine: (line) => output.onLine(line),
      onEnd: (exit, wasAskedToEnd) => this.#onEnd(chat, output, exit, wasAskedToEnd),
    };
  }

  async #onEnd(
    chat: ProgramChat & { readonly session: string },
    { limit, result }: ClaudeOutput,
    exit: ProgramExit,
    wasAskedToEnd: boolean,
  ): Promise<RunEnd> {
    const { runtime } = this.#options;
    const { session } = chat;
    await recordDeath(this.#options, session);
    const stored = runtime.store.read((sql) => sessions.get(sql, session), null);
    const ending = classifyEnd({
      exit,
      wasAskedToEnd,
      isSessionOver: stored !== null && stored.endedAt !== null,
      limit: limit ?? (stored && this.#hasHitLimit(stored) ? { resetsAtMs: null } : null),
      result,
    });
    const isUnresumable = result !== null && (isUnknownSession(result) || isFull(result));
    return this.#withOther({ ending, chat: { ...chat, isUnresumable } });
  }

  /** [CA51] */
  #withOther({ ending, chat }: RunEnd): RunEnd {
    const other = ending.kind === "limited" ? clientAtLimit(this.#options.watched.atLimit) : null;
    if (!other || ending.kind !== "limited") return { ending, chat };
    const { resetsAtMs } = ending;
    return { ending: { ...ending, continuesIn: other.title }, chat: { ...chat, instead: other.name, resetsAtMs } };
  }

  #hasHitLimit(session: sessions.Session): boolean {
    const { runtime } = this.#options;
    return runtime.store.read((sql) => causeOf(sql, session, runtime.processes).cause, null) === "usage_limit";
  }
}

/** [CA51] One run of another client, which continues a session that has reached a usage limit. */
function runInstead(
  options: SupervisedClaudeOptions,
  from: Restoration,
  other: StartableClient,
  atLimit: AtLimit,
  resetsAtMs: number | null,
): ProgramRun {
  const { runtime, watched, folder } = options;
  const before = from.session.id;
  const continuation = briefFor(runtime, from, "Claude Code has reached its usage limit");
  const { session, reason } = continuation;
  const request = { prompt: promptOf(options, continuation), successor: session, variables: watched.env };
  return {
    start: { ...otherCommand(runtime, other, atLimit, request), cwd: folder },
    prepare: () => takeOver(options, continuation),
    how: `${other.title} with the brief of ${before}, because ${reason}`,
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

/** The prompt of a session that is not resumed, with the brief of the one that it continues. */
function promptOf(
  { runtime, watched }: SupervisedClaudeOptions,
  continuation: Exclude<Continuation, { readonly kind: "resume" }>,
): string {
  if (continuation.kind === "new") return watched.prompt;
  return `${watched.prompt}\n\n${renderBrief(runtime, continuation.restoration)}`;
}

function describeStart(continuation: Continuation): string {
  const { kind, session } = continuation;
  if (kind === "new") return `a new session, ${session}`;
  if (kind === "resume") return `session ${session} is resumed`;
  return `session ${session} with the brief of ${continuation.restoration.session.id}, because ${continuation.reason}`;
}

function whyNotRun(last: sessions.Session, { processes }: Runtime): NotRun | null {
  const { id, owner, recovery } = last;
  if (last.endedAt !== null) return { kind: "finished", reason: `session ${id} has ended` };
  if (recovery === "recovered") return { kind: "finished", reason: `session ${last.recoveryBy} continues it` };
  if (recovery === "dismissed") return { kind: "finished", reason: `session ${id} was dismissed` };
  if (!owner || !mayBeAlive(processes, owner)) return null;
  return { kind: "held", reason: `session ${id} is already running (pid ${owner.pid})` };
}

class ClaudeOutput {
  readonly #limits = new LimitReader();
  result: ResultEvent | null = null;

  get limit(): UsageLimit | null {
    return this.#limits.limit;
  }

  onLine(line: string): string | null {
    const event = readEvent(line);
    if (event === null || event === "unreadable") return null;
    this.#limits.read(event);
    if (event.kind !== "result") return null;
    this.result = event;
    return redact(redactAndClip(event.text, maxOutputChars)).text;
  }
}
