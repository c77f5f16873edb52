import { isRecord } from "../shared/json-fields.ts";
import type { HookEvent } from "../contract/hook-input.ts";
import { hookTool } from "../contract/hook-tool.ts";
import { plainWord, shellHookOf, shellWord, type Launch } from "../platform/launch.ts";

/** SHIM's entries in a client's settings, and their recognition after the clone moved. Pure. */

export const serverName = "shim";

/** Seconds, as Claude Code counts. SessionStart reads the store and writes the brief. */
export function hookTimeout(event: HookEvent): number {
  return event === "SessionStart" ? 15 : 10;
}

export function serverCommand(launch: Launch): { command: string; args: string[] } {
  return { command: launch.node, args: [launch.script, "mcp"] };
}

/** Exec form: without a shell no path needs quoting, and Windows behaves like the others. */
export function hookCommand(launch: Launch, event: HookEvent): { command: string; args: string[] } {
  return { command: launch.node, args: [launch.hookScript, event] };
}

export const shell = "/bin/sh";

/** [HO70] The program that a client's settings name for an event. */
export function hookEntry(
  launch: Launch,
  event: HookEvent,
  platform: NodeJS.Platform,
): { command: string; args: string[] } {
  if (platform === "win32") return hookCommand(launch, event);
  return { command: shell, args: [shellHookOf(launch), launch.node, event] };
}

/**
 * On Windows the shell is Git Bash or PowerShell, so the text must mean the same to both: it uses
 * slashes, and starts a node whose path has blanks from its folder, since PowerShell reads a
 * leading quoted word as a value. Returns null for a path that cannot be written for both.
 */
export function statusLineCommand(launch: Launch, platform: NodeJS.Platform): string | null {
  if (platform !== "win32") return `${shellWord(launch.node)} ${shellWord(launch.script)} statusline`;
  const node = launch.node.replaceAll("\\", "/");
  const script = windowsWord(launch.script.replaceAll("\\", "/"));
  const cut = node.lastIndexOf("/");
  const folder = windowsWord(node.slice(0, cut));
  if (script === null || folder === null) return null;
  if (plainWord.test(node)) return `${node} ${script} statusline`;
  return `cd ${folder}; ./${node.slice(cut + 1)} ${script} statusline`;
}

function windowsWord(text: string): string | null {
  if (plainWord.test(text)) return text;
  if (!text.includes("'")) return `'${text}'`;
  return /["$`]/.test(text) ? null : `"${text}"`;
}

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
}

export function parseCommand(value: unknown): Command | null {
  if (!isRecord(value)) return null;
  const { args = [] } = value;
  const command = value["command"];
  // OpenCode has one list for both.
  if (isTexts(command)) return { command: command[0] ?? "", args: command.slice(1) };
  if (typeof command !== "string" || !Array.isArray(args)) return null;
  return isTexts(args) ? { command, args } : null;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}

/** Quoted parts and plain ones, as a shell joins them to a word. */
const shellWords = /(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+/g;

/** Words by which a client, or a shell for it, starts the entry; empty for something else. */
function wordsOf(value: unknown): string[] {
  const found = parseCommand(value);
  if (!found) return [];
  if (found.args.length > 0) return [found.command, ...found.args];
  const words = found.command.match(shellWords) ?? [];
  return words.map((word) => word.replaceAll(/'([^']*)'|"([^"]*)"|\\(.)/g, "$1$2$3"));
}

const program = /(^|[\\/])(shim(\.mjs|\.cmd|\.exe)?|shim-mcp(@[^\\/]*)?)$/;
const hookProgram = /(^|[\\/])dist[\\/]hook\.cjs$/;
const shellHook = /(^|\/)dist\/shim-hook$/;
const node = /(^|[\\/])node[^\\/]*$/;

export function isOurServer(value: unknown): boolean {
  return endsWith(value, "mcp");
}

export function isOurStatusLine(value: unknown): boolean {
  return endsWith(value, "statusline");
}

function endsWith(value: unknown, command: string): boolean {
  const words = wordsOf(value);
  return words.at(-1) === command && program.test(words.at(-2) ?? "");
}

export function isOurHook(value: unknown, event: string): boolean {
  if (isHookToolHandler(value)) return true;
  const words = wordsOf(value);
  const start = words.at(-2) === "--client" ? words.slice(0, -2) : words;
  if (start.pop() !== event) return false;
  const [first = "", second = "", third] = start;
  if (shellHook.test(second)) return first === shell && third !== undefined;
  if (hookProgram.test(second)) return node.test(first);
  return start.at(-1) === "hook" && program.test(start.at(-2) ?? "");
}

export function isHookToolHandler(value: unknown): boolean {
  return isRecord(value) && value["type"] === "mcp_tool" && value["tool"] === hookTool;
}

/** The program that runs SHIM's code. */
export function runnerOf(value: unknown): string | null {
  const [first, second = "", third] = wordsOf(value);
  return (shellHook.test(second) ? third : first) ?? null;
}

/** Returns the script that an entry starts; null where a bare name is resolved through PATH. */
export function findScript(value: unknown): string | null {
  return wordsOf(value).find((word) => /[\\/][^\\/]*\.[cm]?js$/.test(word) || shellHook.test(word)) ?? null;
}
