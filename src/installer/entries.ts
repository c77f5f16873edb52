import { isDeepStrictEqual } from "node:util";
import { adapterOf } from "../clients/adapters.ts";
import { missingText, statusLineEvent } from "../clients/adapter/hook-program.ts";
import { formOf } from "../clients/details.ts";
import type { HookHandler, ServerForm } from "../clients/adapter/client-form.ts";
import { type HookEvent, hookEvents } from "../contract/hooks.ts";
import { clientMs } from "../contract/hook-limits.ts";
import { hookTool, hookToolGroups, isEventKnown, isHookToolEvent } from "../contract/hook-tool.ts";
import { harmlessTools } from "../contract/own-tools.ts";
import { commandLine, plainWord, type Shell, shellWord } from "../platform/shell-line.ts";
import { type Launch, shellHookOf } from "../platform/shim-command.ts";
import { type JsonObject, isRecord, parseJson } from "../shared/json-fields.ts";
import { type Settings, listIn, objectAt, objectIn, valueAt } from "./settings.ts";

/** SHIM's entries in a client's settings, and their recognition after the clone moved. Pure. */

export const serverName = "shim";

export function serverCommand(launch: Launch): { command: string; args: string[] } {
  return { command: launch.node, args: [launch.script, "mcp"] };
}

/** Exec form, for Windows: without a shell no path needs quoting. */
export function hookCommand(launch: Launch, event: HookEvent): { command: string; args: string[] } {
  const systemMessage = missingText(launch.hookScript, launch.node);
  const otherwise = event === "SessionStart" ? `console.log(${JSON.stringify(JSON.stringify({ systemMessage }))})` : "";
  return { command: launch.node, args: ["-e", startText("process.argv[1]", otherwise), launch.hookScript, event] };
}

/** A program that ends with 0 where SHIM is gone. @param path as JavaScript, as is `otherwise` */
function startText(path: string, otherwise = ""): string {
  return `try{require(${path})}catch{${otherwise}}`;
}

/**
 * A line of Windows. A client gives it to cmd as one argument, which adds to each quote a backslash
 * that cmd does not know: so a path with blanks is written in hexadecimal digits. A Node whose
 * path has some is on the PATH, since its installer puts it there.
 */
function windowsLine({ node, hookScript }: Launch, words: readonly string[], shell: Exclude<Shell, "sh">): string {
  if (shell === "powershell") return `${commandLine([node, hookScript, ...words], shell)} 2>$null ; exit 0`;
  const isPlain = (path: string): boolean => !commandLine([path], shell).startsWith('"');
  const digits = Buffer.from(hookScript).toString("hex");
  const script = isPlain(hookScript)
    ? [startText("process.argv[1]"), hookScript]
    : [`try{process.argv.splice(1,0,Buffer.from(/${digits}/.source,/hex/.source)+[]);require(process.argv[1])}catch{}`];
  return [isPlain(node) ? node : "node", "-e", ...script, ...words, "2>nul & exit 0"].join(" ");
}

const shell = "/bin/sh";

/**
 * A client takes the exit code 2 for a refusal, and one of them any failure. So a shell waits for
 * the script and ends with 0, whatever is missing. At the start of a session it says so, in a
 * client that shows it.
 */
function scriptCommand(launch: Launch, event: string, client: string): { command: string; args: string[] } {
  const script = shellHookOf(launch);
  const systemMessage = missingText(script, launch.node);
  const answer = event === "SessionStart" ? JSON.stringify(adapterOf(client)?.answer(event, { systemMessage })) : "{}";
  const otherwise = answer === "{}" ? "" : ` || printf %s ${shellWord(answer)}`;
  return { command: shell, args: ["-c", `(. "$0") 2>/dev/null${otherwise}; exit 0`, script, launch.node, event] };
}

/** For an open chat whose SHIM is gone. */
const noStatus = "SHIM does not work: this chat is not saved";

/**
 * By the script of hooks, which asks the host. On Windows the shell is Git Bash or PowerShell, so
 * the text must mean the same to both: it uses slashes, and starts a node whose path has blanks
 * from its folder, since PowerShell reads a leading quoted word as a value. Returns null for a path
 * that cannot be written for both.
 */
export function statusLineCommand(launch: Launch, platform: NodeJS.Platform): string | null {
  if (platform !== "win32")
    return `${commandLine([shell, shellHookOf(launch), launch.node, statusLineEvent], "sh")} || echo ${shellWord(noStatus)}`;
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

function parseCommand(value: unknown): Command | null {
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

/** Quoted and plain parts, as a shell joins them to a word. A path of Windows keeps backslashes. */
const shellWords = /(?:'(?:[^']|'')*'|"[^"]*"|\\['"\s]|[^\s'"])+/g;
const hexDigits = /^try\{.*Buffer\.from\(\/([\da-f]+)\/\.source,/;

/** Words by which a client, or a shell for it, starts the entry; empty for something else. */
function wordsOf(value: unknown): string[] {
  const found = parseCommand(value);
  if (!found) return [];
  if (found.args.length > 0) return [found.command, ...found.args];
  const words = found.command.match(shellWords) ?? [];
  const read = words.map((word) =>
    word.replaceAll(/'((?:[^']|'')*)'|"([^"]*)"|\\(['"\s])/g, (_, single = "", double = "", other = "") =>
      [String(single).replaceAll(/(['\u2018-\u201B])\1/g, "$1"), double, other].join(""),
    ),
  );
  return read.flatMap((word) => {
    const [, digits] = hexDigits.exec(word) ?? [];
    return digits === undefined ? [word] : [word, Buffer.from(digits, "hex").toString()];
  });
}

const program = /(^|[\\/])(shim(\.mjs|\.cmd|\.exe)?|shim-mcp(@[^\\/]*)?)$/;
const hookProgram = /(^|[\\/])dist[\\/]hook\.cjs$/;
const shellHook = /(^|\/)dist\/shim-hook$/;
const startsHook = new RegExp(`${hookProgram.source}|${shellHook.source}`);
const node = /(^|[\\/])node[^\\/]*$/;

export function isOurServer(value: unknown): boolean {
  return endsWith(wordsOf(value), "mcp");
}

export function isOurStatusLine(value: unknown): boolean {
  const words = wordsOf(value);
  const start = words.at(-1) === noStatus ? words.slice(0, -3) : words;
  return endsWith(start, "statusline") || (start.at(-1) === statusLineEvent && shellHook.test(start.at(-3) ?? ""));
}

function endsWith(words: readonly string[], command: string): boolean {
  return words.at(-1) === command && program.test(words.at(-2) ?? "");
}

export function isOurHook(value: unknown, event: string): boolean {
  if (isHookToolHandler(value)) return true;
  const words = wordsOf(value);
  const given = words.slice(
    words[0] === "&" ? 1 : 0,
    words.at(-2) === "exit" && words.at(-4)?.startsWith("2>") ? -4 : undefined,
  );
  const start = given.at(-2) === "--client" ? given.slice(0, -2) : given;
  if (start.pop() !== event) return false;
  const [first = ""] = start;
  if (shellHook.test(start.at(-2) ?? "")) return first === shell;
  if (hookProgram.test(start.at(-1) ?? "")) return node.test(first);
  return start.at(-1) === "hook" && program.test(start.at(-2) ?? "");
}

export function isHookToolHandler(value: unknown): boolean {
  return isRecord(value) && value["type"] === "mcp_tool" && value["tool"] === hookTool;
}

/** The program that runs SHIM's code. */
export function runnerOf(value: unknown): string | null {
  const words = wordsOf(value);
  const script = words.findIndex((word) => shellHook.test(word));
  return words[script + 1] === "&" ? (words[1] ?? null) : (words[script + 1] ?? null);
}

/** Returns the script that an entry starts; null where a bare name is resolved through PATH. */
export function findScript(value: unknown): string | null {
  return wordsOf(value).find((word) => /[\\/][^\\/]*\.[cm]?js$/.test(word) || shellHook.test(word)) ?? null;
}

/** The MCP servers in a client's file. */

/** Names of SHIM's entries. */
export function ourServers(root: JsonObject, { key }: ServerForm): string[] {
  return Object.entries(objectAt(root, [key])).flatMap(([name, entry]) => (isOurServer(entry) ? [name] : []));
}

/** Whether another server has the name, and none of SHIM's is there under another one. */
export function isNameTaken(root: JsonObject, form: ServerForm): boolean {
  return objectAt(root, [form.key])[serverName] !== undefined && ourServers(root, form).length === 0;
}

/** An existing entry keeps its name and the user's additions, such as `env`. */
export function addServer(root: Settings, form: ServerForm, launch: Launch): void {
  const expected = serverCommand(launch);
  const servers = objectIn(root, form.key);
  const [first, ...others] = ourServers(root, form);
  for (const name of others) delete servers[name];
  if (first === undefined) servers[serverName] = form.entry(expected.command, expected.args);
  else correctCommand(objectIn(servers, first), expected);
}

export function removeServers(root: Settings, form: ServerForm): void {
  for (const name of ourServers(root, form)) delete objectIn(root, form.key)[name];
}

function correctCommand(entry: Settings, { command, args }: Command): void {
  if (isDeepStrictEqual(parseCommand(entry), { command, args })) return;
  // OpenCode has one list for the command and its arguments.
  if (Array.isArray(entry["command"])) entry["command"] = [command, ...args];
  else Object.assign(entry, { command }, args.length > 0 || entry["args"] !== undefined ? { args } : {});
}

/** The hooks in a client's file. */

/** A hook of SHIM where it stands, in a group of handlers. */
interface OurHook {
  readonly handler: Settings;
  /** The list that has the handler. */
  readonly siblings: unknown[];
  readonly group: Settings;
  /** Positions as the client counts them. */
  readonly at: readonly number[];
}

export function ourHooks(root: JsonObject, event: string): OurHook[] {
  const groups = valueAt(root, ["hooks", event]);
  if (!Array.isArray(groups)) return [];
  return groups.flatMap((group: unknown, at): OurHook[] => {
    const handlers = isRecord(group) ? group["hooks"] : undefined;
    if (isRecord(group) && Array.isArray(handlers))
      return handlers.flatMap((handler: unknown, index) =>
        isRecord(handler) && isOurHook(handler, event) ? [{ handler, siblings: handlers, group, at: [at, index] }] : [],
      );
    return [];
  });
}

export function ourHandlers(root: JsonObject, event: string): Settings[] {
  return ourHooks(root, event).map(({ handler }) => handler);
}

export function removeHooks(root: Settings, events: readonly string[]): void {
  for (const event of events) for (const hook of ourHooks(root, event)) removeHook(root, event, hook);
}

/** A group goes with its last handler. */
function removeHook(root: Settings, event: string, { handler, siblings, group }: OurHook): void {
  siblings.splice(siblings.indexOf(handler), 1);
  const groups = listIn(objectIn(root, "hooks"), event);
  if (siblings.length === 0) groups.splice(groups.indexOf(group), 1);
}

export function setHook(
  root: Settings,
  event: string,
  handler: HookHandler & { readonly args?: readonly string[] },
): void {
  const [first, ...others] = ourHooks(root, event);
  for (const hook of others) removeHook(root, event, hook);
  if (first) correctCommand(first.handler, { command: handler.command, args: handler.args ?? [] });
  // Behind all others, whose position stays.
  else listIn(objectIn(root, "hooks"), event).push({ hooks: [handler] });
}

/** How Claude Code's hooks reach SHIM. */
export interface HookDelivery {
  /** Name of SHIM's MCP server, which gets tool events; null: each event starts a process. */
  readonly server: string | null;
  readonly version: string | null;
  readonly platform: NodeJS.Platform;
}

export function supportedEvents({ version }: Pick<HookDelivery, "version">): HookEvent[] {
  return hookEvents.filter((event) => isEventKnown(event, version));
}

/** Sets Claude Code's hooks of each event; the user's own stay unchanged. */
export function setClaudeHooks(root: Settings, launch: Launch, delivery: HookDelivery): void {
  const { server, version, platform } = delivery;
  for (const event of hookEvents) {
    const hooks = ourHooks(root, event);
    const isKnown = isEventKnown(event, version);
    if (isKnown && server !== null && isHookToolEvent(event)) {
      const groups = hookToolGroups(event, server);
      if (
        isDeepStrictEqual(
          hooks.map(({ group }) => group),
          groups,
        )
      )
        continue;
      removeHooks(root, [event]);
      listIn(objectIn(root, "hooks"), event).push(...groups);
      continue;
    }
    for (const hook of hooks) if (!isKnown || isHookToolHandler(hook.handler)) removeHook(root, event, hook);
    const command = platform === "win32" ? hookCommand(launch, event) : scriptCommand(launch, event, "claude-code");
    const handler = { type: "command", ...command, timeout: clientMs(event) / 1_000 };
    if (isKnown) setHook(root, event, handler);
  }
}

export function hookCommandLine(launch: Launch, platform: NodeJS.Platform, event: string, client: string): string {
  const { command, args } = scriptCommand(launch, event, client);
  const words = ["--client", client];
  const shell = platform === "win32" ? (formOf(client).hooks?.windowsShell ?? "sh") : "sh";
  if (shell === "sh") return commandLine([command, ...args, ...words], shell);
  return windowsLine(launch, [event, ...words], shell);
}

/**
 * The hook that a file of SHIM's own starts, such as a plugin, as a handler; null: SHIM did not
 * write it. The file holds a command line, or the program and its argument, as texts of JSON.
 */
export function handlerIn(text: string): JsonObject | null {
  const texts = [...text.matchAll(/"(?:[^"\\]|\\.)*"/g)].map(([literal]) => String(parseJson(literal)));
  const script = texts.findIndex((one) => hookProgram.test(one));
  if (script > 0) return { command: texts[script - 1], args: [texts[script]] };
  const command = texts.find((one) => wordsOf({ command: one }).some((word) => startsHook.test(word)));
  return command === undefined ? null : { command };
}

/** Claude Code's name of the plugin's server. */
export const pluginServer = "plugin:shim:shim";

/**
 * Rules of Claude Code and Qwen Code by which harmless tools run without a question. A list
 * of another shape stays. @param server SHIM's name in the client's file
 */
export function addRules(root: Settings, server: string): void {
  const { permissions = {} } = root;
  if (!isRecord(permissions) || !Array.isArray(permissions["allow"] ?? [])) return;
  const rules = listIn(objectIn(root, "permissions"), "allow");
  rules.push(...rulesFor(server).filter((rule) => !rules.includes(rule)));
}

/** Keeps a rule that the user had before. @param original the file before SHIM */
export function removeRules(root: Settings, server: string, original: JsonObject): void {
  const [rules, before] = [root, original].map((one) => valueAt(one, ["permissions", "allow"]));
  if (!Array.isArray(rules)) return;
  const kept: readonly unknown[] = Array.isArray(before) ? before : [];
  const ours = new Set<unknown>(rulesFor(server).filter((rule) => !kept.includes(rule)));
  rules.splice(0, Infinity, ...(rules as unknown[]).filter((rule) => !ours.has(rule)));
}

function rulesFor(server: string): string[] {
  return harmlessTools.map((tool) => `mcp__${server.replaceAll(/[^\w-]/g, "_")}__${tool}`);
}

/** Keys of SHIM as a plugin of Claude Code. */
const isOurPlugin = (key: string): boolean => key.startsWith("shim@");

export function enabledPlugins(settings: JsonObject): string[] {
  const switches = objectAt(settings, ["enabledPlugins"]);
  return Object.keys(switches).filter((key) => isOurPlugin(key) && switches[key] === true);
}
