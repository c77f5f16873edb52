import { posix, resolve, win32 } from "node:path";
import type { HookEvent } from "../../contract/hook-input.ts";
import { objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { isWindowsPath } from "../../shared/windows-path.ts";
import { takesFilePath } from "./tools.ts";
import type { ClientAdapter, ClientEvent } from "./client-adapter.ts";

/** Claude Code's names of a client's tools. */
export type ToolNames = ReadonlyMap<string, string>;

/** Status of HTTP with which an API answers when what was paid for is spent. */
export const paymentRequired = 402;

/** A client by what differs from Claude Code: names of events and tools, payload and answers. */
interface ClientDeclaration extends Omit<ClientAdapter, "events" | "normalise" | "answer"> {
  /** By the client's name of an event, in the order of its hooks; null: SHIM does not record it. */
  readonly events: Readonly<Record<string, HookEvent | ((input: JsonObject) => ClientEvent | null)>>;
  readonly tools?: ToolNames;
  /** Default: the field `session_id`. Null for a payload of another client. */
  readonly sessionOf?: (payload: JsonObject) => string | null;
  /** The payload with Claude Code's names of fields. */
  readonly inputOf?: (payload: JsonObject, session: string, env: NodeJS.ProcessEnv) => JsonObject;
  readonly answer?: ClientAdapter["answer"];
}

export function defineClient({
  events,
  tools = new Map(),
  sessionOf = (payload) => textAt(payload, "session_id"),
  inputOf = (payload) => payload,
  answer = (_event, given) => given,
  ...client
}: ClientDeclaration): ClientAdapter {
  return {
    ...client,
    events: Object.keys(events),
    normalise(event, payload, env) {
      const session = sessionOf(payload);
      if (session === null) return null;
      const known = Object.hasOwn(events, event) ? events[event] : undefined;
      if (known === undefined) return [];
      const given = withClaudeTool(inputOf(payload, session, env), tools);
      const found = typeof known === "function" ? known(given) : { event: known, input: given };
      if (found === null || (mainChatEvents.has(found.event) && isOfSubagent(found.input))) return [];
      return callsOfPatch(found.input).map((input) => ({ event: found.event, input }));
    },
    answer,
  };
}

/** A subagent's prompt is no request of the user, and its end not that of a turn. */
const mainChatEvents: ReadonlySet<HookEvent> = new Set(["UserPromptSubmit", "Stop"]);

export function isOfSubagent(input: JsonObject): boolean {
  return typeof input["agent_id"] === "string";
}

const pathFields = ["file_path", "filePath", "path", "absolute_path"];

/** A call in Claude Code's words; the call of another tool stays as it is. */
export function withClaudeTool(input: JsonObject, names: ToolNames): JsonObject {
  const given = textAt(input, "tool_name");
  if (given === null) return input;
  const name = names.get(given) ?? given;
  const values = objectAt(input, "tool_input");
  const path = pathFields.map((field) => textAt(values, field)).find((one) => one !== null);
  if (!takesFilePath(name) || path === undefined) return { ...input, tool_name: name };
  const file = pathIn(textAt(input, "cwd") ?? "/", path);
  return { ...input, tool_name: name, tool_input: { ...values, file_path: file } };
}

/** A transcript may come from another system: its paths stay that system's. */
function pathIn(folder: string, path: string): string {
  if (isWindowsPath(folder) || isWindowsPath(path)) return win32.resolve(folder, path);
  return folder.startsWith("/") ? posix.resolve(folder, path) : resolve(folder, path);
}

/** Marks the result of a write that made a new file, as Claude Code does. */
export function withNewFile(input: JsonObject, isNew: (input: JsonObject) => boolean): JsonObject {
  return input["tool_name"] === "Write" && isNew(input) ? { ...input, tool_response: { type: "create" } } : input;
}

/** The tools that Gemini CLI and its descendants have in common say it in their result. */
export function isCreated(input: JsonObject): boolean {
  return textAt(objectAt(input, "tool_response"), "llmContent")?.startsWith("Successfully created") ?? false;
}

const patchLine = /^\*\*\* (Add File|Update File|Delete File|Move to): (.+)$/gm;
const changes: ReadonlyMap<string, "create" | "delete"> = new Map([
  ["Add File", "create"],
  ["Delete File", "delete"],
]);
const patchFields = ["command", "patchText", "input", "patch"];

/** A patch changes several files: one call for each, with Claude Code's tools. */
export function callsOfPatch(input: JsonObject): JsonObject[] {
  if (input["tool_name"] !== "apply_patch") return [input];
  const values = objectAt(input, "tool_input");
  const patch = textAt(input, "tool_input") ?? patchFields.map((field) => textAt(values, field)).find(Boolean) ?? "";
  const lines = [...patch.matchAll(patchLine)].map(([, action = "", path = ""]) => ({ action, path }));
  const files = lines.map(({ action, path }, index) => ({
    change: lines[index + 1]?.action === "Move to" ? ("delete" as const) : changes.get(action),
    path,
  }));
  if (files.length === 0) return [input];
  const folder = textAt(input, "cwd") ?? "/";
  const id = textAt(input, "tool_use_id");
  return files.map(({ change, path }, at) =>
    Object.assign({}, input, id === null || at === 0 ? {} : { tool_use_id: `${id}.${at}` }, {
      tool_name: change === "create" ? "Write" : "Edit",
      tool_input: { file_path: pathIn(folder, path.trim()) },
      tool_response: change ? { type: change } : {},
    }),
  );
}
