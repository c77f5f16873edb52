import { posix, resolve, win32 } from "node:path";
import type { UsageLimit } from "../../contract/config.ts";
import type { HookClient } from "../../contract/clients.ts";
import type { HookAnswer, HookEvent } from "../../contract/hooks.ts";
import type { Decision, RequestKind } from "../../contract/machine/requests.ts";
import type { WindowWay } from "../../contract/window-acts.ts";
import { type JsonObject, objectAt, textAt } from "../../shared/json-fields.ts";
import { isWindowsPath } from "../../platform/paths.ts";
import { filesOfPatch } from "./patch.ts";
import { takesFilePath } from "./tools.ts";

/** An event in Claude Code's names, which the rest of SHIM reads. */
interface ClientEvent {
  readonly event: HookEvent;
  /** Checked as a `HookInput` afterwards. */
  readonly input: JsonObject;
}

export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

/** The chat in which a client works without a terminal; absent: a new one. */
export interface HeadlessChat {
  /** Continued where it is known; a client may give the id to a new one. */
  readonly id: string;
  readonly isNew: boolean;
}

/** Options of clients that take the id of a new chat. */
export function chatOptions(chat: HeadlessChat | undefined): string[] {
  return chat === undefined ? [] : [chat.isNew ? "--session-id" : "--resume", chat.id];
}

export interface HeadlessRun extends CommandLine {
  /** Text on stdin. */
  readonly input: string;
}

/** Decisions that a client takes from a hook in place of its terminal, by what it asks. */
export interface RemoteAnswers extends Readonly<Record<RequestKind, readonly Decision[]>> {
  /** When the client shows its dialog: while that hook runs, or once it has ended. */
  readonly dialog: "beside-hook" | "after-hook";
  /** Seconds for which the client waits for the hook; absent: as long as SHIM holds it. */
  readonly waitSeconds?: number;
  /** Sentence: an answer to a permission decides more than its request. */
  readonly wider?: string;
}

/** One client as SHIM knows it. Pure, and small: the hook process loads all of them. */
export interface ClientAdapter {
  readonly name: HookClient;
  readonly title: string;
  /** Version that passed the tests with the real client. */
  readonly verifiedWith: string;
  /** Names of the events that SHIM registers, in the client's own words. */
  readonly events: readonly string[];
  /** Limits of the client's interface, a sentence each. */
  readonly lacks: readonly string[];
  /** The client keeps its conversations where SHIM does not read them. */
  readonly isTranscriptUnread?: true;
  /** One process works in several sessions at once; each has a server of SHIM, or all have one. */
  readonly threads?: "server-each" | "one-server";
  /** Compactions of the client; absent: no event tells of their end, and they keep no prompt. */
  readonly compaction?: {
    /** The user's prompts stay beside the summary. */
    readonly keepsPrompts: boolean;
    /** An event after the compaction brings the summary. */
    readonly showsSummary: boolean;
  };
  /** The context of a start stays when the user goes back to before the first prompt. */
  readonly keepsStart?: true;
  /** Not each failed call is known as one: its record may lack the exit code. */
  readonly hidesFailures?: true;
  /** No event says that an error of its API has ended a turn. */
  readonly hidesErrors?: true;
  /** A hook before a tool call can have the client ask its user. */
  readonly asksUser?: true;
  /** Decisions from elsewhere that its hook can give; absent: its terminal alone takes any. */
  readonly answers?: RemoteAnswers;
  /** A hook at the end of a turn can have the chat go on with a text. */
  readonly continuesAtStop?: true;
  /** Ways to reach its open window from elsewhere; absent: its terminal alone does that. */
  readonly window?: { readonly prompt?: WindowWay; readonly stop?: WindowWay };
  /**
   * Reads a usage limit from the client's own record of an error, by codes and fields alone:
   * of its transcript, output or event. Null: another error. Absent: no record has a code for it.
   */
  readonly limitIn?: (error: JsonObject) => UsageLimit | null;
  /** No event says that a chat was closed. */
  readonly endsSilently?: true;
  /** Without a shell on Windows: the parent of a hook is the client. */
  readonly startsHooks?: "itself";
  /** The one reason that it gives for every end of a chat, also where its terminal was closed. */
  readonly endReason?: string;
  /**
   * One event for each file that a tool call changes, and none for an event that SHIM does not
   * record. Null: the payload is another client's.
   */
  normalise(event: string, payload: JsonObject, env: NodeJS.ProcessEnv): readonly ClientEvent[] | null;
  /** @param event the client's name of it */
  answer(event: string, answer: HookAnswer): object;
  /** Variables of the environment, by name. */
  readonly variables: {
    /** Settings and credentials that it reads. @param env may choose among them */
    own(env: NodeJS.ProcessEnv): readonly RegExp[];
    /** Values by which a run without a terminal counts as one that a person reads. */
    readonly attended?: Readonly<Record<string, string>>;
    /** By which a chat describes itself to what it starts. */
    readonly ofChat: RegExp;
    /** The session's id, for servers and shell commands. */
    readonly session?: `${string}_SESSION_ID`;
  };
  readonly commands: {
    resume(session: string): CommandLine;
    /** @param id a UUID that the client may give its new session */
    start(prompt: string, id: string): CommandLine;
    /** Without a terminal, to its end. @param args the user's own options */
    run(prompt: string, args: readonly string[], chat?: HeadlessChat): HeadlessRun;
  };
}

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
      // A person who decides on a patch has to see it.
      const isAsked = found.event === "PermissionRequest";
      return callsOfPatch(found.input, isAsked).map((input) => ({ event: found.event, input }));
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
  const file = pathIn(textAt(input, "cwd"), path);
  return { ...input, tool_name: name, tool_input: { ...values, file_path: file } };
}

/**
 * A transcript may come from another system: its paths stay that system's. One of an unknown folder
 * stays as it is written.
 */
function pathIn(folder: string | null, path: string): string {
  if (folder === null) return path;
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

const patchFields = ["command", "patchText", "input", "patch"];

/**
 * A patch changes several files: one call for each, with Claude Code's tools.
 *
 * @param isWhole whether the first one has the patch
 */
export function callsOfPatch(input: JsonObject, isWhole = false): JsonObject[] {
  if (input["tool_name"] !== "apply_patch") return [input];
  const values = objectAt(input, "tool_input");
  const patch = textAt(input, "tool_input") ?? patchFields.map((field) => textAt(values, field)).find(Boolean) ?? "";
  const files = filesOfPatch(patch);
  if (files.length === 0) return [input];
  const folder = textAt(input, "cwd");
  const id = textAt(input, "tool_use_id");
  return files.map(({ change, path }, at) =>
    Object.assign({}, input, id === null || at === 0 ? {} : { tool_use_id: `${id}.${at}` }, {
      tool_name: change === "create" ? "Write" : "Edit",
      tool_input: { file_path: pathIn(folder, path), ...(isWhole && at === 0 ? { diff: patch } : {}) },
      tool_response: change === "edit" ? {} : { type: change },
    }),
  );
}
