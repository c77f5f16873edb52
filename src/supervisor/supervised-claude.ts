import { uuidv7 } from "../shared/ids.ts";
import { clientEnvironment } from "../worker-runner/client/environment.ts";
import { readEvent, type ResultEvent } from "../worker-runner/client/claude-events.ts";
import { isFull, isUnknownSession } from "../worker-runner/claude/result-outcome.ts";
import { writeClaudeFiles } from "../worker-runner/claude/claude-files.ts";
import { clientAtLimit } from "../worker-runner/other-client/at-limit.ts";
import { LimitReader, type UsageLimit } from "../worker-runner/claude/usage-limit.ts";
import { interruptedText } from "../worker-runner/client/prompt.ts";
import type { ProgramExit } from "../worker-runner/run-program.ts";
import type { Launch } from "../platform/launch.ts";
import { mayBeAlive } from "../platform/processes.ts";
import { brief } from "../local-mcp/recovery/brief.ts";
import { causeOf, hasContent } from "../local-mcp/recovery/detect.ts";
import { restore } from "../local-mcp/recovery/restoration.ts";
import { checkTranscript } from "../local-mcp/recovery/relaunch.ts";
import { redact } from "../redaction/redact.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { redactAndClip } from "../local-mcp/sessions/entries.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { recordDeath, type DeathDeps } from "./record-death.ts";
import { runInstead } from "./other-client.ts";
import { classifyEnd } from "./program-end.ts";
import type { WatchedClaude } from "./supervisor-settings.ts";
import type { ProgramRun, RunEnd, Supervised, NotRun } from "./program-run.ts";
import type { ProgramChat } from "./supervisor-state.ts";
import { giveBack, takeFor } from "../worker-runner/client/continuation.ts";

export interface SupervisedClaudeOptions extends DeathDeps {
  readonly launch: Launch;
  /** Output of `<program> --version`; null when it cannot be run. */
  readonly versionOf: (program: string) => string | null;
  readonly watched: WatchedClaude;
  /** Absolute working folder. */
  readonly folder: string;
}

interface ClaudeStart {
  readonly chat: ProgramChat & { readonly session: string };
  readonly isResumed: boolean;
  readonly how: string;
  readonly input: string;
  /** The session that this one takes over. */
  readonly taken?: string;
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
    const lastSession = this.#findLastSession(chat);
    if (!lastSession) return this.#toRun(this.#startNew("a new session"));
    const notRun = whyNotRun(lastSession, this.#options.runtime);
    if (notRun) return notRun;
    const other = chat.instead ? clientAtLimit(this.#options.watched.atLimit) : null;
    if (other) return runInstead(this.#options, lastSession, other, chat.resetsAtMs ?? null);
    return this.#toRun(this.#continueFrom(lastSession, chat.isUnresumable && lastSession.id === chat.session));
  }

  #findLastSession({ session, before }: ProgramChat): sessions.Session | null {
    const { runtime } = this.#options;
    return runtime.store.read((sql) => {
      const sessionId = [session, before].find((id) => id !== null && hasContent(sql, id)) ?? null;
      return sessionId === null ? null : sessions.get(sql, sessionId);
    }, null);
  }

  #newId(): string {
    const { runtime } = this.#options;
    return uuidv7(runtime.now(), runtime.random(16));
  }

  #startNew(how: string): ClaudeStart {
    const session = this.#newId();
    const chat = { session, before: null, isUnresumable: false };
    return { chat, isResumed: false, how: `${how}, ${session}`, input: this.#options.watched.prompt };
  }

  #continueFrom(lastSession: sessions.Session, isUnresumable: boolean): ClaudeStart {
    const { runtime, watched } = this.#options;
    const transcript =
      isUnresumable || lastSession.client !== "claude-code"
        ? ({ isWhole: false, reason: "Claude Code cannot resume it" } as const)
        : checkTranscript(lastSession.transcriptPath, lastSession.id);
    if (transcript.isWhole) {
      const chat = { session: lastSession.id, before: null, isUnresumable: false };
      return { chat, isResumed: true, how: `session ${lastSession.id} is resumed`, input: interruptedText };
    }
    const now = runtime.now();
    const restoration = restore(runtime, lastSession);
    if (!restoration) return this.#startNew("a new session");
    const session = this.#newId();
    const how = `session ${session} with the brief of ${lastSession.id}, because ${transcript.reason}`;
    const chat = { session, before: lastSession.id, isUnresumable: false };
    const input = `${watched.prompt}\n\n${brief(restoration, now, "resume")}`;
    return { chat, isResumed: false, how, input, taken: lastSession.id };
  }

  #toRun({ chat, isResumed, how, input, taken }: ClaudeStart): ProgramRun {
    const { runtime, launch, versionOf, watched, folder } = this.#options;
    const { home } = runtime.paths;
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
      isResumed ? "--resume" : "--session-id",
      chat.session,
    ];
    const env = clientEnvironment("claude-code", runtime.env, watched.env, home);
    return {
      start: { command: watched.program, args, cwd: folder, env, input, maxLineChars },
      ...(taken === undefined ? {} : { prepare: () => takeFor(this.#options, taken, chat.session) }),
      how,
      chat,
      onLine: (line) => output.onLine(line),
      onEnd: (exit, wasAskedToEnd) => this.#onEnd(chat, output, exit, wasAskedToEnd),
    };
  }

  async #onEnd(
    chat: ClaudeStart["chat"],
    { limit, result }: ClaudeOutput,
    exit: ProgramExit,
    wasAskedToEnd: boolean,
  ): Promise<RunEnd> {
    const { runtime } = this.#options;
    const { session, before } = chat;
    await recordDeath(this.#options, session);
    if (before !== null) await giveBack(this.#options, before, session);
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
