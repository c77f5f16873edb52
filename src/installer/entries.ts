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

const program = /(^|[\\/])(shim(\.mjs|\.cmd|\.exe)?|shim-mcp(@[^\\/]*)?)$/;
const hookProgram = /(^|[\\/])(dist[\\/]hook|shim-hook)\.[cm]?js$/;
const shellHook = /(^|\/)dist\/shim-hook$/;
const node = /(^|[\\/])node[^\\/]*$/;

export function isOurServer(value: unknown): boolean {
  const found = parseCommand(value);
  return found !== null && found.args.at(-1) === "mcp" && programIndex(found) >= 0;
}

export function isOurHook(value: unknown, event: string): boolean {
  if (isHookToolHandler(value)) return true;
  const found = parseCommand(value);
  if (!found) return false;
  if (found.args.length === 0) return isShellHook(found.command, event);
  if (found.args.at(-1) !== event) return false;
  if (found.args.length === 3 && isShellEntry(found)) return true;
  if (found.args.length === 2 && hookProgram.test(found.args[0] ?? "")) return node.test(found.command);
  return found.args.at(-2) === "hook" && programIndex(found) >= 0;
}

function isShellEntry({ command, args }: Command): boolean {
  return command === shell && shellHook.test(args[0] ?? "");
}

/** The program that runs SHIM's code. */
export function runnerOf(value: unknown): string | null {
  const found = parseCommand(value);
  if (!found) return null;
  if (isShellEntry(found)) return found.args[1] ?? null;
  if (!shellHookLine.test(found.command)) return found.command;
  const words = /\/dist\/shim-hook'? (?:'(?<quoted>[^']+)'|(?<plain>[^\s']+)) /.exec(found.command)?.groups;
  return words?.["quoted"] ?? words?.["plain"] ?? null;
}

export function isHookToolHandler(value: unknown): boolean {
  return isRecord(value) && value["type"] === "mcp_tool" && value["tool"] === hookTool;
}

const shellHookLine = /\/dist\/shim-hook'?\s/;

function isShellHook(command: string, event: string): boolean {
  const named = /(?:dist[\\/]hook|shim-hook)\.[cm]?js["']?\s+(?<event>\w+)\s+--client\s+[\w-]+\s*$/.exec(
    command,
  )?.groups;
  if (named) return named["event"] === event;
  const sent = shellHookLine.test(command) ? /\s(?<event>\w+) --client [\w-]+\s*$/.exec(command)?.groups : undefined;
  if (sent) return sent["event"] === event;
  const words = /^(?<program>.*?)["']?(?<!\s)\s+hook\s+(?<event>\w+)\s*$/.exec(command)?.groups;
  return words?.["event"] === event && /(^|[\\/\s"'])shim(\.mjs|-mcp)?$/.test(words["program"] ?? "");
}

export function isOurStatusLine(value: unknown): boolean {
  if (!isRecord(value) || typeof value["command"] !== "string") return false;
  return /(^|[\\/\s"'])shim(\.mjs|-mcp)?["']?\s+statusline\s*$/.test(value["command"]);
}

function programIndex({ command, args }: Command): number {
  return [command, ...args].findIndex((word) => program.test(word));
}

/** Returns the script that an entry starts; null where a bare name is resolved through PATH. */
export function findScript(value: unknown): string | null {
  const found = parseCommand(value);
  if (found?.args.length === 0) return findShellScript(found.command);
  return found?.args.find((arg) => /[\\/][^\\/]*\.[cm]?js$/.test(arg) || shellHook.test(arg)) ?? null;
}

function findShellScript(command: string): string | null {
  const [word] =
    /'[^']+\.[cm]?js'|"[^"]+\.[cm]?js"|(?<![^\s'"])[^\s'"]+\.[cm]?js/.exec(command) ??
    /'[^']+\/shim-hook'|(?<![^\s'"])[^\s'"]+\/shim-hook(?=\s|$)/.exec(command) ??
    [];
  return word?.replaceAll(/^['"]|['"]$/g, "") ?? null;
}
