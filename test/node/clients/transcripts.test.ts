import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { transcriptFormat } from "#src/clients/details.ts";
import type { TranscriptContent } from "#src/clients/transcript/transcript-draft.ts";
import { rowsIn } from "#src/clients/transcript/transcript-rows.ts";
import { readRows } from "#src/clients/transcript.ts";

function read(client: string, lines: readonly object[]): TranscriptContent {
  const text = lines.map((line) => JSON.stringify(line)).join("\n");
  return readRows(rowsIn(Buffer.from(text)), () => false, transcriptFormat(client));
}

const timestamp = "2026-11-21T12:00:00.000Z";
const at = Date.parse(timestamp);

it("records of Qwen Code: texts, calls with the ids of the hooks, usage and version", () => {
  const frame = { uuid: "q1", timestamp, cwd: "/p", version: "0.24.4" };
  const content = read("qwen", [
    { ...frame, type: "user", message: { role: "user", parts: [{ text: "fix it" }] } },
    {
      ...frame,
      uuid: "q2",
      type: "assistant",
      model: "scripted",
      message: {
        role: "model",
        parts: [
          { text: "thinking", thought: true },
          { text: "I look." },
          { functionCall: { id: "call_1", name: "edit", args: { file_path: "a.ts" } } },
        ],
      },
      usageMetadata: { promptTokenCount: 1_000, cachedContentTokenCount: 200, candidatesTokenCount: 20 },
    },
    { ...frame, uuid: "q3", type: "tool_result", toolCallResult: { callId: "call_1", status: "success" } },
    {
      ...frame,
      uuid: "q4",
      type: "tool_result",
      toolCallResult: { callId: "call_2", status: "error", error: { message: "no such file" } },
    },
    { ...frame, uuid: "q5", type: "tool_result", message: { parts: [] } },
  ]);
  expect(content).toMatchObject({
    clientVersion: "0.24.4",
    texts: [
      { role: "user", text: "fix it", at, uuid: "q1" },
      { role: "assistant", text: "I look.", at, uuid: "q2" },
    ],
    toolCalls: [{ id: "call_1", name: "Edit", input: { file_path: "/p/a.ts" } }],
    toolEnds: [
      { toolUseId: "call_1", error: null },
      { toolUseId: "call_2", error: "no such file" },
    ],
    contextUsage: { messageId: "q2", model: "scripted", inputTokens: 800, cacheReadTokens: 200, outputTokens: 20 },
  });
  const compacted = read("qwen", [{ ...frame, type: "system", subtype: "chat_compression" }]);
  expect(compacted).toMatchObject({ compactBoundary: { at }, contextUsage: null });
  expect(read("qwen", [{ ...frame, type: "system", subtype: "ui_telemetry" }]).compactBoundary).toBeNull();
});

function event(type: string, data: object, more: object = {}): object {
  return { type, data, id: type, timestamp, ...more };
}

it("events of Copilot CLI: texts, usage, errors, compaction and version, of the chat alone", () => {
  const content = read("copilot", [
    event("session.start", { sessionId: "s1", copilotVersion: "1.0.102" }),
    event("user.message", { content: "fix it" }),
    event("assistant.message", { messageId: "m1", content: "I look." }),
    event("assistant.message", { messageId: "m2", content: "of a subagent" }, { agentId: "a1" }),
    event("session.usage_record", {
      usage: { model: "scripted", inputTokens: 1_000, cacheReadTokens: 100, outputTokens: 20 },
    }),
    event("session.error", { errorType: "query", message: "overloaded" }),
  ]);
  expect(content).toMatchObject({
    clientVersion: "1.0.102",
    texts: [
      { role: "user", text: "fix it" },
      { role: "assistant", text: "I look." },
    ],
    toolCalls: [],
    apiErrors: [{ text: "overloaded", at }],
    outcomes: [{ isFailed: false }, { isFailed: true }],
    contextUsage: { model: "scripted", inputTokens: 900, cacheReadTokens: 100, outputTokens: 20 },
  });
  const compaction = (success: boolean): TranscriptContent =>
    read("copilot", [event("session.compaction_complete", { success })]);
  expect(compaction(true).compactBoundary).toEqual({ at });
  expect(compaction(false).compactBoundary).toBeNull();
});

it("messages of Gemini CLI, of which the last writing counts", () => {
  const content = read("gemini", [
    { sessionId: "s1", projectHash: "h", startTime: timestamp },
    { id: "g1", timestamp, type: "user", content: [{ text: "fix it" }] },
    { $set: { lastUpdated: timestamp } },
    { id: "g2", timestamp, type: "gemini", content: "", tokens: { input: 10, output: 1, cached: 0 } },
    {
      id: "g2",
      timestamp,
      type: "gemini",
      content: "I look.",
      model: "gemini-2.5-pro",
      tokens: { input: 1_000, output: 20, cached: 100, thoughts: 5 },
    },
    { id: "g3", timestamp, type: "error", content: "quota exceeded" },
  ]);
  expect(content).toMatchObject({
    texts: [
      { role: "user", text: "fix it", uuid: "g1" },
      { role: "assistant", text: "I look.", uuid: "g2" },
    ],
    usage: [{ messageId: "g2", model: "gemini-2.5-pro", inputTokens: 900, cacheReadTokens: 100, outputTokens: 25 }],
    apiErrors: [{ text: "quota exceeded" }],
  });
});

it("lines of Claude Code name its version; a client without a format has Claude Code's", () => {
  const line = { type: "user", version: "2.1.329", message: { content: "hello" }, uuid: "c1", timestamp };
  expect(read("claude-code", [line])).toMatchObject({ clientVersion: "2.1.329", texts: [{ text: "hello" }] });
  expect(transcriptFormat("constructor")).toBe(transcriptFormat("claude-code"));
});

function recorded(client: string): TranscriptContent {
  const file = new URL(`../../harness/clients/transcripts/${client}.jsonl`, import.meta.url);
  return readRows(rowsIn(readFileSync(file)), () => false, transcriptFormat(client));
}

it.each([
  ["qwen", "0.24.4", false],
  ["copilot", "1.0.102", true],
  ["gemini", null, true],
])(
  "a transcript of the real %s: the words of both, five answers, and calls, marked where hooks give them no id",
  (...expected) => {
    const [client, clientVersion, isUnhooked] = expected;
    const content = recorded(client);
    expect(content.clientVersion).toBe(clientVersion);
    expect(new Set(content.texts.map(({ role, text }) => `${role}: ${text}`))).toEqual(
      new Set([
        "user: Make the parser accept empty input",
        "assistant: I look at the parser first.",
        "assistant: The parser accepts it now.",
      ]),
    );
    expect(content.usage).toHaveLength(5);
    expect(content.contextUsage).toMatchObject({ inputTokens: 1_000, outputTokens: 20 });
    expect(content.toolCalls.map(({ name }) => name)).toEqual(["Bash", "Write", "Read", "Bash"]);
    expect(content.toolCalls.every((call) => call.isUnhooked === true)).toBe(isUnhooked);
    expect(content.toolEnds.map(({ error }) => error !== null)).toEqual([false, false, true, true]);
  },
);
