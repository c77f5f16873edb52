import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import {
  dashed,
  refusal,
  rootOf,
  type CleanUp,
  type HiddenSession,
  type Refusal,
  type SessionFiles,
} from "../adapter/session-files.ts";
import { readObject } from "../adapter/read-object.ts";
import { commandIn, userWords } from "../adapter/harness-text.ts";

function blocksOf(row: JsonObject): unknown[] {
  return listAt(objectAt(row, "message"), "content").map((block) => asObject(block)?.["type"]);
}

/** Rows of type user also hold results of calls, notices and the client's own summary. */
function isOfUser(row: JsonObject, message: JsonObject): boolean {
  if (row["isMeta"] === true || row["isCompactSummary"] === true) return false;
  const blocks = blocksOf(row);
  if (blocks.includes("tool_result")) return false;
  const texts = listAt(message, "content").map((block) => textAt(asObject(block), "text") ?? "");
  const text = (textAt(message, "content") ?? texts.join("\n")).trim();
  return (commandIn(text)?.text ?? userWords(text)) !== "" || blocks.includes("image");
}

const claudeLinks: ReadonlySet<unknown> = new Set(["user", "assistant", "attachment", "system", "progress"]);
/** Errors that a later request may not meet, whatever their status. */
const claudePassing: ReadonlySet<unknown> = new Set([
  "authentication_failed",
  "oauth_org_not_allowed",
  "account_on_hold",
  "verification_required",
  "billing_error",
  "rate_limit",
  "overloaded",
  "model_not_found",
  "server_error",
]);

function claudeRefusal(row: JsonObject, message: JsonObject): Refusal {
  const text = textAt(asObject(listAt(message, "content")[0]), "text");
  const [, shown] = /^API Error: (\d{3})\b/.exec(text ?? "") ?? [];
  const known = numberAt(row, "apiErrorStatus") ?? (shown === undefined ? null : Number(shown));
  const status = known ?? (row["error"] === "invalid_request" ? 400 : null);
  const given = refusal(status, [row["apiErrorType"], row["error"]], text);
  return claudePassing.has(row["error"]) ? { ...given, of: "passing" } : given;
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
function cleanUp(env: NodeJS.ProcessEnv): CleanUp {
  const settings = readObject(join(rootOf(env, claudeSessions), "settings.json"));
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

export const claudeSessions: SessionFiles = {
  others: (env) => ({
    root: desktopFolder(env),
    files: ["local-agent-mode-sessions/*/*/local_*/.claude/projects/*/{id}.jsonl"],
    by: "Claude Desktop",
  }),
  backups: {
    folder: (env, id) => join(rootOf(env, claudeSessions), "file-history", id),
    namesIn: backupsIn,
  },
  home: [".claude", "CLAUDE_CONFIG_DIR"],
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
      return session === null || at === null ? null : { session, at };
    },
  },
  files: ["projects/*/{id}.jsonl"],
  links: {
    isLink: (row) => claudeLinks.has(row["type"]),
    isPassedOver: (row) => row["type"] === "progress",
    isBoundary: (row) => row["type"] === "system" && row["subtype"] === "compact_boundary",
    newestIn: (row) => (row["type"] === "last-prompt" ? textAt(row, "leafUuid") : null),
    bridgeMs: 5_000,
  },
  folderOf: (file, project) => join(dirname(dirname(file)), dashed(project)),
  isThought: (row) => blocksOf(row).length > 0 && blocksOf(row).every((type) => String(type).endsWith("thinking")),
  rowOf(row) {
    const message = objectAt(row, "message");
    if (row["isSidechain"] === true || message === null) return null;
    if (row["type"] === "user") return { kind: isOfUser(row, message) ? "prompt" : "input" };
    if (row["type"] !== "assistant") return null;
    if (row["isApiErrorMessage"] === true) return claudeRefusal(row, message);
    return message["model"] === "<synthetic>" ? null : { kind: "answer", of: textAt(message, "id") };
  },
};
