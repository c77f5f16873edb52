import * as fc from "fast-check";
import { expect, it } from "vitest";
import { claudeOutput } from "#src/worker-runner/client/run-events.ts";
import { FakeClaude, init, lines, recordedStream, result, says, session } from "#harness/claude/fake-claude.ts";

it("[CX8] a recorded run is read: the session, what is said, used and refused, and how it ends", () => {
  const read = recordedStream()
    .split("\n")
    .map((line) => claudeOutput.read(line));
  expect(read).not.toContain(null);
  const events = read.flatMap((found) => found ?? []);
  const kinds = events.map(({ kind }) => kind);
  expect(kinds.slice(0, 4)).toEqual(["begun", "counted", "response", "text"]);
  expect(kinds).toEqual(expect.arrayContaining(["tool", "toolResult"]));
  expect(events).toContainEqual({ kind: "begun", session, model: "claude-opus-5-5", permissions: "dontAsk" });
  expect(events).toContainEqual({ kind: "note", text: "refused: Bash" });
  expect(events).toContainEqual(expect.objectContaining({ kind: "response", isOwn: false }));
  expect(events).not.toContainEqual(expect.objectContaining({ text: "sub text" }));
  expect(events.at(-1)).toEqual({
    kind: "ended",
    subtype: "success",
    isError: false,
    terminalReason: "completed",
    text: "Done: one.ts is fine.",
    turns: 4,
    refused: 1,
    tokens: 11_322,
    costUsd: 0.09713999999999999,
    isPart: true,
  });
});

it("[CX8] half of a line, no JSON, a kind that is not known and fields of a wrong type break nothing", () => {
  for (const line of recordedStream().trim().split("\n")) {
    for (const cut of [1, Math.floor(line.length / 2), line.length - 1]) {
      expect([null, []]).toContainEqual(claudeOutput.read(line.slice(0, cut)));
    }
  }
  for (const line of ["null", "[]", "7", '"text"', "{", "\u0000", "not json"])
    expect(claudeOutput.read(line)).toBeNull();
  for (const line of [
    "",
    "  ",
    "{}",
    '{"type":"new_kind"}',
    '{"type":7}',
    '{"type":"__proto__"}',
    '{"type":"toString"}',
  ]) {
    expect([line, claudeOutput.read(line)]).toEqual([line, []]);
  }
  const wrong = { subtype: 5, is_error: "yes", num_turns: "many", result: {}, errors: [1], permission_denials: {} };
  const line = JSON.stringify({ type: "result", ...wrong, modelUsage: { a: 1, b: { inputTokens: -5 } } });
  expect(claudeOutput.read(line)).toEqual([
    {
      kind: "ended",
      subtype: "unknown",
      isError: false,
      terminalReason: null,
      text: "",
      turns: 0,
      refused: 0,
      tokens: 0,
      costUsd: 0,
      isPart: false,
    },
  ]);
});

it("[CX8] any line is read or passed over", () => {
  const anyEvent = fc.record(
    {
      type: fc.constantFrom("system", "assistant", "stream_event", "rate_limit_event", "result", "user"),
      subtype: fc.oneof(fc.constantFrom("init", "permission_denied", "api_retry"), fc.jsonValue()),
      message: fc.jsonValue(),
      event: fc.jsonValue(),
      rate_limit_info: fc.jsonValue(),
      modelUsage: fc.jsonValue(),
      session_id: fc.jsonValue(),
    },
    { requiredKeys: ["type"] },
  );
  fc.assert(
    fc.property(fc.oneof(anyEvent, fc.jsonValue(), fc.string()), (value) => {
      const line = typeof value === "string" ? value : JSON.stringify(value);
      return claudeOutput.read(line)?.every(({ kind }) => typeof kind === "string") ?? true;
    }),
  );
});

it("[CX8] a line of any length costs no more than the line, and what cannot be read is reported in one line", async () => {
  const long = `{"type":"user","text":"${"x".repeat(5_000_000)}"}\n`;
  const claude = new FakeClaude([
    { text: `${lines(init())}no json\n{"type":"assist\n${long}${lines(says({}), result())}` },
  ]);
  const { outcome, output } = await claude.run();
  expect(outcome).toMatchObject({ kind: "done", result: { text: "Done." } });
  expect(output).toContain("3 lines of Claude Code could not be read\n");
});

it("[CX8] the last line may have no end, and lines come in pieces", async () => {
  const text = recordedStream().trimEnd();
  const claude = new FakeClaude([{ text }]);
  const { outcome } = await claude.run();
  expect(outcome).toMatchObject({ kind: "done", result: { text: "Done: one.ts is fine.", refused: 1, turns: 4 } });
});
