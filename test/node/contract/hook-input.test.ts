import { expect, it } from "vitest";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("what is wrong with an input is logged in plain words, without its content", () => {
  const none = "input is not what Claude Code sends: ";
  for (const [input, why] of [
    ["", "input is empty"],
    ["no json", "input is not JSON"],
    ["{", "input ends in the middle of its JSON object"],
    ["[1]", "input is not a JSON object"],
    ["null", "input is not a JSON object"],
    ['{"session_id":"a"} text', "input has text beside its JSON object"],
    ['{"session_id":"a","prompt":nothing}', "a field of the input is not JSON"],
    ["{}", `${none}session_id is missing or is not text`],
    ['{"session_id":["secret"]}', `${none}session_id is missing or is not text`],
    ['{"session_id":""}', `${none}session_id is empty`],
    [`{"session_id":"${"x".repeat(201)}"}`, `${none}session_id has more than 200 characters`],
  ] as const) {
    const runtime = tempRuntime();
    answerHook(runtime, "Stop", () => input, 1);
    expect(runtime.logged).toEqual([expect.stringContaining(`"Stop: ${why}"`)]);
  }
});
