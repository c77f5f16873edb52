import { shellCommandOf } from "../../../clients/adapter/tools.ts";
import type { Config } from "../../../contract/config.ts";
import { mentionedCommands } from "../shell-commands.ts";
import { matchesWord, type WantedWord, wordsOf } from "../../../shared/wildcard.ts";

/** Words that are read of one command: the text of a call may be long. */
const maxWords = 200;

const parsed = new WeakMap<readonly string[], readonly (readonly WantedWord[])[]>();

/**
 * Pure. Searches for the words of each entry of the list, in their order, in each command of the
 * text, quoted or not: a mention costs one snapshot, and a command that is not found the files.
 */
export function isRiskyCommand(
  toolName: string | null,
  toolInput: unknown,
  { beforeCommands }: Pick<Config["checkpoint"], "beforeCommands">,
): boolean {
  const command = shellCommandOf(toolName ?? "", toolInput);
  if (command === null) return false;
  const entries = parsed.get(beforeCommands) ?? beforeCommands.map(wordsOf);
  parsed.set(beforeCommands, entries);
  const commands = mentionedCommands(command.text.toLowerCase(), command.shell === "powershell").map(withNames);
  return commands.some((words) => entries.some((wanted) => hasInOrder(words, wanted)));
}

/** A program in a folder also by its name. */
function withNames(words: readonly string[]): string[] {
  return words.slice(0, maxWords).flatMap((word) => {
    const name = word.slice(word.lastIndexOf("/") + 1).replace(/\.exe$/, "");
    return name === word ? [word] : [word, name];
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
