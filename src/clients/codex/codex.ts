import {
  asObject,
  listAt,
  numberAt,
  objectAt,
  parseObject,
  textAt,
  type JsonObject,
} from "../../shared/json-fields.ts";
import { defineClient, isOfSubagent } from "../adapter/client-adapter.ts";
import { withAgentBehind } from "../adapter/tools.ts";

/** Codex has Claude Code's payload, its events and its form of answers, with these differences. */
export const codex = defineClient({
  name: "codex",
  title: "Codex",
  verifiedWith: "0.169.0",
  threads: "server-each",
  hidesFailures: true,
  hidesErrors: true,
  // A call is refused whose hook answers with an input or rules; no hook is asked about a question.
  answers: { dialog: "after-hook", permission: ["allow", "deny"], question: [], plan: [] },
  continuesAtStop: true,
  window: { prompt: "server", stop: "server" },
  // Its summary is encrypted.
  compaction: { keepsPrompts: true, showsSummary: false },
  limitIn: (error) => (error["codex_error_info"] === "usage_limit_exceeded" ? { resetsAtMs: null } : null),
  variables: {
    own: () => [/^(CODEX_\w+|OPENAI_\w+|AZURE_OPENAI_\w+)$/],
    ofChat: /^CODEX_(SESSION_ID|THREAD_ID|TOOL_CALL_ID|VERSION|MANAGED_\w+)$/,
    session: "CODEX_SESSION_ID",
  },
  events: {
    SessionStart: "SessionStart",
    UserPromptSubmit: "UserPromptSubmit",
    PreToolUse: "PreToolUse",
    PostToolUse: "PostToolUse",
    PermissionRequest: "PermissionRequest",
    PreCompact: "PreCompact",
    PostCompact: "PostCompact",
    SubagentStop: "SubagentStop",
    Stop: "Stop",
    SessionEnd: "SessionEnd",
  },
  lacks: [
    "Hooks run only after the user trusts them.",
    "A start's context is cut to about 2,500 tokens.",
    "A failed shell command is reported like a successful one.",
    "An API error fires no event but the end of the session.",
  ],
  // The transcript named in a subagent's events is its own.
  inputOf({ turn_id: turn, transcript_path: transcript, ...rest }) {
    const own = isOfSubagent(rest) ? {} : { transcript_path: transcript };
    return withPrinted(withAgent(withDialog({ ...rest, ...own, prompt_id: turn })));
  },
  commands: {
    resume: (session) => ({ command: "codex", args: ["resume", session] }),
    run(prompt, args, chat) {
      const [words, id] = chat === undefined || chat.isNew ? [["exec"], []] : [["exec", "resume"], [chat.id]];
      return { command: "codex", args: [...words, ...args, ...id, "-"], input: prompt };
    },
    start: (prompt) => ({ command: "codex", args: [prompt] }),
  },
});

/** Codex's dialog as Claude Code's; the call of another tool stays as it is. */
function withDialog(input: JsonObject): JsonObject {
  if (input["tool_name"] !== "request_user_input") return input;
  const { tool_response: output, ...call } = input;
  const response = output === undefined ? {} : { tool_response: answersOf(input["tool_input"], output) };
  return { ...call, ...response, tool_name: "AskUserQuestion" };
}

/** Finds a sub-agent's thread in the output of the call that started it. */
export const spawned = /"agent_id":\s?"([\w-]{1,80})"/;

/** Hooks write it before the names of some of its tools, and no sign in between. */
export const agentsNamespace = /^(?:multi_agent_v\d+|collaboration)(?:__)?/;

/** Sub-agents of Codex work on behind the turn. */
function withAgent(input: JsonObject): JsonObject {
  const given = asObject(input["tool_input"]);
  const tool = textAt(input, "tool_name")?.replace(agentsNamespace, "");
  if (tool === "close_agent") return { ...input, tool_name: "TaskStop", tool_input: { task_id: given?.["target"] } };
  if (tool !== "spawn_agent") return input;
  const call = { ...input, tool_name: "Agent", tool_input: { prompt: given?.["message"] } };
  return withAgentBehind(call, textAt(input, "tool_response"), spawned);
}

/** Output of a command as its rollout has it, too. */
function withPrinted(input: JsonObject): JsonObject {
  const { tool_name: tool, tool_response: output } = input;
  const parts = Array.isArray(output) ? output.map((part) => textAt(asObject(part), "text") ?? "") : [output];
  const text = parts.filter((part) => typeof part === "string").join("\n");
  return tool === "Bash" && text !== "" ? { ...input, tool_response: printedIn(text) } : input;
}

interface Printed extends JsonObject {
  readonly stdout: string;
  readonly exit_code?: number;
}

/** A command's result as an object, which a program may print as it is: the last line. */
function resultIn(output: string): JsonObject | null {
  const text = output.trimEnd();
  const line = text.slice(text.lastIndexOf("\n") + 1);
  const result = line.startsWith("{") && line.includes('"output":') ? parseObject(line) : null;
  return result !== null && resultFields.some((name) => name in result) ? result : null;
}

const resultFields = ["exit_code", "metadata", "session_id", "chunk_id"];

/** Lines that the client puts before a command's output. */
export const headChars = 300;
const exitCode = /^(?:Process exited with code|Exit code:?) (\d+)$/m;
const outputStart = /^(?:[^\n]*\n){0,8}?Output:\n/;

/** Output of a command, and its exit code where the client names it. */
export function printedIn(output: string): Printed {
  const head = output.slice(0, headChars);
  const result = resultIn(output);
  const code = exitCode.exec(head)?.[1];
  const inResult = numberAt(result, "exit_code") ?? numberAt(objectAt(result, "metadata"), "exit_code");
  const known = code === undefined ? inResult : Number(code);
  const stdout =
    result === null ? output.slice(outputStart.exec(head)?.[0].length ?? 0) : (textAt(result, "output") ?? "");
  const running = runningSession.exec(head)?.[1];
  const background = running === undefined ? {} : { backgroundTaskId: backgroundId(Number(running)) };
  return { stdout, ...(known === null ? {} : { exit_code: known }), ...background };
}

export const runningSession = /^Process running with session ID (\d+)$/m;

/** @param session number by which later calls name a command that runs on */
export function backgroundId(session: number): string {
  return `session-${session}`;
}

/** The answers name a question by its id, which stands for one that is not known. */
export function answersOf(input: unknown, output: unknown): JsonObject {
  const result = typeof output === "string" ? parseObject(output) : asObject(output);
  const questions = listAt(asObject(input), "questions").map(asObject);
  const answers = Object.entries(objectAt(result, "answers") ?? {}).map(([id, answer]) => {
    const question = questions.find((one) => one?.["id"] === id) ?? null;
    return [textAt(question, "question") ?? id, asObject(answer)?.["answers"]];
  });
  return { answers: Object.fromEntries(answers) };
}
