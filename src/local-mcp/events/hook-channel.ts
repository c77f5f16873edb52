import { claudeCode } from "../../clients/claude-code/claude-code.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { HookEvent } from "../../contract/hooks.ts";
import { isAwaited, Settling, type DeferredWork, type SettlingOptions } from "./after-answer.ts";
import { answerEvent, rejectInput } from "./answer-hook.ts";
import { parseInput, toHookInput } from "./read-event.ts";
import { isDescendant } from "../../platform/processes.ts";
import * as sessions from "../../machine/sessions/sessions.ts";

export interface HookReply extends Record<string, unknown> {
  readonly content: readonly { readonly type: "text"; readonly text: string }[];
}

export interface HookChannelOptions {
  readonly runtime: Runtime;
  /** The process that the client started. */
  readonly pid: number;
  readonly clientPid: number;
  readonly finish: (work: DeferredWork) => Promise<unknown>;
  readonly schedule: SettlingOptions["schedule"];
  readonly pause: (ms: number) => Promise<void>;
}

/** Below the client's time limit for a hook. */
const maxWaitMs = 4_000;

export class HookChannel {
  readonly #options: HookChannelOptions;
  readonly #clients = new Map<string, number>();
  readonly #settling: Settling;

  constructor(options: HookChannelOptions) {
    const { schedule, finish } = options;
    this.#options = options;
    this.#settling = new Settling({ schedule, finish: (work) => void finish(work) });
  }

  /** Never rejects. @param given arguments of the hook tool */
  async answer(given: unknown): Promise<HookReply> {
    const { runtime, finish, pause } = this.#options;
    const toolInput = toHookInput(given);
    if (!toolInput) {
      runtime.log("error", "the hook tool was called without an event");
      return { content: [] };
    }
    const { event } = toolInput;
    const clientPid = this.#clientOf(toolInput.input["session_id"]);
    const input = parseInput(toolInput.input, claudeCode.title);
    if (typeof input === "string") {
      rejectInput(runtime, `${event}: ${input}`);
      return { content: [] };
    }
    const incoming = { clientName: claudeCode.name, event, input, clientPid };
    const { answer, work } = answerEvent(runtime, incoming);
    // The files are saved before a risky tool or a compaction.
    if (work && isAwaited(work)) await Promise.race([finish(work), pause(maxWaitMs)]);
    else if (work) this.#settling.add(work);
    return reply(event, answer);
  }

  /** Behind a wrapper the client is the session's owner. */
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
