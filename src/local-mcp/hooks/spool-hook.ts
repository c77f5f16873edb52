import { HookInput, isHookEvent, type HookEvent } from "../../contract/hook-input.ts";
import { redactJson } from "../redaction/redact.ts";
import type { Runtime } from "../runtime.ts";
import { append, drain } from "../store/spool.ts";
import { runHook } from "./run-hook.ts";

/** Texts of a spooled event are cut to this many characters: more of them is never kept anyway. */
const maxText = 32_000;

/**
 * Keeps an event that the store could not take, redacted, for the next process that can open it.
 *
 * @throws when not even the spool can be written
 */
export function spool(runtime: Runtime, event: HookEvent, input: HookInput, clientPid: number): void {
  const { tool_response: response, ...rest } = input;
  // Of a tool's answer only what the journal reads: its kind, and the number of a new task.
  const kept = typeof response === "object" && response !== null ? pick(response, ["type", "task"]) : undefined;
  const { value } = redactJson(cut({ ...rest, ...(kept ? { tool_response: kept } : {}) }));
  append(runtime.paths.spool, { at: runtime.now(), event, clientPid, input: value });
}

/** Applies what waits in the spool, at the time it happened. An entry that is no hook event is dropped, and logged. */
export function drainInto(runtime: Runtime): number {
  return drain(runtime.paths.spool, (entry) => {
    const { event, clientPid } = entry;
    const input = HookInput.safeParse(entry["input"]);
    if (typeof event !== "string" || !isHookEvent(event) || !input.success) {
      runtime.log("warn", "spooled entry is no hook event", { event: String(event) });
      return;
    }
    runHook({ ...runtime, now: () => Number(entry.at) }, event, input.data, Number(clientPid));
  });
}

function pick(from: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));
}

function cut(value: unknown): unknown {
  if (typeof value === "string") return value.slice(0, maxText);
  if (Array.isArray(value)) return value.slice(0, 1_000).map(cut);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, cut(inner)]));
}
