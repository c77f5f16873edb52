import { HookInput, isHookEvent, type HookEvent } from "../../contract/hook-input.ts";
import { redactJson } from "../../redaction/redact.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { identify } from "../../platform/processes.ts";
import { label } from "../sessions/entries.ts";
import { append, drain, type SpoolEntry } from "../../store/spool.ts";
import { StoreError } from "../../store/store-error.ts";
import { boundTexts } from "./clean-input.ts";
import { runHook } from "./run-hook.ts";

/** Texts of a spooled event are cut to this many characters: the store keeps no more. */
const maxText = 32_000;

/**
 * Keeps an event that the store could not take, redacted, for the next process that can open it.
 *
 * @throws when not even the spool can be written
 */
export function spoolEvent(runtime: Runtime, event: HookEvent, input: HookInput, clientPid: number): void {
  const { tool_response: response, ...rest } = input;
  // The journal reads only two fields of a tool's answer: its kind, and the number of a new task.
  const kept = typeof response === "object" && response !== null ? pick(response, ["type", "task"]) : undefined;
  const { value } = redactJson(boundTexts({ ...rest, ...(kept ? { tool_response: kept } : {}) }, maxText));
  const clientStart = identify(runtime.processes, clientPid)?.start ?? null;
  const entryPoint = runtime.env["CLAUDE_CODE_ENTRYPOINT"];
  append(runtime.paths.spool, { at: runtime.now(), event, clientPid, clientStart, entryPoint, input: value });
}

/**
 * Applies the events in the spool, with their original time. [HO8] An entry that is no hook event, or that fails for another reason than the
 * store, is dropped and logged: it would block all entries behind it.
 *
 * @param maxMs time limit; the rest stays for the next call
 * @throws {StoreError} when the store still takes nothing; all entries stay
 */
export function drainInto(runtime: Runtime, maxMs = maxDrainMs): number {
  const end = runtime.now() + maxMs;
  const limits = { maxFiles, isTimeUp: () => runtime.now() >= end };
  const apply = (entry: SpoolEntry): void => {
    const { event, clientPid } = entry;
    const input = HookInput.safeParse(entry["input"]);
    if (typeof event !== "string" || !isHookEvent(event) || !input.success) {
      runtime.log("warn", "spooled entry is no hook event", { event: label(String(event)) });
      return;
    }
    const pastRuntime = { ...runtime, env: entryEnv(runtime, entry), now: () => entry.at };
    // Another process may have the id by now: then the client is gone.
    const isSame = identify(runtime.processes, Number(clientPid))?.start === entry["clientStart"];
    try {
      runHook(pastRuntime, event, input.data, isSame ? Number(clientPid) : noProcessId, true);
    } catch (error) {
      if (error instanceof StoreError) throw error;
      runtime.log("error", `spooled ${event} was dropped`, { error: String(error) });
    }
  };
  return drain(runtime.paths.spool, apply, limits);
}

/** [RE50] Whether a user attended the session is known from the client that the event came from. */
function entryEnv({ env }: Runtime, { entryPoint }: SpoolEntry): NodeJS.ProcessEnv {
  return { ...env, CLAUDE_CODE_ENTRYPOINT: typeof entryPoint === "string" ? entryPoint : undefined };
}

/** Time limit of one call in the MCP process, which calls again two seconds later. */
const maxDrainMs = 1_000;
const maxFiles = 500;

/** No process has this id. */
const noProcessId = -1;

function pick(from: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));
}
