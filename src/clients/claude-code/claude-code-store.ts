import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { asObject, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { readObject, type CleanUp, type HiddenSession, type StoreHabits } from "../adapter/session-files.ts";

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
export const claudeStore: StoreHabits = {
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
