import type { HookAnswer } from "../contract/hook-answer.ts";
import { listAt, parseObject, textAt, type JsonObject } from "../shared/json-fields.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { defineClient, unseen } from "./define-client.ts";

/** Cursor's hooks.json, version 1. */
export const cursor = defineClient({
  name: "cursor",
  title: "Cursor",
  verifiedWith: null,
  isTranscriptUnread: true,
  tools: new Map([["Shell", "Bash"]]),
  events: {
    sessionStart: (input) => ({ event: "SessionStart", input: { ...input, source: "startup" } }),
    beforeSubmitPrompt: "UserPromptSubmit",
    preToolUse: "PreToolUse",
    postToolUse: "PostToolUse",
    postToolUseFailure: "PostToolUseFailure",
    preCompact: "PreCompact",
    stop: (input) =>
      input["status"] === "error"
        ? { event: "StopFailure", input: { ...input, error: textAt(input, "error_message") ?? "unknown error" } }
        : { event: "Stop", input },
    sessionEnd: "SessionEnd",
  },
  lacks: [
    unseen,
    "The transcript has neither tool calls nor tokens, and is not read.",
    "Events of a subagent cannot be distinguished from those of the chat.",
  ],
  sessionOf: (payload) => textAt(payload, "conversation_id") ?? textAt(payload, "session_id"),
  inputOf,
  answer,
  commands: {
    resume: (session) => ({ command: "cursor-agent", args: ["--resume", session] }),
    run: (prompt, args) => ({ command: "cursor-agent", args: ["-p", ...args, prompt], input: "" }),
    start: (prompt) => ({ command: "cursor-agent", args: [prompt] }),
  },
});

function inputOf(payload: JsonObject, session: string): JsonObject {
  const {
    generation_id: turn,
    cursor_version: version,
    transcript_path: _,
    duration,
    tool_output: output,
    ...rest
  } = payload;
  return omitUndefined({
    ...rest,
    session_id: session,
    prompt_id: turn,
    client_version: version,
    cwd: textAt(payload, "cwd") ?? listAt(payload, "workspace_roots")[0],
    duration_ms: duration,
    tool_response: typeof output === "string" ? (parseObject(output) ?? undefined) : undefined,
    error: textAt(payload, "error_message") ?? undefined,
  });
}

function answer(event: string, { systemMessage, reason, hookSpecificOutput: inner }: HookAnswer): object {
  if (event === "stop") return omitUndefined({ followup_message: reason });
  if (inner?.permissionDecision !== undefined) {
    const text = inner.permissionDecisionReason;
    return omitUndefined({ permission: inner.permissionDecision, user_message: text, agent_message: text });
  }
  return omitUndefined({ user_message: systemMessage, additional_context: inner?.additionalContext });
}
