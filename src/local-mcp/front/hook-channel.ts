import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod/mini";
import { stackOf, messageOf } from "../../shared/error.ts";
import { initializeResult } from "./handshake.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { openNodeSqlite } from "../../store/driver-node-sqlite.ts";
import { maxUpkeepBytes, systemRuntime } from "../../runtime/system-runtime.ts";
import { afterEventMethod } from "./control.ts";
import type { Front } from "./front.ts";
import type { HookEvent } from "../../contract/hook-input.ts";
import { hookToolFields, isHookToolEvent, type HookToolEvent } from "../../contract/hook-tool.ts";
import { answerEvent } from "../hooks/answer-hook.ts";
import { observeAfter, type DeferredWork } from "../hooks/run-hook.ts";
import { identify, isDescendant, type ProcessIdentity } from "../../platform/processes.ts";
import * as servers from "../sessions/servers.ts";
import * as sessions from "../sessions/sessions.ts";
import { jsonOrText } from "../../shared/json-fields.ts";

/** Wait for a locked store before an event goes to the spool. */
const busyMs = 100;

let cachedRuntime: Runtime | null = null;
let cachedChannel: HookChannel | null = null;

/** Returns null to leave the handshake to the worker. */
export function answerInitialize(params: unknown): object | null {
  const runtime = systemFrontRuntime();
  try {
    return initializeResult(runtime, params);
  } catch (error) {
    runtime.log("error", "the handshake is passed on to the worker", { error: stackOf(error) });
    return null;
  }
}

export function systemHookChannel(front: Front, clientPid: number): HookChannel {
  return (cachedChannel ??= new HookChannel({
    runtime: systemFrontRuntime(),
    pid: process.pid,
    clientPid,
    defer: (work) => front.request(afterEventMethod, work),
    afterAnswer: (work) => void setImmediate(work),
    pause: (ms) => pause(ms),
  }));
}

function systemFrontRuntime(): Runtime {
  if (cachedRuntime) return cachedRuntime;
  z.config({ jitless: true });
  return (cachedRuntime = systemRuntime({ driver: openNodeSqlite, busyMs, maxUpkeepBytes }));
}

export interface HookReply {
  readonly content: readonly { readonly type: "text"; readonly text: string }[];
}

interface HookChannelOptions {
  readonly runtime: Runtime;
  readonly pid: number;
  readonly clientPid: number;
  readonly defer: (work: DeferredWork) => Promise<void>;
  readonly afterAnswer: (work: () => void) => void;
  readonly pause: (ms: number) => Promise<void>;
}

const unserved: servers.ServerStatus = { dead: [], isServed: false };
/** Below the client's time limit for a hook. */
const maxWaitMs = 4_000;

export class HookChannel {
  readonly #options: HookChannelOptions;
  readonly #clients = new Map<string, number>();
  #isNoted = false;

  constructor(options: HookChannelOptions) {
    this.#options = options;
  }

  /** [HO30] Never throws and never rejects. @param given arguments of the hook tool */
  async answer(given: unknown): Promise<HookReply> {
    const { runtime, pause } = this.#options;
    const toolInput = toHookInput(given);
    if (!toolInput) {
      runtime.log("error", "the hook tool was called without an event");
      return { content: [] };
    }
    const { event, input } = toolInput;
    const clientPid = this.#clientOf(input["session_id"]);
    const { answer, work } = answerEvent(runtime, event, input, clientPid);
    this.#note(clientPid);
    const saved = work && this.#deferWork(event, work);
    // [HO33] The files are saved before a risky tool or a compaction.
    if (saved && work.trigger !== null && (event === "PreToolUse" || event === "PreCompact"))
      await Promise.race([saved, pause(maxWaitMs)]);
    return reply(event, answer);
  }

  /**
   * [HO66] After a reconnection: the next prompt may come before the worker registers this process.
   * Every other start writes nothing here. Never throws.
   */
  replaceDead(): void {
    const { runtime, clientPid } = this.#options;
    try {
      const { self, client } = this.#identify(clientPid);
      if (!self || !client) return;
      const { dead, isServed } = runtime.store.read((sql) => servers.check(sql, runtime.processes, client), unserved);
      if (dead.length > 0 && !isServed) servers.register(runtime, self, client);
    } catch (error) {
      runtime.log("warn", "the new process could not be registered yet", { error: messageOf(error) });
    }
  }

  #identify(clientPid: number): Record<"self" | "client", ProcessIdentity | null> {
    const { runtime, pid } = this.#options;
    return { self: identify(runtime.processes, pid), client: identify(runtime.processes, clientPid) };
  }

  /** [HO4] [HO63] At the first event: the worker registers this process some seconds later. */
  #note(clientPid: number): void {
    if (this.#isNoted) return;
    this.#isNoted = true;
    const { runtime, afterAnswer } = this.#options;
    afterAnswer(() => {
      try {
        const { self, client } = this.#identify(clientPid);
        if (self && client) servers.noteEvents(runtime, self, client);
      } catch (error) {
        this.#isNoted = false;
        runtime.log("warn", "the way of the events could not be noted", { error: messageOf(error) });
      }
    });
  }

  /** Returns null if the worker has nothing to do. */
  #deferWork(event: HookEvent, work: DeferredWork): Promise<void> | null {
    const { defer, afterAnswer } = this.#options;
    if (event !== "PreToolUse") afterAnswer(() => this.#observe(event, work.sessionId));
    return work.trigger === null && !work.isTranscriptBehind ? null : defer(work);
  }

  #observe(event: HookEvent, sessionId: string): void {
    const { runtime, defer } = this.#options;
    try {
      const trigger = observeAfter(runtime, event, sessionId);
      if (trigger !== null) void defer({ sessionId, trigger, isTranscriptBehind: false });
    } catch (error) {
      runtime.log("warn", "readings could not be collected", { error: messageOf(error) });
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

/** The client passes every value as text. */
const numberFields: ReadonlySet<string> = new Set(["duration_ms", "context_tokens"]);
const booleanFields: ReadonlySet<string> = new Set(["stop_hook_active"]);
const jsonFields: ReadonlySet<string> = new Set([
  "tool_input",
  "tool_input.todos",
  "tool_input.questions",
  "tool_input.answers",
  "tool_response.task",
  "tool_response.answers",
]);

interface HookToolInput {
  readonly event: HookToolEvent;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Pure. [HO30] Returns null if these are not the arguments of a hook event. */
function toHookInput(given: unknown): HookToolInput | null {
  if (typeof given !== "object" || given === null) return null;
  const values = new Map<string, unknown>(Object.entries(given));
  const event = values.get("event");
  if (typeof event !== "string" || !isHookToolEvent(event)) return null;
  const input: Record<string, unknown> = { hook_event_name: event };
  for (const name of [...hookToolFields[event], "tool_input"]) {
    const text = values.get(name);
    // The client writes an absent field and an empty one alike.
    if (typeof text !== "string" || text === "") continue;
    setAt(input, name.split("."), parseField(name, text));
  }
  return { event, input };
}

function parseField(name: string, text: string): unknown {
  if (numberFields.has(name)) return Number.isFinite(Number(text)) ? Number(text) : undefined;
  if (booleanFields.has(name)) return text === "true";
  // Keeps other text: a tool may take a plain text where others take an object.
  return jsonFields.has(name) ? jsonOrText(text) : text;
}

function setAt(target: Record<string, unknown>, [name, ...rest]: readonly string[], value: unknown): void {
  if (name === undefined || value === undefined) return;
  const [inner] = rest;
  if (inner === undefined) {
    target[name] = value;
    return;
  }
  const existing = target[name];
  const parent: Record<string, unknown> = typeof existing === "object" && existing !== null ? { ...existing } : {};
  setAt(parent, rest, value);
  target[name] = parent;
}
