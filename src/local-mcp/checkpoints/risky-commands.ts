import type { Config } from "../../contract/config.ts";
import { matchesAny, patternList } from "./command-patterns.ts";

const shellTools: ReadonlySet<string> = new Set(["Bash", "PowerShell"]);
const removers: ReadonlySet<string> = new Set(["rm", "rimraf", "remove-item", "ri", "rd", "rmdir", "del", "erase"]);
const generatedFolder =
  /^(?:\.\/)?(?:[\w@.-]+\/)*(?:node_modules|dist|build|out|target|coverage|\.cache|\.next|\.turbo|__pycache__|\.pytest_cache)(?:\/|$)/;
/** Words that are read of one command: the text of a call may be long. */
const maxWords = 200;

/**
 * Pure. [CP30] Searches for the commands of the list anywhere in the text, quoted or not: a mention
 * costs one snapshot, and a command that is not found costs the files. [CP31] [CP55]
 */
export function isRiskyCommand(
  toolName: string | null,
  toolInput: unknown,
  config: Pick<Config["checkpoint"], "beforeCommands">,
): boolean {
  if (toolName === null || !shellTools.has(toolName) || config.beforeCommands.length === 0) return false;
  const text = commandText(toolInput);
  if (text === null) return false;
  const list = patternList(config.beforeCommands);
  const plain = text.toLowerCase().replaceAll(/\s+/g, " ");
  if (list.texts.some((one) => plain.includes(one))) return true;
  return commandsIn(text, toolName === "PowerShell").some((words) =>
    words.some((word, at) => {
      const name = word.slice(word.lastIndexOf("/") + 1);
      const rest = words.slice(at + 1, at + maxWords);
      return matchesAny(name, rest, list) && !isRemovalOfGenerated(name, rest);
    }),
  );
}

function commandText(toolInput: unknown): string | null {
  if (typeof toolInput !== "object" || toolInput === null || !("command" in toolInput)) return null;
  return typeof toolInput.command === "string" ? toolInput.command : null;
}

/**
 * The words of each command, also of those in quotes, groups and substitutions. PowerShell's
 * backslash stands in paths alone.
 */
function commandsIn(text: string, isPowerShell: boolean): string[][] {
  const lines = text.replaceAll(/[\\`]\r?\n/g, " ").replaceAll("\\", isPowerShell ? "/" : "");
  const plain = lines.replaceAll(/["']/g, "").replaceAll(/\d?>&\d?|[(){}`]/g, " ");
  return plain.split(/[\n;&|]/).map((command) => command.split(/\s+/).filter(Boolean));
}

/** [CP32] `rm -rf node_modules/.cache` is no risk. */
function isRemovalOfGenerated(name: string, words: readonly string[]): boolean {
  if (!removers.has(name.toLowerCase())) return false;
  const operands = words.filter((word) => !/^-|^(?:\/\w)+$|^\d?>/.test(word));
  return operands.length > 0 && operands.every((path) => generatedFolder.test(path) && !path.split("/").includes(".."));
}
