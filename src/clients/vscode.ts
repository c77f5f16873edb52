import { listAt, objectAt, type JsonObject } from "../shared/json-fields.ts";
import { withClaudeTool, type ToolNames } from "./claude-tools.ts";
import type { ClientAdapter } from "./client-adapter.ts";
import { as, ofMainChat, type EventReader, type EventReaders } from "./client-events.ts";
import { callsOfFiles, callsOfPatch } from "./patch-files.ts";

/**
 * Chats of VS Code's local agent, which reads the hook files of Copilot and sends its own payload;
 * other chats of VS Code have the payload of Copilot CLI or Claude Code.
 */
export const vscode: ClientAdapter = {
  name: "vscode",
  title: "VS Code",
  verifiedWith: null,
  isTranscriptUnread: true,
  endsSilently: true,
  events: ["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PreCompact", "SubagentStop", "Stop"],
  lacks: [
    "Chats cannot be started or resumed by a command.",
    "The transcript is not read: answers of the model are not in the journal.",
    "A tool that fails and a session that ends fire no event.",
  ],
  normalise(event, payload) {
    const { sessionId: session, transcript_path: _, ...rest } = payload;
    if (!isLocalAgents(payload)) return null;
    return readers.get(event)?.({ ...rest, session_id: session }) ?? [];
  },
  answer: (event, answer) =>
    event === "Stop" && answer.decision !== undefined
      ? { hookSpecificOutput: { hookEventName: event, decision: answer.decision, reason: answer.reason } }
      : answer,
  commands: null,
};

export function isLocalAgents(payload: JsonObject): boolean {
  return typeof payload["sessionId"] === "string" && typeof payload["hookEventName"] === "string";
}

const readers: EventReaders = new Map<string, EventReader>([
  ["SessionStart", (input) => [{ event: "SessionStart", input: { ...input, source: "startup" } }]],
  ["UserPromptSubmit", ofMainChat("UserPromptSubmit")],
  ["PreToolUse", (input) => callsOf(input).map((one) => ({ event: "PreToolUse", input: one }))],
  ["PostToolUse", (input) => callsOf(input).map((one) => ({ event: "PostToolUse", input: one }))],
  ["PreCompact", as("PreCompact")],
  ["SubagentStop", as("SubagentStop")],
  ["Stop", ofMainChat("Stop")],
]);

const tools: ToolNames = new Map([
  ["run_in_terminal", "Bash"],
  ["runInTerminal", "Bash"],
  ["read_file", "Read"],
  ["readFile", "Read"],
  ["create_file", "Write"],
  ["createFile", "Write"],
  ["replace_string_in_file", "Edit"],
  ["insert_edit_into_file", "Edit"],
  ["runSubagent", "Agent"],
]);

/** `editFiles` changes several files: a call for each. */
function callsOf(input: JsonObject): JsonObject[] {
  const paths = listAt(objectAt(input, "tool_input"), "files").filter((path) => typeof path === "string");
  if (input["tool_name"] !== "editFiles" || paths.length === 0) return callsOfPatch(withClaudeTool(input, tools));
  return callsOfFiles(
    input,
    paths.map((path) => ({ path, change: undefined })),
  );
}
