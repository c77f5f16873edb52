import { numberAt, objectAt, textAt } from "../../shared/json-fields.ts";
import { endEvent, runOutput } from "../adapter/run-output.ts";
import { readAssistant, readEnd, readSystem } from "../claude-code/claude-run.ts";

/** Lines of Claude Code, but for the usage. */
export const qwenRun = runOutput(["--output-format", "stream-json"], {
  system: readSystem,
  assistant: (event) => readAssistant(event).filter(({ kind }) => kind !== "response"),
  result: (event) => {
    const { isError, text, turns } = readEnd(event);
    const failure = textAt(objectAt(event, "error"), "message") ?? (text || "it reported a failure");
    return [{ ...endEvent(isError ? failure : null, numberAt(objectAt(event, "usage"), "total_tokens")), turns }];
  },
});
