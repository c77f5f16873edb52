import { causeOf, hasContent } from "../local-mcp/recovery/detect.ts";
import { restore, type Restoration } from "../local-mcp/recovery/restoration.ts";
import { redactAndClip } from "../local-mcp/sessions/entries.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { mayBeAlive } from "../platform/processes.ts";
import { redact } from "../redaction/redact.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { maxLineChars, RunState } from "../worker-runner/client/client-run.ts";
import {
  claudeCommand,
  clientAtLimit,
  otherCommand,
  type ClaudeDeps,
  type StartableClient,
} from "../worker-runner/client/command.ts";
import {
  briefFor,
  continueFrom,
  newSession,
  renderBrief,
  takeOver,
  type Continuation,
} from "../worker-runner/client/continuation.ts";
import { isFull, isUnknownSession } from "../worker-runner/client/outcome.ts";
import { interruptedText } from "../worker-runner/client/prompt.ts";
import { claudeOutput } from "../worker-runner/client/run-events.ts";
import type { AtLimit } from "../worker-runner/client/settings.ts";
import { classifyEnd } from "./auto-restarter.ts";
import type { NotRun, ProgramRun, RunEnd } from "./supervised-program.ts";
import { recordDeath, type DeathDeps } from "./supervisor-events.ts";
import type { WatchedClaude } from "./supervisor-settings.ts";
import type { ProgramChat } from "./supervisor-state.ts";

export interface SupervisedClaudeOptions extends DeathDeps, ClaudeDeps {
  readonly watched: WatchedClaude;
  /** Absolute working folder. */
  readonly folder: string;
}

const maxOutputChars = 2_000;

/** [SU7] [SU35] Runs Claude Code without a terminal; each session continues the one before. */
export class SupervisedClaude {
  readonly #options: SupervisedClaudeOptions;

  constructor(options: SupervisedClaudeOptions) {
    this.#options = options;
  }

  next(chat: ProgramChat): ProgramRun | NotRun {
    const { runtime, watched } = this.#options;
    const last = this.#findLastSession(chat);
    const notRun = last && whyNotRun(last, runtime);
    if (notRun) return notRun;
    const restoration = last && restore(runtime, last);
    if (!restoration) return this.#runClaude(newSession(runtime));
    const { atLimit } = watched;
    const other = chat.instead ? clientAtLimit(atLimit) : null;
    if (other && atLimit) return this.#runOther(restoration, other, atLimit, chat.resetsAtMs ?? null);
    const isUnresumable = chat.isUnresumable && last.id === chat.session;
    return this.#runClaude(continueFrom(runtime, restoration, isUnresumable ? "Claude Code cannot resume it" : null));
  }

  #findLastSession({ session, before }: ProgramChat): sessions.Session | null {
    return this.#options.runtime.store.read((sql) => {
      const sessionId = [session, before].find((id) => id !== null && hasContent(sql, id)) ?? null;
      return sessionId === null ? null : sessions.get(sql, sessionId);
    }, null);
  }

  #runClaude(continuation: Continuation): ProgramRun {
    const { watched, folder } = this.#options;
    const { kind, session } = continuation;
    const state = new RunState(claudeOutput);
    const input = kind === "resume" ? interruptedText : this.#prompt(continuation);
    const before = kind === "brief" ? continuation.restoration.session.id : null;
    const chat = { session, before, isUnresumable: false };
    return {
      start: { ...claudeCommand(this.#options, watched, continuation, input), cwd: folder, maxLineChars },
      prepare: () => takeOver(this.#options, continuation),
      how: describeStart(continuation),
      chat,
      onLine: (line) => {
        const end = state.read(line).find((event) => event.kind === "ended");
        return end ? redactAndClip(end.text, maxOutputChars) : null;
      },
      onEnd: (exit, wasAskedToEnd) => this.#onEnd(chat, state, { exit, wasAskedToEnd }),
    };
  }

  async #onEnd(
    chat: ProgramChat & { readonly session: string },
    { limit, end }: RunState,
    seen: Pick<Parameters<typeof classifyEnd>[0], "exit" | "wasAskedToEnd">,
  ): Promise<RunEnd> {
    const { runtime, watched } = this.#options;
    await recordDeath(this.#options, chat.session);
    const { isSessionOver, hasHitLimit } = runtime.store.read(
      (sql) => {
        const stored = sessions.get(sql, chat.session);
        const cause = stored && causeOf(sql, stored, runtime.processes).cause;
        return { isSessionOver: stored !== null && stored.endedAt !== null, hasHitLimit: cause === "usage_limit" };
      },
      { isSessionOver: false, hasHitLimit: false },
    );
    const knownLimit = limit ?? (hasHitLimit ? { resetsAtMs: null } : null);
    const ending = classifyEnd({ ...seen, isSessionOver, limit: knownLimit, result: end });
    const isUnresumable = end !== null && (isUnknownSession(end) || isFull(end));
    // [CA51] Another client continues until the reset.
    const other = ending.kind === "limited" ? clientAtLimit(watched.atLimit) : null;
    if (!other || ending.kind !== "limited") return { ending, chat: { ...chat, isUnresumable } };
    const { resetsAtMs } = ending;
    return {
      ending: { ...ending, continuesIn: other.title },
      chat: { ...chat, isUnresumable, instead: other.name, resetsAtMs },
    };
  }

  /** [CA51] One run of another client, which continues a session that has reached a usage limit. */
  #runOther(from: Restoration, other: StartableClient, atLimit: AtLimit, resetsAtMs: number | null): ProgramRun {
    const { runtime, watched, folder } = this.#options;
    const before = from.session.id;
    const continuation = briefFor(runtime, from, "Claude Code has reached its usage limit");
    const { session, reason } = continuation;
    const request = { prompt: this.#prompt(continuation), successor: session, variables: watched.env };
    return {
      start: { ...otherCommand(runtime, other, atLimit, request), cwd: folder },
      prepare: () => takeOver(this.#options, continuation),
      how: `${other.title} with the brief of ${before}, because ${reason}`,
      chat: { session, before, isUnresumable: false, instead: null },
      onLine: (text) => redact(text).text,
      onEnd: async (exit, wasAskedToEnd) => {
        const successor = runtime.store.read((sql) => sessions.get(sql, before)?.recoveryBy, null) ?? session;
        await recordDeath(this.#options, successor);
        const ending = classifyEnd({ exit, wasAskedToEnd, isSessionOver: false, limit: null, result: null });
        const chat = { session: successor, before, isUnresumable: true, instead: null };
        // Claude Code is tried again as after a limit: this client's failure is no crash of it.
        return { ending: ending.kind === "crashed" ? { kind: "limited", resetsAtMs } : ending, chat };
      },
    };
  }

  /** For a session that is not resumed. */
  #prompt(continuation: Continuation): string {
    const { runtime, watched } = this.#options;
    const brief = renderBrief(runtime, continuation);
    return brief === null ? watched.prompt : `${watched.prompt}\n\n${brief}`;
  }
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
