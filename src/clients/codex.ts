import { resolve } from "node:path";
import type { HookEvent } from "../contract/hook-input.ts";
import { objectAt, textAt, type JsonObject } from "../shared/json-fields.ts";
import type { ClientAdapter, ClientEvent } from "./client-adapter.ts";

/** Codex has Claude Code's payload, its events and its form of answers, with these differences. */
export const codex: ClientAdapter = {
  name: "codex",
  title: "Codex",
  verifiedWith: "0.169.0",
  events: [
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PermissionRequest",
    "PreCompact",
    "PostCompact",
    "SubagentStop",
    "Stop",
    "SessionEnd",
  ],
  lacks: [
    "Hooks run only after the user trusts them.",
    "A start's context is cut to about 2,500 tokens.",
    "A failed shell command is reported like a successful one.",
    "An API error fires no event but the end of the session.",
  ],
  normalise(event, payload) {
    if (typeof payload["session_id"] !== "string") return null;
    return event in readers ? (readers[event]?.(inputOf(payload), payload) ?? []) : [];
  },
  answer: (_event, answer) => answer,
  commands: {
    resume: (session) => ({ command: "codex", args: ["resume", session] }),
    run: (prompt, args) => ({ command: "codex", args: ["exec", ...args, prompt] }),
    start: (prompt) => ({ command: "codex", args: [prompt] }),
  },
};

type Reader = (input: JsonObject, payload: JsonObject) => ClientEvent[];

function as(event: HookEvent): Reader {
  return (input) => [{ event, input }];
}

const readers: Readonly<Record<string, Reader>> = {
  SessionStart: as("SessionStart"),
  // A subagent's task is no request of the user.
  UserPromptSubmit: (input) => (isOfSubagent(input) ? [] : [{ event: "UserPromptSubmit", input }]),
  PreToolUse: (input) => filesOf(input).map((one) => ({ event: "PreToolUse", input: one })),
  PostToolUse: (input) => filesOf(input).map((one) => ({ event: "PostToolUse", input: one })),
  PermissionRequest: (input) => [
    { event: "Notification", input: { ...input, notification_type: "permission_prompt" } },
  ],
  PreCompact: as("PreCompact"),
  PostCompact: as("PostCompact"),
  SubagentStop: as("SubagentStop"),
  Stop: (input) => (isOfSubagent(input) ? [] : [{ event: "Stop", input }]),
  SessionEnd: as("SessionEnd"),
};

function isOfSubagent(input: JsonObject): boolean {
  return typeof input["agent_id"] === "string";
}

/** The transcript named in a subagent's events is its own. */
function inputOf(payload: JsonObject): JsonObject {
  const { turn_id: turn, transcript_path: transcript, ...rest } = payload;
  const own = isOfSubagent(payload) ? {} : { transcript_path: transcript };
  return { ...rest, ...own, prompt_id: turn };
}

const patchLine = /^\*\*\* (Add File|Update File|Delete File|Move to): (.+)$/gm;

/** A patch changes several files: one call for each, with Claude Code's tools. */
function filesOf(input: JsonObject): JsonObject[] {
  if (input["tool_name"] !== "apply_patch") return [input];
  const patch = textAt(objectAt(input, "tool_input"), "command") ?? "";
  const files = [...patch.matchAll(patchLine)].map(([, action, path = ""]) => ({ isNew: action === "Add File", path }));
  if (files.length === 0) return [input];
  const folder = textAt(input, "cwd") ?? "/";
  const id = textAt(input, "tool_use_id") ?? "patch";
  return files.map(({ isNew, path }, at) =>
    Object.assign({}, input, {
      tool_use_id: at === 0 ? id : `${id}.${at}`,
      tool_name: isNew ? "Write" : "Edit",
      tool_input: { file_path: resolve(folder, path.trim()) },
      tool_response: isNew ? { type: "create" } : {},
    }),
  );
}
