import { identify } from "../../platform/processes.ts";
import { redactJson } from "../../redaction/redact.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { pick } from "../../shared/json-fields.ts";
import { append } from "../../store/spool.ts";
import { redactAndKeepEnds } from "../sessions/both-ends.ts";
import { boundTexts } from "../sessions/entries.ts";
import type { HookCall } from "./hook-context.ts";

/** Limit of a spooled text, in characters: the store keeps no more. */
const maxText = 32_000;
const wordEnds = { head: 20_000, tail: 10_000 };

/** @throws when not even the spool can be written */
export function spoolEvent(
  { processes, env, paths, now }: Pick<Runtime, "processes" | "env" | "paths" | "now">,
  { event, input, clientName, clientPid, id }: HookCall,
): void {
  const { tool_response: response, ...rest } = input;
  // The journal reads only these fields of a tool's answer: its kind, and a new task's number.
  const kept = typeof response === "object" && response !== null ? pick(response, ["type", "task"]) : undefined;
  const words = keepEnds({ prompt: input.prompt, last_assistant_message: input.last_assistant_message });
  const fields = { ...rest, ...words, ...(kept ? { tool_response: kept } : {}) };
  const { value } = redactJson(boundTexts(fields, maxText));
  const clientStart = identify(processes, clientPid)?.start ?? null;
  const entryPoint = env["CLAUDE_CODE_ENTRYPOINT"];
  append(paths.spool, {
    at: now(),
    id,
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
