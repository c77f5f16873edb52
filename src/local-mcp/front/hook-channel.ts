import type { HookEvent } from "../../contract/hook-input.ts";
import { messageOf } from "../../shared/error.ts";
import { answerEvent } from "../hooks/answer-hook.ts";
import { toHookInput } from "../hooks/hook-tool-input.ts";
import { observeAfter, type DeferredWork } from "../hooks/run-hook.ts";
import { isDescendant } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as sessions from "../sessions/sessions.ts";

/** What a client reads as the answer of a hook: one text block with JSON, or no block at all. */
export interface HookReply {
  readonly content: readonly { readonly type: "text"; readonly text: string }[];
}

export interface HookChannelOptions {
  readonly runtime: Runtime;
  /** This process. */
  readonly pid: number;
  /** The process that started this one: the client, or a wrapper around it. */
  readonly clientPid: number;
  /** Resolves when the worker has done it. */
  readonly defer: (work: DeferredWork) => Promise<void>;
  /** Calls `work` once the answer is on its way. */
  readonly afterAnswer: (work: () => void) => void;
  /** Resolves after `ms`. */
  readonly pause: (ms: number) => Promise<void>;
}

/** A risky tool and a compaction wait at most this long for their checkpoint, in ms: below the client's time limit for the hook. */
const maxWaitMs = 4_000;

/** Answers hook events in the process that the client talks to; whatever else that process does, an event waits for none of it. */
export class HookChannel {
  readonly #options: HookChannelOptions;
  readonly #clients = new Map<string, number>();

  constructor(options: HookChannelOptions) {
    this.#options = options;
  }

  /** [HO30] Never throws and never rejects. @param given arguments of the hook tool */
  async answer(given: unknown): Promise<HookReply> {
    const { runtime, defer, afterAnswer, pause } = this.#options;
    const toolInput = toHookInput(given);
    if (!toolInput) {
      runtime.log("error", "the hook tool was called without an event");
      return { content: [] };
    }
    const { event, input } = toolInput;
    const deferred: Promise<void>[] = [];
    const answer = answerEvent(runtime, event, input, this.#clientOf(input["session_id"]), (work) => {
      // The end of the tool brings the next readings.
      if (event !== "PreToolUse") afterAnswer(() => this.#observe(event, work.sessionId));
      if (work.trigger === null && !work.isTranscriptBehind) return;
      const done = defer(work);
      if (work.trigger !== null && (event === "PreToolUse" || event === "PreCompact")) deferred.push(done);
    });
    // [HO33] Before a risky tool or a compaction the files are saved.
    if (deferred.length > 0) await Promise.race([Promise.all(deferred), pause(maxWaitMs)]);
    return reply(event, answer);
  }

  #observe(event: HookEvent, sessionId: string): void {
    const { runtime, defer } = this.#options;
    try {
      const trigger = observeAfter(runtime, event, sessionId);
      if (trigger !== null) void defer({ sessionId, trigger, isTranscriptBehind: false });
    } catch (error) {
      runtime.log("warn", "readings were not taken", { error: messageOf(error) });
    }
  }

  /** [ID14] Behind a wrapper the client is the process that owns the session, if this one runs below it. */
  #clientOf(sessionId: unknown): number {
    const { runtime, pid, clientPid } = this.#options;
    if (typeof sessionId !== "string") return clientPid;
    const known = this.#clients.get(sessionId);
    if (known !== undefined) return known;
    const owner = ownerOf(runtime, sessionId);
    if (!owner) return clientPid;
    const client = owner.pid !== clientPid && isDescendant(runtime.processes, pid, owner) ? owner.pid : clientPid;
    // A session that another process owns now may be this client's later.
    if (client === owner.pid) this.#clients.set(sessionId, client);
    return client;
  }
}

function ownerOf(runtime: Runtime, sessionId: string): sessions.Session["owner"] {
  try {
    return runtime.store.read((sql) => sessions.get(sql, sessionId)?.owner ?? null, null);
  } catch (error) {
    runtime.log("warn", "the owner of the session cannot be read", { error: String(error) });
    return null;
  }
}

/** In the terminal the client prints any text that answers a compaction event. */
const silentEvents: ReadonlySet<HookEvent> = new Set(["PreCompact", "PostCompact"]);

function reply(event: HookEvent, answer: object): HookReply {
  if (Object.keys(answer).length === 0 || silentEvents.has(event)) return { content: [] };
  return { content: [{ type: "text", text: JSON.stringify(answer) }] };
}
