import { shellCommandOf } from "../../clients/adapter/tools.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import type { Config } from "../../contract/config.ts";
import type { HookEvent, HookInput } from "../../contract/hooks.ts";
import { timerTrigger, type SaveFacts } from "../../learning/policy/risk.ts";
import { matchesWord, type WantedWord, wordsOf, matchesWildcard } from "../../shared/wildcard.ts";
import { mentionedCommands } from "../sessions/shell-commands.ts";

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

/** Pure: no storage, no clock. */

const alwaysDue: Partial<Record<HookEvent, Trigger>> = {
  PreCompact: "compact",
  PostCompact: "compact",
  Stop: "turn_end",
  StopFailure: "turn_end",
  SessionEnd: "session_end",
  PreModelSwitch: "model_switch",
};

/** Why the event itself makes a checkpoint due. */
export function eventTrigger(
  event: HookEvent,
  { tool_name: tool, tool_input: input }: Pick<HookInput, "tool_name" | "tool_input">,
  config: Config["checkpoint"],
): Trigger | null {
  const isRisky = (): boolean =>
    config.beforeTools.some((pattern) => tool !== undefined && matchesWildcard(tool, pattern)) ||
    isRiskyCommand(tool ?? null, input, config);
  return alwaysDue[event] ?? (event === "PreToolUse" && isRisky() ? "before_tool" : null);
}

/** Why one is due by what has happened since the last one, after the end of a tool call. */
export function countedTrigger(event: HookEvent, facts: SaveFacts, config: Config["checkpoint"]): Trigger | null {
  return isToolEnd(event) ? timerTrigger(facts, config) : null;
}

export function isToolEnd(event: HookEvent): boolean {
  return event === "PostToolUse" || event === "PostToolUseFailure";
}
