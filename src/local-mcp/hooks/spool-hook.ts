import { adapterOf } from "../../clients/adapters.ts";
import type { HookClient } from "../../contract/clients.ts";
import { HookInput, isHookEvent } from "../../contract/hook-input.ts";
import { redactJson } from "../../redaction/redact.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { identify } from "../../platform/processes.ts";
import { redactAndKeepEnds } from "../sessions/both-ends.ts";
import { boundTexts, label } from "../sessions/entries.ts";
import { append, drain, type SpoolEntry } from "../../store/spool.ts";
import { StoreError } from "../../store/store-error.ts";
import type { HookCall } from "./hook-context.ts";
import { runHook } from "./run-hook.ts";
import { pick } from "../../shared/json-fields.ts";

/** Limit of a spooled text, in characters: the store keeps no more. */
const maxText = 32_000;
const wordEnds = { head: 20_000, tail: 10_000 };

/** @throws when not even the spool can be written */
export function spoolEvent(runtime: Runtime, { event, input, clientName, clientPid }: HookCall): void {
  const { tool_response: response, ...rest } = input;
  // The journal reads only these fields of a tool's answer: its kind, and a new task's number.
  const kept = typeof response === "object" && response !== null ? pick(response, ["type", "task"]) : undefined;
  const words = keepEnds({ prompt: input.prompt, last_assistant_message: input.last_assistant_message });
  const fields = { ...rest, ...words, ...(kept ? { tool_response: kept } : {}) };
  const { value } = redactJson(boundTexts(fields, maxText));
  const clientStart = identify(runtime.processes, clientPid)?.start ?? null;
  const entryPoint = runtime.env["CLAUDE_CODE_ENTRYPOINT"];
  append(runtime.paths.spool, {
    at: runtime.now(),
    event,
    clientName,
    clientPid,
    clientStart,
    entryPoint,
    input: value,
  });
}

function keepEnds(words: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(words).flatMap(([name, text]) =>
      text === undefined ? [] : [[name, redactAndKeepEnds(text, wordEnds)]],
    ),
  );
}

/**
 * [HO47] Drops an entry that fails for a reason other than the store: it would block the rest.
 * @throws {StoreError} while the store is unwritable; all entries stay
 */
export function drainInto(runtime: Runtime, maxMs = maxDrainMs): number {
  const end = runtime.now() + maxMs;
  const limits = { maxFiles, isTimeUp: () => runtime.now() >= end };
  const apply = (entry: SpoolEntry): void => {
    const { event, clientPid } = entry;
    const input = HookInput.safeParse(entry["input"]);
    if (typeof event !== "string" || !isHookEvent(event) || !input.success) {
      runtime.log("warn", "spooled entry is not a hook event", { event: label(String(event)) });
      return;
    }
    const clientName = clientOf(entry);
    const pastRuntime = { ...runtime, env: entryEnv(runtime, entry), now: () => entry.at };
    // If another process has the id by now, the client is gone.
    const isSame = identify(runtime.processes, Number(clientPid))?.start === entry["clientStart"];
    try {
      const ownPid = isSame ? Number(clientPid) : noProcessId;
      runHook(pastRuntime, { event, input: input.data, clientName, clientPid: ownPid, isLate: true });
    } catch (error) {
      if (error instanceof StoreError) throw error;
      runtime.log("error", `spooled ${event} was dropped`, { error: String(error) });
    }
  };
  return drain(runtime.paths.spool, apply, limits);
}

/** Entries of older programs name no client: it was Claude Code. */
function clientOf({ clientName }: SpoolEntry): HookClient {
  return (typeof clientName === "string" ? adapterOf(clientName)?.name : undefined) ?? "claude-code";
}

/** [RE106] The event's client decides whether a user attended the session. */
function entryEnv({ env }: Runtime, { entryPoint }: SpoolEntry): NodeJS.ProcessEnv {
  return { ...env, CLAUDE_CODE_ENTRYPOINT: typeof entryPoint === "string" ? entryPoint : undefined };
}

/** The MCP process calls again two seconds later. */
const maxDrainMs = 1_000;
const maxFiles = 500;

const noProcessId = -1;
