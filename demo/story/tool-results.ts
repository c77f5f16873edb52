import type { ModelRequest } from "../../test/harness/claude/scripted-model.ts";
import type { ToolCall } from "../../test/harness/clients/model-formats.ts";
import { isRecord, listAt, parseObject } from "../../src/shared/json-fields.ts";

/** What one tool call of the model's last answer has returned. */
export interface ToolResult {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly isError: boolean;
}

/** The results since the model's last answer, in the order of its calls; none where a user has spoken since. */
export function toolResultsOf({ body }: ModelRequest): ToolResult[] {
  const messages = listAt(body, "messages").filter(isRecord);
  const lastAnswer = messages.findLastIndex(({ role }) => role === "assistant");
  const answer = messages[lastAnswer];
  if (!answer) return [];
  const results = messages.slice(lastAnswer + 1).flatMap(({ content }) => blocksOf(content));
  return blocksOf(answer["content"])
    .filter(({ type }) => type === "tool_use")
    .flatMap(({ id, name, input }) => {
      const result = results.find((block) => block["type"] === "tool_result" && block["tool_use_id"] === id);
      if (!result) return [];
      const text = textOf(result["content"]);
      return [{ name: String(name), input: isRecord(input) ? input : {}, text, isError: result["is_error"] === true }];
    });
}

/** Whether the user, or a supervisor for the user, has said this since the model's last answer. */
export function hasUserSaid({ body }: ModelRequest, words: string): boolean {
  const messages = listAt(body, "messages").filter(isRecord);
  const lastAnswer = messages.findLastIndex(({ role }) => role === "assistant");
  return messages
    .slice(lastAnswer + 1)
    .some(({ content }) => (typeof content === "string" ? content : textOf(content)).includes(words));
}

/** The structured answer of a tool of SHIM. */
export function answerOf({ text }: ToolResult): Readonly<Record<string, unknown>> {
  return parseObject(text) ?? {};
}

const shimPrefix = "mcp__shim__";

export function shimTool(name: string, input: Readonly<Record<string, unknown>> = {}): ToolCall {
  return { name: `${shimPrefix}${name}`, input };
}

export function isShimTool({ name }: ToolResult, tool: string): boolean {
  return name === `${shimPrefix}${tool}`;
}

function blocksOf(content: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(content) ? content.filter(isRecord) : [];
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  return blocksOf(content)
    .map(({ text }) => (typeof text === "string" ? text : ""))
    .join("\n");
}
