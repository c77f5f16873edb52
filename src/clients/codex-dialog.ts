import { asObject, listAt, objectAt, parseObject, textAt, type JsonObject } from "../shared/json-fields.ts";

/** [TR212] Codex's dialog as Claude Code's; the call of another tool stays as it is. */
export function withDialog(input: JsonObject): JsonObject {
  if (input["tool_name"] !== "request_user_input") return input;
  const { tool_response: output, ...call } = input;
  const response = output === undefined ? {} : { tool_response: answersOf(input["tool_input"], output) };
  return { ...call, ...response, tool_name: "AskUserQuestion" };
}

/** The answers name a question by its id, which stands for one that is not known. */
export function answersOf(input: unknown, output: unknown): JsonObject {
  const result = typeof output === "string" ? parseObject(output) : asObject(output);
  const questions = listAt(asObject(input), "questions").map(asObject);
  const answers = Object.entries(objectAt(result, "answers") ?? {}).map(([id, answer]) => {
    const question = questions.find((one) => one?.["id"] === id) ?? null;
    return [textAt(question, "question") ?? id, asObject(answer)?.["answers"]];
  });
  return { answers: Object.fromEntries(answers) };
}
