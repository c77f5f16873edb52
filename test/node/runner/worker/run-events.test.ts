import * as fc from "fast-check";
import { expect, it } from "vitest";
import { forAll } from "#harness/properties.ts";
import { hookClients, type HookClient } from "#src/contract/clients.ts";
import type { JsonObject } from "#src/shared/json-fields.ts";
import { detailsOf } from "#src/clients/details.ts";
import { claudeRun } from "#src/clients/claude-code/claude-run.ts";
import type { RunEvent } from "#src/clients/adapter/run-output.ts";
import { FakeClaude, init, lines, result, says, session } from "#harness/claude/fake-claude.ts";
import { recordedSession } from "#harness/clients/recorded-client.ts";

it("a recorded run is read: the session, what is said, used and refused, and how it ends", () => {
  const read = recordedSession("claude-code")
    .split("\n")
    .map((line) => claudeRun.read(line));
  expect(read).not.toContain(null);
  const events = read.flatMap((found) => found ?? []);
  const kinds = events.map(({ kind }) => kind);
  expect(kinds.slice(0, 4)).toEqual(["begun", "counted", "response", "text"]);
  expect(kinds).toEqual(expect.arrayContaining(["tool"]));
  expect(events).toContainEqual({ kind: "begun", session, model: "claude-opus-5-5", permissions: "dontAsk" });
  expect(events).toContainEqual({ kind: "note", text: "refused: Bash" });
  expect(events).toContainEqual(expect.objectContaining({ kind: "response", isOwn: false }));
  expect(events).not.toContainEqual(expect.objectContaining({ text: "sub text" }));
  const end = { kind: "ended", subtype: "success", isError: false, terminalReason: "completed", isPart: true };
  const used = { turns: 4, refused: 1, tokens: 11_322, costUsd: 0.09713999999999999 };
  expect(events.at(-1)).toEqual({ ...end, ...used, text: "Done: one.ts is fine." });
});

it("half of a line, no JSON, a kind that is not known and fields of a wrong type break nothing", () => {
  for (const line of recordedSession("claude-code").trim().split("\n"))
    for (const cut of [1, Math.floor(line.length / 2), line.length - 1])
      expect([null, []]).toContainEqual(claudeRun.read(line.slice(0, cut)));
  for (const line of ["null", "[]", "7", '"text"', "\u0000", "not json"]) expect(claudeRun.read(line)).toBeNull();
  for (const line of ["", "  ", "{}", '{"type":7}', '{"type":"__proto__"}', '{"type":"toString"}'])
    expect([line, claudeRun.read(line)]).toEqual([line, []]);
});

it("a line of any length and one without an end are read; what cannot be read is reported in one line", async () => {
  const long = `{"type":"user","text":"${"x".repeat(5_000_000)}"}\n`;
  const text = `${lines(init())}no json\n{"type":"assist\n${long}${lines(says({}), result())}`.trimEnd();
  const { outcome, output } = await new FakeClaude([{ text }]).run();
  expect(outcome).toMatchObject({ kind: "done", result: { text: "Done." } });
  expect(output).toContain("3 lines of Claude Code could not be read\n");
});

const read = (client: HookClient, ...lines: readonly JsonObject[]): RunEvent[] =>
  lines.flatMap((line) => detailsOf(client)?.runOutput?.read(JSON.stringify(line)) ?? []);

/** The end of a run, without what only Claude Code reports. */
const ended = (failure: string | null, tokens: number | null = null): object =>
  expect.objectContaining({ kind: "ended", isError: failure !== null, text: failure ?? "", tokens });

const id = "f3c5fbe4-7f1c-45e1-922b-b7811bc83bf9";

it("what Gemini CLI and Qwen Code print is read as their session, texts, calls, tokens and end", () => {
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
    { kind: "tool", name: "run_shell_command", input: { command: "npm test" } },
    ended(null, 2_040),
  ]);
  const within = { type: "text", text: "Within." };
  const use = { type: "tool_use", id: "c1", name: "run_shell_command", input: { command: "npm test" } };
  const qwen = read(
    "qwen",
    { type: "system", subtype: "init", session_id: id, model: "qwen" },
    { type: "assistant", message: { id: "m1", content: [{ type: "text", text: "I look." }, use] } },
    { type: "assistant", parent_tool_use_id: "c1", message: { id: "m2", content: [within] } },
    { type: "result", is_error: false, result: "Done.", usage: { input_tokens: 2_000, total_tokens: 2_040 } },
  );
  expect(qwen).toEqual([
    { kind: "begun", session: id, model: "qwen", permissions: "unknown" },
    { kind: "text", text: "I look.", isPart: false },
    { kind: "tool", name: "run_shell_command", input: { command: "npm test" } },
    ended(null, 2_040),
  ]);
});

it("a failure that a client prints is read with its words", () => {
  expect(read("codex", { type: "turn.failed", error: { message: "429" } })).toEqual([ended("429")]);
  expect(read("gemini", { type: "result", status: "error", error: { message: "quota" } })).toEqual([ended("quota")]);
});

it("unknown lines, and fields of any kind, are skipped", () => {
  const types =
    "system assistant user stream_event rate_limit_event result init message tool_use item.started item.completed turn.completed turn.failed thread.started";
  const fields =
    "subtype message event rate_limit_info modelUsage session_id thread_id item usage error stats parameters";
  const anyFields = Object.fromEntries(fields.split(" ").map((name) => [name, fc.jsonValue()]));
  const anyEvent = fc.record({ type: fc.constantFrom(...types.split(" ")), ...anyFields }, { requiredKeys: ["type"] });
  const readable = hookClients.filter((client) => detailsOf(client)?.runOutput);
  expect(readable).toEqual(["claude-code", "codex", "qwen", "gemini"]);
  const outputs = readable.flatMap((client) => detailsOf(client)?.runOutput ?? []);
  forAll(100, [fc.constantFrom(...outputs), fc.oneof(anyEvent, fc.jsonValue(), fc.string())], (output, value) => {
    const line = typeof value === "string" ? value : JSON.stringify(value);
    return output.read(line)?.every(({ kind }) => typeof kind === "string") ?? true;
  });
});
