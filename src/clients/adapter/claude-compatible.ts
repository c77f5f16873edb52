import type { HookEvent } from "../../contract/hook-input.ts";
import type { ClientAdapter } from "./client-adapter.ts";
import { defineClient, isCreated, withClaudeTool, withNewFile, type ToolNames } from "./define-client.ts";
import { withShellResult } from "./shell-results.ts";

/** A client with Claude Code's events, payload and answers, and its differences. */
interface Quirks extends Omit<ClientAdapter, "events" | "normalise" | "answer"> {
  readonly events: readonly HookEvent[];
  readonly tools?: ToolNames;
  /** Field with the id that the start and the end of a tool call share. */
  readonly callId?: string;
  /** Variable with the client's version. */
  readonly versionVariable?: string;
}

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
      return withShellResult(withNewFile(withClaudeTool(given, tools), isCreated));
    },
  });
}
