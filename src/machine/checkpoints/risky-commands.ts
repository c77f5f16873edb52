import type { Config } from "../../contract/config.ts";
import { asObject, textAt } from "../../shared/json-fields.ts";
import { matchesWord, type WantedWord, wordsOf } from "../../shared/wildcard.ts";

const shellTools: ReadonlySet<string> = new Set(["Bash", "PowerShell"]);

/** Words that are read of one command: the text of a call may be long. */
const maxWords = 200;

const parsed = new WeakMap<readonly string[], readonly (readonly WantedWord[])[]>();

/**
 * Pure. Searches for the words of each entry of the list, in their order, in each command of
 * the text, quoted or not: a mention costs one snapshot, and a command that is not found costs the
 * files.
 */
export function isRiskyCommand(
  toolName: string | null,
  toolInput: unknown,
  { beforeCommands }: Pick<Config["checkpoint"], "beforeCommands">,
): boolean {
  const text = shellTools.has(toolName ?? "") ? textAt(asObject(toolInput), "command") : null;
  if (text === null) return false;
  const entries = parsed.get(beforeCommands) ?? beforeCommands.map(wordsOf);
  parsed.set(beforeCommands, entries);
  const commands = commandsIn(text.toLowerCase(), toolName === "PowerShell");
  return commands.some((words) => entries.some((wanted) => hasInOrder(words, wanted)));
}

/**
 * The words of each command, also of those in quotes, groups and substitutions; a program in a
 * folder also by its name. PowerShell's backslash stands in paths alone.
 */
function commandsIn(text: string, isPowerShell: boolean): string[][] {
  const lines = text.replaceAll(/[\\`]\r?\n/g, " ").replaceAll("\\", isPowerShell ? "/" : "");
  const plain = lines.replaceAll(/["']/g, "").replaceAll(/\d?>&\d?|[(){}<>`]/g, " ");
  return plain.split(/[\n;&|]/).map((command) => {
    const words = command.split(/\s+/).filter(Boolean).slice(0, maxWords);
    return words.flatMap((word) => {
      const name = word.slice(word.lastIndexOf("/") + 1).replace(/\.exe$/, "");
      return name === word ? [word] : [word, name];
    });
  });
}

function hasInOrder(words: readonly string[], wanted: readonly WantedWord[]): boolean {
  let from = 0;
  return wanted.every((one) => {
    const at = words.findIndex((word, index) => index >= from && matchesWord(word, one));
    from = at + 1;
    return at >= 0;
  });
}
