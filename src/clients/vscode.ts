import { listAt, objectAt, textAt, type JsonObject } from "../shared/json-fields.ts";
import { callsOfFiles, callsOfPatch, defineClient, type ToolNames } from "./define-client.ts";

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

/**
 * Chats of VS Code's local agent, which reads the hook files of Copilot and sends its own payload;
 * other chats of VS Code have the payload of Copilot CLI or Claude Code.
 */
export const vscode = defineClient({
  name: "vscode",
  title: "VS Code",
  verifiedWith: null,
  isTranscriptUnread: true,
  endsSilently: true,
  tools,
  events: {
    SessionStart: (input) => ({ event: "SessionStart", input: { ...input, source: "startup" } }),
    UserPromptSubmit: "UserPromptSubmit",
    PreToolUse: "PreToolUse",
    PostToolUse: "PostToolUse",
    PreCompact: "PreCompact",
    SubagentStop: "SubagentStop",
    Stop: "Stop",
  },
  lacks: [
    "Chats cannot be started or resumed by a command.",
    "The transcript is not read: answers of the model are not in the journal.",
    "A tool that fails and a session that ends fire no event.",
  ],
  sessionOf: (payload) => (isLocalAgents(payload) ? textAt(payload, "sessionId") : null),
  inputOf: ({ sessionId: _id, transcript_path: _path, ...rest }, session) => ({ ...rest, session_id: session }),
  // `editFiles` changes several files: a call for each.
  callsOf(input) {
    const paths = listAt(objectAt(input, "tool_input"), "files").filter((path) => typeof path === "string");
    if (input["tool_name"] !== "editFiles" || paths.length === 0) return callsOfPatch(input);
    return callsOfFiles(
      input,
      paths.map((path) => ({ path, change: undefined })),
    );
  },
  answer: (event, answer) =>
    event === "Stop" && answer.decision !== undefined
      ? { hookSpecificOutput: { hookEventName: event, decision: answer.decision, reason: answer.reason } }
      : answer,
  commands: null,
});

export function isLocalAgents(payload: JsonObject): boolean {
  return typeof payload["sessionId"] === "string" && typeof payload["hookEventName"] === "string";
}
