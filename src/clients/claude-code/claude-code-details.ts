import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { asObject, listAt, objectAt, textAt, type JsonObject, numberAt, isRecord } from "../../shared/json-fields.ts";
import type { ClientDetails } from "../adapter/client-details.ts";
import type { Problem } from "../adapter/run-output.ts";
import { plainServers } from "../adapter/client-form.ts";
import { commandIn, userWords } from "../adapter/harness-text.ts";
import {
  readObject,
  type CleanUp,
  type HiddenSession,
  type StoreHabits,
  dashed,
  refusal,
  type Refusal,
  type SessionFiles,
  rootOf,
} from "../adapter/session-files.ts";
import {
  countOf,
  type ReadContents,
  type Conversation,
  type Item,
  plainName,
  responsesOf,
  timesOf,
  type Exchange,
  type NewSession,
  pictureOf,
  type SessionWriter,
} from "../conversation/conversation.ts";
import { blocksOf, textOf } from "../transcript/transcript-draft.ts";
import { EarlierEnd, rejection } from "./earlier-end.ts";
import { headNamedBy, headOf } from "../transcript/transcript-file.ts";
import { claudeCode } from "./claude-code.ts";
import { readClaudeLine } from "./claude-lines.ts";
import { problemOf } from "./claude-problems.ts";
import { claudeDriven, claudeRun } from "./claude-run.ts";

/** A result over 50,000 characters is a file, of which the model gets the beginning. */
const cutMark = "<persisted-output>";

const claudeContents: ReadContents = (row) => {
  if (row["isSidechain"] === true) return { isOfSubagent: row["type"] === "user" || row["type"] === "assistant" };
  const message = objectAt(row, "message");
  const blocks = listAt(message, "content");
  const results = blocksOf(message, "tool_result");
  return {
    outputs: results.map((result) => ({ of: textAt(result, "tool_use_id", 200), ...outputOf(result) })),
    images: countOf([...blocks, ...results.flatMap((result) => listAt(result, "content"))], /^image$/),
    pictures: [
      ...picturesIn(blocks, null),
      ...results.flatMap((one) => picturesIn(listAt(one, "content"), textAt(one, "tool_use_id", 200))),
    ],
    thoughts: countOf(blocks, /thinking$/),
  };
};

function picturesIn(blocks: readonly unknown[], of: string | null): ReturnType<typeof pictureOf> {
  return blocks.flatMap((block) => {
    const source = objectAt(asObject(block), "source");
    return pictureOf(of, textAt(source, "media_type", 40), textAt(source, "data"));
  });
}

/** A search for tools gives names of tools alone. */
function outputOf(result: JsonObject): { readonly text: string; readonly isCut: boolean } {
  const names = listAt(result, "content").flatMap((block) => textAt(asObject(block), "tool_name") ?? []);
  const text = textOf(result, "content", "text") || names.join("\n");
  return { text, isCut: text.startsWith(cutMark) };
}

/** Entry points of sessions that the list of a terminal leaves out. */
const programEntries: ReadonlySet<unknown> = new Set(["sdk-cli", "sdk-ts", "sdk-py"]);

function shownBy(id: string): string {
  return `\`claude --resume ${id}\` opens it`;
}

/** Seen in the text of 2.1.328. */
function hiddenBy(row: JsonObject): HiddenSession | null {
  if (row["isSidechain"] === true) return { why: "a row among its first is of a sub-agent", shownBy };
  if (programEntries.has(row["entrypoint"])) return { why: "a program started it, as `claude -p` does", shownBy };
  return textAt(row, "teamName") === null ? null : { why: "it belongs to a team", shownBy };
}

const dayMs = 86_400_000;
const usualDays = 30;

/** By the time of the file's last change, once a day at the start of Claude Code. */
function cleanUp(root: string): CleanUp {
  const settings = readObject(join(root, "settings.json"));
  const days = numberAt(settings, "cleanupPeriodDays") ?? usualDays;
  const setting = `cleanupPeriodDays ${days}${days === usualDays ? ", as usual" : ""}`;
  return { afterMs: Math.max(1, days) * dayMs, setting };
}

/** Older versions name all backups so far in a row, newer ones each in a row of its own. */
function backupsIn(row: JsonObject): string[] {
  if (row["type"] === "file-history-delta") return textIn(objectAt(row, "backup"));
  if (row["type"] !== "file-history-snapshot") return [];
  const all = objectAt(objectAt(row, "snapshot"), "trackedFileBackups");
  return Object.values(all ?? {}).flatMap((backup) => textIn(asObject(backup)));
}

/** A file that was not there before has no backup. */
function textIn(backup: JsonObject | null): string[] {
  const name = textAt(backup, "backupFileName", 200);
  return name === null ? [] : [name];
}

/** Folder of Claude Desktop, whose chats on the user's machine are rows of Claude Code. */
function desktopFolder({ HOME, APPDATA }: NodeJS.ProcessEnv): string {
  const home = HOME || homedir();
  if (process.platform === "win32") return join(APPDATA || join(home, "AppData", "Roaming"), "Claude");
  return process.platform === "darwin"
    ? join(home, "Library", "Application Support", "Claude")
    : join(home, ".config", "Claude");
}

/** Words that the client carries out itself, and may write into no transcript, such as `/exit`. */
const ownCommand = /^\s*(?:\/|!|(?:exit|quit|:q!?|:wq!?)\s*$)/;

/** Seen with 2.1.328. */
const claudeStore: StoreHabits = {
  subagents: (file, id) => join(dirname(file), id, "subagents"),
  isNamedById: true,
  isSubagent: (name) => name.startsWith("agent-"),
  hides: hiddenBy,
  cleanUp,
  isExempt: (row) => row["entrypoint"] === "claude-desktop",
  prompts: {
    file: "history.jsonl",
    promptIn(row) {
      const [session, at] = [textAt(row, "sessionId", 100), numberAt(row, "timestamp")];
      const isCommand = ownCommand.test(textAt(row, "display") ?? "");
      return session === null || at === null || isCommand ? null : { session, at };
    },
  },
  backups: { folder: (root, id) => join(root, "file-history", id), namesIn: backupsIn },
  others: (env) => ({
    root: desktopFolder(env),
    files: ["local-agent-mode-sessions/*/*/local_*/.claude/projects/*/{id}.jsonl"],
    by: "Claude Desktop",
  }),
};

function blockTypesOf(row: JsonObject): unknown[] {
  return listAt(objectAt(row, "message"), "content").map((block) => asObject(block)?.["type"]);
}

/** Rows of type user also hold results of calls, notices and the client's own summary. */
function isOfUser(row: JsonObject, message: JsonObject): boolean {
  if (row["isMeta"] === true || row["isCompactSummary"] === true) return false;
  const blocks = blockTypesOf(row);
  if (blocks.includes("tool_result")) return false;
  const texts = listAt(message, "content").map((block) => textAt(asObject(block), "text") ?? "");
  const text = (textAt(message, "content") ?? texts.join("\n")).trim();
  return (commandIn(text)?.text ?? userWords(text)) !== "" || blocks.includes("image");
}

const claudeLinks: ReadonlySet<unknown> = new Set(["user", "assistant", "attachment", "system", "progress"]);
/** A later request may not meet these, whatever their status. */
const passing: ReadonlySet<Problem> = new Set(["machine", "model", "service"]);

function claudeRefusal(row: JsonObject, message: JsonObject): Refusal {
  const text = textAt(asObject(listAt(message, "content")[0]), "text");
  const [, shown] = /^API Error: (\d{3})\b/.exec(text ?? "") ?? [];
  const known = numberAt(row, "apiErrorStatus") ?? (shown === undefined ? null : Number(shown));
  const status = known ?? (row["error"] === "invalid_request" ? 400 : null);
  const given = refusal(status, [row["apiErrorType"], row["error"]], text);
  return passing.has(problemOf(row["error"])) ? { ...given, of: "passing" } : given;
}

const claudeSessions: SessionFiles = {
  home: [".claude", "CLAUDE_CONFIG_DIR"],
  store: claudeStore,
  files: ["projects/*/{id}.jsonl"],
  links: {
    isLink: (row) => claudeLinks.has(row["type"]),
    isPassedOver: (row) => row["type"] === "progress",
    isBoundary: (row) => row["type"] === "system" && row["subtype"] === "compact_boundary",
    newestIn: (row) => (row["type"] === "last-prompt" ? textAt(row, "leafUuid") : null),
    bridgeMs: 5_000,
    earlierEnd: () => new EarlierEnd(),
  },
  folderOf: (file, project) => join(dirname(dirname(file)), dashed(project)),
  isThought: (row) =>
    blockTypesOf(row).length > 0 && blockTypesOf(row).every((type) => String(type).endsWith("thinking")),
  callsIn(row) {
    const message = objectAt(row, "message");
    // The call of a rejected plan is in the file of the session before.
    const results = row["toolUseResult"] === rejection ? [] : blocksOf(message, "tool_result");
    return {
      calls: blocksOf(message, "tool_use").map((call) => textAt(call, "id", 200)),
      results: results.map((result) => textAt(result, "tool_use_id", 200)),
    };
  },
  rowOf(row) {
    const message = objectAt(row, "message");
    if (row["isSidechain"] === true || message === null) return null;
    if (row["type"] === "user") return { kind: isOfUser(row, message) ? "prompt" : "input" };
    if (row["type"] !== "assistant") return null;
    if (row["isApiErrorMessage"] === true) return claudeRefusal(row, message);
    return message["model"] === "<synthetic>" ? null : { kind: "answer", of: textAt(message, "id") };
  },
};

/** Tools whose calls Claude Code shows; those of MCP servers are known by their names. */
const tools: ReadonlySet<string> = new Set([
  "Agent",
  "AskUserQuestion",
  "Bash",
  "BashOutput",
  "Edit",
  "ExitPlanMode",
  "Glob",
  "Grep",
  "KillShell",
  "MultiEdit",
  "NotebookEdit",
  "PowerShell",
  "Read",
  "Skill",
  "Task",
  "TaskCreate",
  "TaskGet",
  "TaskList",
  "TaskOutput",
  "TaskStop",
  "TaskUpdate",
  "TodoWrite",
  "ToolSearch",
  "WebFetch",
  "WebSearch",
  "Write",
]);

/** Claude Code cuts the names of longer folders, and adds a hash. */
const maxFolder = 180;

const summaryHeading =
  "This session is being continued from a previous conversation that ran out of context. The summary below covers the earlier portion of the conversation.";

/** Counts of no request: what the session has cost stands at the client that ran it. */
const noUsage = {
  input_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: 0,
};

const claudeCodeWriter: SessionWriter = {
  hasTool: (name) => tools.has(name) || name.startsWith("mcp__"),
  write(conversation, to) {
    if (to.cwd.length > maxFolder) throw new Error(`the path of ${to.cwd} is too long`);
    const id = to.uuid();
    const folder = join(rootOf(to.env, claudeSessions), "projects", dashed(to.cwd));
    return { id, path: join(folder, `${id}.jsonl`), rows: rowsOf(conversation, id, to) };
  },
};

type AddRow = (type: string, item: Item, fields: JsonObject) => void;

/** Each row names the one before it. */
function rowsOf({ items, model }: Conversation, sessionId: string, to: NewSession): JsonObject[] {
  const timeOf = timesOf(items, to.now);
  const rows: JsonObject[] = [];
  let parentUuid: string | null = null;
  const add: AddRow = (type, item, fields) => {
    const uuid = to.uuid();
    rows.push({
      parentUuid,
      isSidechain: false,
      userType: "external",
      entrypoint: "cli",
      cwd: to.cwd,
      sessionId,
      version: claudeCode.verifiedWith,
      type,
      ...fields,
      uuid,
      timestamp: new Date(timeOf(item)).toISOString(),
    });
    parentUuid = uuid;
  };
  for (const exchange of responsesOf(items))
    if (exchange.isOfModel) addResponse(add, exchange, { id: `msg_${to.uuid().replaceAll("-", "")}`, model });
    else for (const item of exchange.items) addOther(add, item, parentUuid);
  return rows;
}

interface Response {
  readonly id: string;
  readonly model: string | null;
}

function addResponse(add: AddRow, { items }: Exchange, { id, model }: Response): void {
  const stop = items.some(({ kind }) => kind === "call") ? "tool_use" : "end_turn";
  for (const item of items) {
    const block = blockOf(item);
    const message = {
      id,
      type: "message",
      role: "assistant",
      model: model ?? "unknown",
      content: [block],
      stop_reason: stop,
      stop_sequence: null,
      usage: noUsage,
    };
    add("assistant", item, { message });
  }
}

function blockOf(item: Item): JsonObject {
  if (item.kind !== "call") return { type: "text", text: item.kind === "answer" ? item.text : "" };
  const { id, name, input } = item;
  return { type: "tool_use", id: callId(id), name: plainName(name, 128), input: isRecord(input) ? input : { input } };
}

function callId(id: string): string {
  return plainName(id, 200);
}

function addOther(add: AddRow, item: Item, previous: string | null): void {
  if (item.kind === "summary") return addSummary(add, item, previous);
  if (item.kind === "prompt") add("user", item, { message: { role: "user", content: item.text } });
  if (item.kind !== "result") return;
  const result = { type: "tool_result", tool_use_id: callId(item.of), content: item.text, is_error: item.isError };
  add("user", item, { message: { role: "user", content: [result] } });
}

/** Claude Code sends nothing that stands before such a row, and shows it. */
function addSummary(add: AddRow, item: Item & { readonly text: string }, previous: string | null): void {
  add("system", item, {
    parentUuid: null,
    logicalParentUuid: previous,
    subtype: "compact_boundary",
    content: "Conversation compacted",
    isMeta: false,
    level: "info",
    compactMetadata: { trigger: "manual", preTokens: 0 },
  });
  const content = item.text.startsWith(summaryHeading) ? item.text : `${summaryHeading}\n\n${item.text}`;
  const message = { role: "user", content };
  add("user", item, { message, isCompactSummary: true, isVisibleInTranscriptOnly: true });
}

const typedToAgent =
  /^The user sent a new message while you were working:\n([^]*?)\n\nThis is how Claude Code surfaces /;

/** Words that the user types to a sub-agent come as a notice of the client; null: they are none. */
function typedRow(row: JsonObject): JsonObject | null {
  const words = typedToAgent.exec(textOf(objectAt(row, "message"), "content", "text"))?.[1];
  const isTyped = row["isMeta"] === true && textAt(objectAt(row, "origin"), "kind") === "human";
  if (words === undefined || !isTyped) return null;
  return { ...row, type: "attachment", attachment: { type: "queued_command", prompt: words } };
}

export const claudeCodeDetails: ClientDetails = {
  readRow: readClaudeLine,
  subagentRow: (row) => ({ ...(typedRow(row) ?? row), isSidechain: false }),
  contentsOf: claudeContents,
  writer: claudeCodeWriter,
  headOf: (row) => (objectAt(row, "message")?.["content"] === undefined ? null : headOf(row, "sessionId")),
  // Claude Code itself goes by the name alone.
  headOfFile: (row, path) =>
    (row["type"] === "user" || row["type"] === "assistant") && objectAt(row, "message")?.["content"] !== undefined
      ? headNamedBy(path, textAt(row, "cwd", 4_096))
      : null,
  namedBy: "each row",
  runOutput: claudeRun,
  driven: claudeDriven,
  sessions: claudeSessions,
  // Its hooks come with the plugin, or stand in settings of their own form.
  form: {
    servers: { ...plainServers, entry: (command, args) => ({ type: "stdio", command, args }) },
    hooks: null,
    reads: ["a byte order mark"],
  },
};
