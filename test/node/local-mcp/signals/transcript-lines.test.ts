import * as fc from "fast-check";
import { expect, it } from "vitest";
import { readLines, type TranscriptContent } from "#src/local-mcp/signals/transcript-lines.ts";
import {
  aCompactBoundary,
  anApiErrorLine,
  anAssistantLine,
  anAttachmentLine,
  aToolResultLine,
  aToolUse,
  aUserLine,
  T0,
} from "#harness/machine/transcripts.ts";

function read(...lines: readonly string[]): TranscriptContent {
  return readLines(lines.map((text, position) => ({ text, position })));
}

const textsOf = (part: TranscriptContent): string[] => part.texts.map((one) => one.text);

it("[SI4] generated lines never throw", () => {
  const field = fc.constantFrom(
    "type",
    "message",
    "content",
    "usage",
    "uuid",
    "isSidechain",
    "role",
    "id",
    "model",
    "timestamp",
    "compactMetadata",
    "subtype",
  );
  const word = fc.constantFrom("user", "assistant", "system", "compact_boundary", "text", "tool_use", "tool_result");
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.oneof(word, fc.jsonValue({ maxDepth: 1 }), fc.double()),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(field, tie("tree"), { maxKeys: 6 }),
    ),
  }));
  fc.assert(
    fc.property(fc.array(fc.dictionary(field, tree, { minKeys: 1 }), { maxLength: 5 }), (lines) => {
      expect(read(...lines.map((line) => JSON.stringify(line))).invalidLines).toBe(0);
    }),
    { numRuns: 200 },
  );
});

it("[SI5] usage counts once per message id, the last line wins", () => {
  const first = anAssistantLine({ id: "msg_a", usage: { input_tokens: 3, output_tokens: 1 } });
  const last = anAssistantLine({
    id: "msg_a",
    usage: { input_tokens: 3, cache_read_input_tokens: 500, cache_creation_input_tokens: 40, output_tokens: 77 },
  });
  const other = anAssistantLine(
    { id: "msg_b", usage: { input_tokens: 9, output_tokens: 2 } },
    { timestamp: "nonsense" },
  );
  const part = read(first, other, last);
  expect(part.usage).toEqual([
    {
      messageId: "msg_b",
      requestId: "req_1",
      model: "claude-opus-5-5",
      inputTokens: 9,
      cacheReadTokens: 0,
      cacheCreationTokens: 0,
      outputTokens: 2,
      at: null,
    },
    {
      messageId: "msg_a",
      requestId: "req_1",
      model: "claude-opus-5-5",
      inputTokens: 3,
      cacheReadTokens: 500,
      cacheCreationTokens: 40,
      outputTokens: 77,
      at: T0,
    },
  ]);
  expect(part.contextUsage?.messageId).toBe("msg_a");
});

it("[SI5] sub-agents, made-up answers, the client's notes and unknown types count for nothing", () => {
  const part = read(
    anAssistantLine({ id: "msg_sub" }, { isSidechain: true }),
    aUserLine("to the sub-agent", { isSidechain: true }),
    anAssistantLine({
      id: "msg_made_up",
      model: "<synthetic>",
      content: [{ type: "text", text: "No response requested." }],
    }),
    aUserLine("Caveat: ...", { isMeta: true }),
    anAttachmentLine("attached"),
    JSON.stringify({ type: "queue-operation", operation: "enqueue", content: "queued" }),
    JSON.stringify({
      type: "api-request-blob",
      message: { role: "user", content: [{ type: "text", text: "copy" }] },
    }),
  );
  expect(part).toMatchObject({ texts: [], usage: [], toolCalls: [], contextUsage: null, invalidLines: 0 });
});

it("[SI5] tool calls, their errors and the client's own errors are told apart", () => {
  const part = read(
    anAssistantLine({
      content: [{ type: "text", text: "I run it." }, aToolUse("toolu_1", "Bash", { command: "exit 3" })],
    }),
    aToolResultLine("toolu_1", "Exit code 3", true),
    aToolResultLine(
      "toolu_2",
      [{ type: "text", text: "two" }, { type: "image" }, { type: "text", text: "parts" }],
      true,
    ),
    aToolResultLine("toolu_3", "fine", false),
    anApiErrorLine("Prompt is too long"),
  );
  expect(part.toolCalls).toMatchObject([{ id: "toolu_1", name: "Bash", input: { command: "exit 3" }, at: T0 }]);
  expect(part.toolEnds).toMatchObject([
    { toolUseId: "toolu_1", error: "Exit code 3" },
    { toolUseId: "toolu_2", error: "two\nparts" },
    { toolUseId: "toolu_3", error: null },
  ]);
  expect(part.apiErrors).toMatchObject([{ text: "Prompt is too long" }]);
  expect(textsOf(part)).toEqual(["I run it."]);
});

it("[SI5] a compaction ends what was known of the context, and its summary is no message of the user", () => {
  const before = anAssistantLine({ id: "msg_before" });
  const summary = aUserLine("We were fixing the parser.", { isCompactSummary: true });
  const compacted = [before, aCompactBoundary(180_000), summary];
  const part = read(...compacted);
  expect(part.compactBoundary).toEqual({ at: T0 });
  expect(part.contextUsage).toBeNull();
  expect(textsOf(part)).toEqual(["Done."]);
  const after = read(...compacted, anAssistantLine({ id: "msg_after" }));
  expect(after.contextUsage?.messageId).toBe("msg_after");
  expect(read(summary)).toMatchObject({ texts: [], compactBoundary: null });
});
