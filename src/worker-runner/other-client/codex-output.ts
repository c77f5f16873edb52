import { describeInput } from "../../local-mcp/sessions/hook-entries.ts";
import { numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import type { OutputEvent, OutputFormat } from "./output-event.ts";

/** Lines of `codex exec --json`. */
export const codexOutput: OutputFormat = {
  args: ["--json"],
  read: (event) => readers.get(textAt(event, "type", 40) ?? "")?.(event) ?? [],
};

const readers: ReadonlyMap<string, (event: JsonObject) => OutputEvent[]> = new Map([
  ["thread.started", begun],
  ["item.started", (event) => toolOf(objectAt(event, "item"))],
  ["item.completed", (event) => textOf(objectAt(event, "item"))],
  ["turn.completed", (event) => [...counted(objectAt(event, "usage")), { kind: "ended", failure: null }]],
  [
    "turn.failed",
    (event) => [{ kind: "ended", failure: textAt(objectAt(event, "error"), "message") ?? "its turn failed" }],
  ],
]);

function begun(event: JsonObject): OutputEvent[] {
  const session = textAt(event, "thread_id", 200);
  return session === null ? [] : [{ kind: "begun", session, model: null }];
}

const otherItems: ReadonlySet<string> = new Set(["agent_message", "reasoning", "error", "todo_list"]);

function toolOf(item: JsonObject | null): OutputEvent[] {
  const type = textAt(item, "type", 40);
  if (type === null || otherItems.has(type)) return [];
  return [{ kind: "tool", text: textAt(item, "command") ?? `${type} ${describeInput(item)}` }];
}

function textOf(item: JsonObject | null): OutputEvent[] {
  const text = textAt(item, "type", 40) === "agent_message" ? textAt(item, "text") : null;
  return text === null ? [] : [{ kind: "text", text, isPart: false }];
}

/** Its input tokens include what came from the cache. */
function counted(usage: JsonObject | null): OutputEvent[] {
  const [input, output] = [numberAt(usage, "input_tokens"), numberAt(usage, "output_tokens")];
  return input === null || output === null ? [] : [{ kind: "counted", tokens: Math.floor(input + output) }];
}
