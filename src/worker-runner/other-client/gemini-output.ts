import { describeInput } from "../../local-mcp/sessions/hook-entries.ts";
import { numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import type { OutputEvent, OutputFormat } from "./output-event.ts";

/** Lines of `gemini --output-format stream-json`. */
export const geminiOutput: OutputFormat = {
  args: ["--output-format", "stream-json"],
  read: (event) => readers.get(textAt(event, "type", 40) ?? "")?.(event) ?? [],
};

const readers: ReadonlyMap<string, (event: JsonObject) => OutputEvent[]> = new Map([
  ["init", begun],
  ["message", textOf],
  ["tool_use", toolOf],
  ["result", ended],
]);

function toolOf(event: JsonObject): OutputEvent[] {
  const name = textAt(event, "tool_name", 200) ?? "a tool";
  return [{ kind: "tool", text: `${name} ${describeInput(event["parameters"])}` }];
}

function begun(event: JsonObject): OutputEvent[] {
  const session = textAt(event, "session_id", 200);
  return session === null ? [] : [{ kind: "begun", session, model: textAt(event, "model", 200) }];
}

function textOf(event: JsonObject): OutputEvent[] {
  const text = textAt(event, "role", 40) === "assistant" ? textAt(event, "content") : null;
  return text === null ? [] : [{ kind: "text", text, isPart: event["delta"] === true }];
}

function ended(event: JsonObject): OutputEvent[] {
  const tokens = numberAt(objectAt(event, "stats"), "total_tokens");
  const isGood = textAt(event, "status", 40) === "success";
  const message = textAt(objectAt(event, "error"), "message") ?? "it reported a failure without a reason";
  return [
    ...(tokens === null ? [] : [{ kind: "counted", tokens: Math.floor(tokens) } as const]),
    { kind: "ended", failure: isGood ? null : message },
  ];
}
