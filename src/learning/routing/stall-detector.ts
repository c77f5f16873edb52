import { asObject, isRecord, textAt } from "../../shared/json-fields.ts";

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
}

const windowCalls = 6;
const stallCount = 3;

/** Repeats of these are how a chat waits for work in the background. */
const waitingTools: ReadonlySet<string> = new Set(["TaskOutput", "BashOutput", "Monitor", "Sleep"]);

/** Tools of Claude Code and of MCP servers that write files; sub-agents may write, too. */
const editingTool =
  /^(?:(?:Multi|Notebook)?Edit|Write|Agent|Task|mcp__.*_(?:edit|write|patch|replace|insert|create|delete|move|rename).*)$/;

const maxCommandChars = 4_000;

/** Parts of a shell command that may write files of the project. */
const writingCommands = [
  /(?<![-=<&])>(?!\s*(?:&|\/dev\/))/,
  /<<|--(?:fix|write)\b/,
  /\b(?:sed|perl)\s(?:[^\s|;&]+\s)?-\w*i/,
  /\b(?:tee|patch|mv|cp|rm|touch|truncate|rsync|unzip|tar)\s/,
  /\bgit\s+(?:apply|am|checkout|restore|reset|revert|merge|rebase|stash|pull|cherry-pick|switch|clean)\b/,
  /\b(?:npm|pnpm|yarn|bun)\s+(?:i|ci|install|add|remove|update)\b/,
];

interface RecentCall {
  readonly id: string;
  readonly key: string;
  readonly isEdit: boolean;
  isError: boolean;
}

/**
 * Anchored on the newest call, so that a run that has recovered is not stalled: its pattern
 * (tool and arguments) is in three of the last six calls, or it and two more of them failed.
 * After a change of files only earlier edits still count.
 */
export class StallDetector {
  #recent: RecentCall[] = [];

  /** @returns the reason, or null */
  call({ id, name, input }: ToolCall): string | null {
    if (waitingTools.has(name) || this.#recent.some((one) => one.id === id)) return null;
    const key = `${name} ${JSON.stringify(canonical(input))}`;
    const isEdit = editingTool.test(name);
    if (isEdit || isWritingCommand(input)) this.#recent = this.#recent.filter((one) => one.isEdit || one.key === key);
    this.#recent.push({ id, key, isEdit, isError: false });
    if (this.#recent.length > windowCalls) this.#recent.shift();
    const repeats = this.#recent.filter((one) => one.key === key).length;
    return repeats >= stallCount ? `${name} was called ${repeats} times with the same arguments` : null;
  }

  /** The result of a call; those of earlier calls may come late. */
  result(id: string, isError: boolean): string | null {
    const call = this.#recent.find((one) => one.id === id);
    if (!call || !isError) return null;
    call.isError = true;
    const failed = this.#recent.filter((one) => one.isError).length;
    const isNewest = this.#recent.at(-1) === call;
    return isNewest && failed >= stallCount ? `${failed} of the last ${this.#recent.length} tool calls failed` : null;
  }
}

function isWritingCommand(input: unknown): boolean {
  const command = (textAt(asObject(input), "command") ?? "").slice(0, maxCommandChars);
  return writingCommands.some((part) => part.test(command));
}

/** The same arguments in another order are the same. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([name, field]) => [name, canonical(field)]);
}
