import { expect, it } from "vitest";
import { answerHook } from "#src/local-mcp/hooks/answer-hook.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("[HO1] what is wrong with an input is logged in plain words, without its content", () => {
  const none = "input is not what Claude Code sends: ";
  for (const [input, why] of [
    ["{", "input is not JSON"],
    ["[1]", `${none}a JSON object is required`],
    ["null", `${none}a JSON object is required`],
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
