import { numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { beginEvents, endEvent, runOutput, toolEvent, type RunEvent } from "../adapter/run-output.ts";

export const codexRun = runOutput(["--json"], {
  "thread.started": (event) => beginEvents(textAt(event, "thread_id", 200), null),
  "item.started": (event) => readTool(objectAt(event, "item")),
  "item.completed": (event) => readText(objectAt(event, "item")),
  "turn.completed": (event) => [endEvent(null, readTokens(objectAt(event, "usage")))],
  "turn.failed": (event) => [endEvent(textAt(objectAt(event, "error"), "message") ?? "its turn failed")],
});

const otherItems: ReadonlySet<string> = new Set(["agent_message", "reasoning", "error", "todo_list"]);

function readTool(item: JsonObject | null): RunEvent[] {
  const type = textAt(item, "type", 40);
  return type === null || otherItems.has(type) ? [] : [toolEvent(type, item, null)];
}

function readText(item: JsonObject | null): RunEvent[] {
  const text = textAt(item, "type", 40) === "agent_message" ? textAt(item, "text") : null;
  return text === null ? [] : [{ kind: "text", text, isPart: false }];
}

/** Its input tokens include what came from the cache. */
function readTokens(usage: JsonObject | null): number | null {
  const [input, output] = [numberAt(usage, "input_tokens"), numberAt(usage, "output_tokens")];
  return input === null || output === null ? null : input + output;
}
