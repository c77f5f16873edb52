import * as fc from "fast-check";
import { expect, it } from "vitest";
import { hookClients, type HookClient } from "#src/contract/clients.ts";
import type { JsonObject } from "#src/shared/json-fields.ts";
import { otherOutput, type RunEvent } from "#src/worker-runner/client/run-events.ts";

function read(client: HookClient, ...lines: readonly JsonObject[]): RunEvent[] {
  return lines.flatMap((line) => otherOutput(client)?.read(JSON.stringify(line)) ?? []);
}

/** The end of a run, without what only Claude Code reports. */
function ended(failure: string | null, tokens: number | null = null): object {
  return expect.objectContaining({ kind: "ended", isError: failure !== null, text: failure ?? "", tokens });
}

const id = "f3c5fbe4-7f1c-45e1-922b-b7811bc83bf9";

it("[CX31] what Gemini CLI and Qwen Code print is read as their session, texts, calls, tokens and end", () => {
  const gemini = read(
    "gemini",
    { type: "init", session_id: id, model: "gemini-2.5-pro" },
    { type: "message", role: "user", content: "Fix it" },
    { type: "message", role: "assistant", content: "I ", delta: true },
    { type: "message", role: "assistant", content: "look.", delta: true },
    { type: "tool_use", tool_name: "run_shell_command", parameters: { command: "npm test" } },
    { type: "tool_result", status: "success", output: "ok" },
    { type: "result", status: "success", stats: { total_tokens: 2_040 } },
  );
  expect(gemini).toEqual([
    { kind: "begun", session: id, model: "gemini-2.5-pro", permissions: null },
    { kind: "text", text: "I ", isPart: true },
    { kind: "text", text: "look.", isPart: true },
    { kind: "tool", text: "run_shell_command npm test", call: null },
    ended(null, 2_040),
  ]);
  const use = { type: "tool_use", id: "c1", name: "run_shell_command", input: { command: "npm test" } };
  const qwen = read(
    "qwen",
    { type: "system", subtype: "init", session_id: id, model: "qwen" },
    { type: "assistant", message: { id: "m1", content: [{ type: "text", text: "I look." }, use] } },
    {
      type: "assistant",
      parent_tool_use_id: "c1",
      message: { id: "m2", content: [{ type: "text", text: "Within." }] },
    },
    { type: "result", is_error: false, result: "Done.", usage: { input_tokens: 2_000, total_tokens: 2_040 } },
  );
  expect(qwen).toEqual([
    { kind: "begun", session: id, model: "qwen", permissions: "unknown" },
    { kind: "text", text: "I look.", isPart: false },
    expect.objectContaining({ kind: "tool", text: "run_shell_command npm test" }),
    ended(null, 2_040),
  ]);
});

it("[CX32] a failure that a client prints is read with its words", () => {
  expect(read("codex", { type: "turn.failed", error: { message: "429" } })).toEqual([ended("429")]);
  expect(read("gemini", { type: "result", status: "error", error: { message: "quota" } })).toEqual([ended("quota")]);
  const failed = { type: "result", is_error: true, error: { message: "no key" } };
  expect(read("qwen", failed)).toEqual([ended("no key")]);
});

it("[CX30] unknown lines, and fields of any kind, are skipped", () => {
  const type = fc.constantFrom(
    "thread.started",
    "item.started",
    "item.completed",
    "turn.completed",
    "turn.failed",
    "init",
    "message",
    "tool_use",
    "result",
    "assistant",
    "system",
  );
  const line = fc.record(
    {
      type,
      item: fc.jsonValue(),
      usage: fc.jsonValue(),
      error: fc.jsonValue(),
      message: fc.jsonValue(),
      stats: fc.jsonValue(),
      parameters: fc.jsonValue(),
      session_id: fc.jsonValue(),
    },
    { requiredKeys: ["type"] },
  );
  const readable = hookClients.filter((client) => otherOutput(client) !== null);
  expect(readable).toEqual(["codex", "qwen", "gemini"]);
  fc.assert(
    fc.property(fc.constantFrom(...readable), line, (client, one) => {
      for (const event of read(client, one)) expect(["begun", "text", "tool", "note", "ended"]).toContain(event.kind);
    }),
  );
});
