import { numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { readEvent, type ClaudeEvent, type ResultEvent } from "../client/claude-events.ts";
import type { OutputEvent, OutputFormat } from "./output-event.ts";

/** Lines of `qwen --output-format stream-json`, which are Claude Code's but for the usage. */
export const qwenOutput: OutputFormat = {
  args: ["--output-format", "stream-json"],
  read(line) {
    const event = readEvent(JSON.stringify(line));
    if (event === null || event === "unreadable") return [];
    if (event.kind === "begun") return [{ kind: "begun", session: event.session, model: event.model }];
    if (event.kind === "message") return event.isOwn ? saidIn(event) : [];
    return event.kind === "result" ? ended(event, line) : [];
  },
};

function saidIn({ texts, tools }: Extract<ClaudeEvent, { kind: "message" }>): OutputEvent[] {
  return [
    ...texts.map((text) => ({ kind: "text", text, isPart: false }) as const),
    ...tools.map((text) => ({ kind: "tool", text }) as const),
  ];
}

function ended({ isError, text }: ResultEvent, line: JsonObject): OutputEvent[] {
  const tokens = numberAt(objectAt(line, "usage"), "total_tokens");
  const failure = textAt(objectAt(line, "error"), "message") ?? (text || "it reported a failure");
  return [
    ...(tokens === null ? [] : [{ kind: "counted", tokens: Math.floor(tokens) } as const]),
    { kind: "ended", failure: isError ? failure : null },
  ];
}
