import { numberAt, objectAt, textAt } from "../../shared/json-fields.ts";
import { beginEvents, endEvent, runOutput, toolEvent } from "../adapter/run-output.ts";

export const geminiRun = runOutput(["--output-format", "stream-json"], {
  init: (event) => beginEvents(textAt(event, "session_id", 200), textAt(event, "model", 200)),
  message: (event) => {
    const text = textAt(event, "role", 40) === "assistant" ? textAt(event, "content") : null;
    return text === null ? [] : [{ kind: "text", text, isPart: event["delta"] === true }];
  },
  tool_use: (event) => [toolEvent(textAt(event, "tool_name", 200), event["parameters"], null)],
  result: (event) => {
    const message = textAt(objectAt(event, "error"), "message") ?? "it reported a failure without a reason";
    const isGood = textAt(event, "status", 40) === "success";
    return [endEvent(isGood ? null : message, numberAt(objectAt(event, "stats"), "total_tokens"))];
  },
});
