import { uuidv7 } from "../../shared/ids.ts";
import { environmentFor } from "../automation/claude/environment.ts";
import { readEvent, type ResultEvent } from "../automation/claude/events.ts";
import { isFull, isUnknownSession } from "../automation/claude/outcome.ts";
import { ownFiles } from "../automation/claude/own-files.ts";
import { interrupted } from "../automation/claude/prompt.ts";
import type { Ended } from "../automation/run-program.ts";
import type { Launch } from "../launch.ts";
import { drainInto } from "../hooks/spool-hook.ts";
import { mayBeAlive } from "../processes.ts";
import { brief } from "../recovery/brief.ts";
import { causeOf, hasContent } from "../recovery/detect.ts";
import { take } from "../recovery/recover.ts";
import { restore } from "../recovery/restoration.ts";
import { checkTranscript, withdrawOffer } from "../recovery/start.ts";
import { redact } from "../redaction/redact.ts";
import type { Runtime } from "../runtime.ts";
import { redactAndClip } from "../sessions/entries.ts";
import * as sessions from "../sessions/sessions.ts";
import { StoreError } from "../store/store-error.ts";
import { endingOf } from "./program-end.ts";
import type { WatchedClaude } from "./settings.ts";
import type { Attempt, Over, Supervised, Unstarted } from "./supervised.ts";
import type { KeptChat } from "./supervisor-state.ts";

export interface SupervisedClaudeOptions {
  readonly runtime: Runtime;
  readonly launch: Launch;
  readonly watched: WatchedClaude;
  /** Where it works, absolute. */
  readonly folder: string;
  /** What is to be done for a session whose process has ended. */
  readonly bury: (session: string) => Promise<void>;
}

interface Beginning {
  readonly chat: KeptChat & { readonly session: string };
  readonly isResumed: boolean;
  readonly how: string;
  readonly input: string;
}

const mostShownChars = 2_000;
/** The last event of Claude Code repeats what was refused. */
const mostLineChars = 4_000_000;

/** [SU7] Claude Code without a terminal, in sessions that SHIM knows, each of which goes on with the one before. */
export class SupervisedClaude implements Supervised {
  readonly #options: SupervisedClaudeOptions;

  constructor(options: SupervisedClaudeOptions) {
    this.#options = options;
  }

  next({ chat }: { readonly chat: KeptChat }): Attempt | Unstarted {
    const known = this.#lastOf(chat);
    if (!known) return this.#attempt(this.#anew("a new session"));
    if (known.endedAt !== null) return { kind: "finished", reason: `session ${known.id} has ended` };
    if (known.recovery === "recovered")
      return { kind: "finished", reason: `session ${known.recoveryBy} goes on with it` };
    if (known.recovery === "dismissed") return { kind: "finished", reason: `session ${known.id} was dismissed` };
    if (known.owner && mayBeAlive(this.#options.runtime.processes, known.owner)) {
      return { kind: "held", reason: `session ${known.id} runs already (pid ${known.owner.pid})` };
    }
    return this.#attempt(this.#continuing(known, chat.isUnresumable && known.id === chat.session));
  }

  /** The newest session of this program in which anything has happened. */
  #lastOf({ session, before }: KeptChat): sessions.Session | null {
    const { runtime } = this.#options;
    ifStored(runtime, () => void drainInto(runtime));
    return runtime.store.read((sql) => {
      const begun = [session, before].find((id) => id !== null && hasContent(sql, id)) ?? null;
      return begun === null ? null : sessions.get(sql, begun);
    }, null);
  }

  #newId(): string {
    const { runtime } = this.#options;
    return uuidv7(runtime.now(), runtime.random(16));
  }

  #anew(how: string): Beginning {
    const session = this.#newId();
    const chat = { session, before: null, isUnresumable: false };
    return { chat, isResumed: false, how: `${how}, ${session}`, input: this.#options.watched.prompt };
  }

  #continuing(known: sessions.Session, isUnresumable: boolean): Beginning {
    const { runtime, watched } = this.#options;
    const transcript = isUnresumable
      ? ({ isWhole: false, reason: "Claude Code does not take it up again" } as const)
      : checkTranscript(known.transcriptPath, known.id);
    if (transcript.isWhole) {
      const chat = { session: known.id, before: null, isUnresumable: false };
      return { chat, isResumed: true, how: `session ${known.id} is resumed`, input: interrupted };
    }
    const now = runtime.now();
    const from = restore(runtime, known, now);
    if (!from) return this.#anew("a new session");
    const session = this.#newId();
    ifStored(runtime, () => take(runtime, from, session));
    const how = `session ${session} with the brief of ${known.id}, because ${transcript.reason}`;
    const chat = { session, before: known.id, isUnresumable: false };
    return { chat, isResumed: false, how, input: `${watched.prompt}\n\n${brief(from, now, "resume")}` };
  }

  #attempt({ chat, isResumed, how, input }: Beginning): Attempt {
    const { runtime, launch, watched, folder } = this.#options;
    const { home } = runtime.paths;
    const files = ownFiles(home, launch);
    const heard = new Heard();
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
    const env = environmentFor(runtime.env, watched.env, home);
    return {
      start: { command: watched.program, args, cwd: folder, env, input, mostLineChars },
      how,
      chat,
      hear: (line) => heard.hear(line),
      over: (ended, isAsked) => this.#over(chat, heard, ended, isAsked),
    };
  }

  async #over(chat: Beginning["chat"], { limit, result }: Heard, ended: Ended, isAsked: boolean): Promise<Over> {
    const { runtime } = this.#options;
    const { session, before } = chat;
    await this.#options.bury(session);
    if (before !== null) ifStored(runtime, () => withdrawOffer(runtime, before, session));
    const known = runtime.store.read((sql) => sessions.get(sql, session), null);
    const ending = endingOf({
      ended,
      isAsked,
      isSessionOver: known !== null && known.endedAt !== null,
      limit: limit ?? (known && this.#isLimited(known) ? { resetsAtMs: null } : null),
      result,
    });
    const isUnresumable = result !== null && (isUnknownSession(result) || isFull(result));
    return { ending, chat: { ...chat, isUnresumable } };
  }

  /** As the client's hook has told it. */
  #isLimited(known: sessions.Session): boolean {
    const { runtime } = this.#options;
    return runtime.store.read((sql) => causeOf(sql, known, runtime.processes).cause, null) === "usage_limit";
  }
}

const untold = { resetsAtMs: null };

/** What Claude Code tells as it works. */
class Heard {
  limit: { readonly resetsAtMs: number | null } | null = null;
  result: ResultEvent | null = null;

  /** @returns what it answers, redacted */
  hear(line: string): string | null {
    const event = readEvent(line);
    if (event === null || event === "unreadable") return null;
    if (event.kind === "limited") this.limit = { resetsAtMs: event.resetsAtMs };
    if (event.kind === "message") this.limit = event.problem === "rate_limit" ? (this.limit ?? untold) : null;
    if (event.kind !== "result") return null;
    this.result = event;
    return redact(redactAndClip(event.text, mostShownChars)).text;
  }
}

/** A store that takes nothing now is no reason to leave the work undone. */
function ifStored(runtime: Runtime, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    runtime.log("warn", "supervisor: the session before is not brought up to date", { reason: error.message });
  }
}
