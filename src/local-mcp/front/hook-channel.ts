import type { HookEvent } from "../../contract/hook-input.ts";
import { messageOf } from "../../shared/error.ts";
import { answerEvent } from "../hooks/answer-hook.ts";
import { toHookInput } from "../hooks/hook-tool-input.ts";
import { observeAfter, type DeferredWork } from "../hooks/run-hook.ts";
import { isDescendant } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as sessions from "../sessions/sessions.ts";

export interface HookReply {
  readonly content: readonly { readonly type: "text"; readonly text: string }[];
}

export interface HookChannelOptions {
  readonly runtime: Runtime;
  readonly pid: number;
  readonly clientPid: number;
  readonly defer: (work: DeferredWork) => Promise<void>;
  readonly afterAnswer: (work: () => void) => void;
  readonly pause: (ms: number) => Promise<void>;
}

/** Below the client's time limit for a hook. */
const maxWaitMs = 4_000;

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
      if (event !== "PreToolUse") afterAnswer(() => this.#observe(event, work.sessionId));
      if (work.trigger === null && !work.isTranscriptBehind) return;
      const done = defer(work);
      if (work.trigger !== null && (event === "PreToolUse" || event === "PreCompact")) deferred.push(done);
    });
    // [HO33] The files are saved before a risky tool or a compaction.
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

  /** [ID14] Behind a wrapper the client is the session's owner. */
  #clientOf(sessionId: unknown): number {
    const { runtime, pid, clientPid } = this.#options;
    if (typeof sessionId !== "string") return clientPid;
    const known = this.#clients.get(sessionId);
    if (known !== undefined) return known;
    const owner = ownerOf(runtime, sessionId);
    if (!owner) return clientPid;
    const client = owner.pid !== clientPid && isDescendant(runtime.processes, pid, owner) ? owner.pid : clientPid;
    // Another owner is not cached: this client may own the session later.
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

/** The terminal client prints any text that answers a compaction event. */
const silentEvents: ReadonlySet<HookEvent> = new Set(["PreCompact", "PostCompact"]);

function reply(event: HookEvent, answer: object): HookReply {
  if (Object.keys(answer).length === 0 || silentEvents.has(event)) return { content: [] };
  return { content: [{ type: "text", text: JSON.stringify(answer) }] };
}
