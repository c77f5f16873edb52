import type { HookEvent } from "../../contract/hooks.ts";
import { asObject, objectAt, textAt } from "../../shared/json-fields.ts";
import {
  type ClientAdapter,
  defineClient,
  isCreated,
  withClaudeTool,
  withNewFile,
  type ToolNames,
} from "./client-adapter.ts";
import { withAgentBehind, withShellResult } from "./tools.ts";

/** A client with Claude Code's events, payload and answers, and its differences. */
interface Quirks extends Omit<ClientAdapter, "events" | "normalise" | "answer"> {
  readonly events: readonly HookEvent[];
  readonly tools?: ToolNames;
  /** Field with the id that the start and the end of a tool call share. */
  readonly callId?: string;
  /** Variable with the client's version. */
  readonly versionVariable?: string;
}

/** Result of the call of a sub-agent that works on behind the turn. */
export const launched = /^Background agent launched successfully\.\ntask_id: ([\w.:-]{1,200})/;

export function claudeCompatible({
  events,
  tools = new Map(),
  callId = "tool_use_id",
  versionVariable = "",
  ...quirks
}: Quirks): ClientAdapter {
  const named = events.map((event) => [event, event] as const);
  return defineClient({
    ...quirks,
    events: {
      ...Object.fromEntries(named),
      // Qwen Code reports each batch of tool results as a prompt without text.
      UserPromptSubmit: (input) => (input["prompt"] === "" ? null : { event: "UserPromptSubmit", input }),
      // An editor's agent ends, beside the editor's sessions, one that never began.
      ...(events.includes("SessionEnd") && {
        SessionEnd: (input) => (input["transcript_path"] === "" ? null : { event: "SessionEnd", input }),
      }),
    },
    inputOf(payload, _session, env) {
      const { transcript_path: transcript, ...rest } = payload;
      const read = quirks.isTranscriptUnread ? {} : { transcript_path: transcript };
      const given = { client_version: env[versionVariable], ...rest, ...read, tool_use_id: payload[callId] };
      const input = withShellResult(withNewFile(withClaudeTool(given, tools), isCreated));
      return withAgentBehind(input, textAt(objectAt(input, "tool_response"), "llmContent"), launched);
    },
  });
}

/** Fields of other clients for the three tools that read and change files. */
const fileFields: ReadonlyMap<string, string> = new Map([
  ["filePath", "file_path"],
  ["path", "file_path"],
  ["absolute_path", "file_path"],
  ["oldString", "old_string"],
  ["old_str", "old_string"],
  ["newString", "new_string"],
  ["new_str", "new_string"],
  ["replaceAll", "replace_all"],
  ["file_text", "content"],
]);
const fileTools: ReadonlySet<string> = new Set(["Edit", "Read", "Write"]);

/**
 * Pure. The input of a call in Claude Code's words.
 *
 * @param cwd folder of relative paths; null: not known
 */
export function inClaudeWords(name: string, input: unknown, cwd: string | null): unknown {
  const given = fileTools.has(name) ? asObject(input) : null;
  if (!given) return input;
  const renamed = Object.entries(given).map(([field, value]) => [fileFields.get(field) ?? field, value] as const);
  const call = { tool_name: name, tool_input: Object.fromEntries(renamed), ...(cwd === null ? {} : { cwd }) };
  return withClaudeTool(call, new Map())["tool_input"];
}
