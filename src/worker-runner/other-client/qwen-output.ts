import { numberAt, objectAt, textAt } from "../../shared/json-fields.ts";
import { readEvent } from "../client/claude-events.ts";
import type { OutputEvent, OutputFormat } from "./output-event.ts";

/** Lines of `qwen --output-format stream-json`, which are Claude Code's but for the usage. */
export const qwenOutput: OutputFormat = {
  args: ["--output-format", "stream-json"],
  read(line) {
    const event = readEvent(JSON.stringify(line));
    if (event === null || event === "unreadable") return [];
    if (event.kind === "begun") return [{ kind: "begun", session: event.session, model: event.model }];
    if (event.kind === "message" && event.isOwn) {
      const { texts, tools } = event;
      return [
        ...texts.map((text): OutputEvent => ({ kind: "text", text, isPart: false })),
        ...tools.map((text): OutputEvent => ({ kind: "tool", text })),
      ];
    }
    if (event.kind !== "result") return [];
    const tokens = numberAt(objectAt(line, "usage"), "total_tokens");
    const failure = textAt(objectAt(line, "error"), "message") ?? (event.text || "it reported a failure");
    return [
      ...(tokens === null ? [] : [{ kind: "counted", tokens: Math.floor(tokens) } as const]),
      { kind: "ended", failure: event.isError ? failure : null },
    ];
  },
};
