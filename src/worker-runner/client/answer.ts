import type { Json } from "../../contract/json.ts";
import { redactAndClip } from "../../local-mcp/sessions/entries.ts";
import { redactJson } from "../../redaction/redact.ts";
import { parseObject, textAt } from "../../shared/json-fields.ts";
import type { RunOutcome } from "../executor.ts";

const maxTextChars = 100_000;
const maxReasonChars = 400;

/**
 * [CX11] Reads the last line if it has one of the two forms that the prompt names.
 *
 * @param facts for the result
 */
export function outcomeOfAnswer(text: string, facts: Readonly<Record<string, Json>>): RunOutcome {
  const lastLine = parseLastLine(text);
  if (lastLine?.["shim"] === "failed") {
    const isRetryable = lastLine["isRetryable"] === true;
    return {
      kind: "failed",
      reason: toReason(textAt(lastLine, "reason") ?? "it reported a failure without a reason"),
      isRetryable,
    };
  }
  const resultField =
    lastLine?.["shim"] === "done" && "result" in lastLine
      ? { value: redactJson(lastLine["result"]).value as Json }
      : {};
  return { kind: "done", result: { text: fitText(text), ...resultField, ...facts } };
}

/** A character may take six in JSON; a result has room for two and a half times as many. */
function fitText(text: string): string {
  const bounded = redactAndClip(text, maxTextChars);
  return JSON.stringify(bounded).length <= 2 * maxTextChars ? bounded : redactAndClip(text, maxTextChars / 6);
}

/** Models like to put JSON into a code block. */
function parseLastLine(text: string): ReturnType<typeof parseObject> {
  const lines = text.split("\n").map((line) => line.trim());
  const lastLine = lines.findLast((line) => line !== "" && line !== "```") ?? "";
  return lastLine.startsWith("{") ? parseObject(lastLine) : null;
}

export function toReason(text: string): string {
  return redactAndClip(text, maxReasonChars).replaceAll(/\s+/g, " ").trim() || "no reason is given";
}
