import { resolve } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { deedOf, shellCommandOf } from "../../clients/adapter/tools.ts";
import type { HookInput } from "../../contract/hooks.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import { asObject, listAt, numberAt, objectAt, textAt } from "../../shared/json-fields.ts";
import { redactAndClip, redactAndKeepEnds } from "../../redaction/bounded-text.ts";
import { idOf, pathOf } from "./entries.ts";
import { simpleCommands, type SimpleCommand } from "./shell-commands.ts";

/** Pure: what the end of a call shows, in the words of its client. */

type CallResult = Pick<
  Extract<JournalEntry, { kind: "tool_end" }>,
  "output" | "exitCode" | "background" | "removed" | "names"
>;

const most = { outputChars: 160, readChars: 2_000, colouredChars: 8_000, names: 6, nameChars: 160, removed: 30 };

export function resultOf(input: HookInput): CallResult {
  const { tool_name: tool = "", tool_input: given, tool_response: response } = input;
  const fields = asObject(response);
  const commands = simpleCommandsOf(tool, given);
  const output = deedOf(tool) === "runs" ? lastLines(printedIn(response)) : "";
  const exitCode = numberAt(fields, "exit_code");
  const background = textAt(fields, "backgroundTaskId") ?? (fields?.["isAsync"] === true ? agentIn(input) : null);
  const removed = commands.flatMap((one) => removedBy(one, input.cwd));
  const names = namesIn(input, commands, output);
  return {
    ...(output === "" ? {} : { output }),
    ...(exitCode === null ? {} : { exitCode }),
    ...(background === null ? {} : { background: idOf(background) }),
    ...(removed.length === 0 ? {} : { removed: removed.slice(0, most.removed) }),
    ...(names.length === 0 ? {} : { names: names.slice(-most.names) }),
  };
}

/** Answer of a sub-agent whose call has waited for it; null: it is none, or runs on. */
export function subagentResult({ tool_name: tool = "", tool_response: response }: HookInput): string | null {
  if (!/^(?:Task|Agent)$/.test(tool) || asObject(response)?.["isAsync"] === true) return null;
  const text = printedIn(response).trim();
  return text === "" ? null : text;
}

export function agentIn({ tool_response: response }: HookInput): string | null {
  return textAt(asObject(response), "agentId");
}

function printedIn(response: unknown): string {
  if (typeof response === "string") return response;
  const fields = asObject(response);
  const printed = ["stdout", "stderr", "output"].map((name) => textAt(fields, name) ?? "");
  const blocks = listAt(fields, "content").map((block) => textAt(asObject(block), "text") ?? "");
  return [...printed, blocks.join("\n")].find((text) => text.trim() !== "") ?? "";
}

/** The last line, with those before it as far as they are short. */
function lastLines(printed: string): string {
  // Colours would take the room of words.
  const plain = stripVTControlCharacters(printed.slice(-most.colouredChars)).trimEnd();
  const end = redactAndKeepEnds(plain, { head: 0, tail: most.readChars });
  const lines = end.split("\n").map((line) => line.replaceAll(/\s+/g, " ").trim());
  const said = lines.filter((line) => /[\p{L}\p{N}]/u.test(line) && !line.startsWith("[cut, "));
  let text = (said.pop() ?? "").slice(0, most.outputChars);
  for (let line = said.pop(); line !== undefined; line = said.pop()) {
    if (line.length + text.length + 3 > most.outputChars) break;
    text = `${line} / ${text}`;
  }
  return text;
}

function simpleCommandsOf(tool: string, given: unknown): readonly SimpleCommand[] {
  const command = shellCommandOf(tool, given);
  return command === null ? [] : simpleCommands(command.text, command.shell === "powershell");
}

/** Files that a command is to take away: whether it did is seen at the files. */
function removedBy({ words, folders }: SimpleCommand, cwd: string | undefined): string[] {
  const [program, ...rest] = words[0] === "git" ? words.slice(1) : words;
  const paths = rest.filter((word) => !word.startsWith("-"));
  const taken = program === "mv" ? paths.slice(0, -1) : program === "rm" || program === "unlink" ? paths : [];
  if (folders === null || cwd === undefined) return [];
  return taken.map((path) => pathOf(resolve(cwd, ...folders, path)));
}

/** Addresses of what people discuss, and names of tasks in a tracker. */
const address = /https?:\/\/[^\s"'<>()[\]`\\]{1,200}?\/(?:pull|merge_requests|issues)\/\d{1,9}\b/g;
const trackerId =
  /(?<![\w-])(?!(?:UTF|SHA|ISO|RFC|AES|RSA|GPT|CVE|ES|MD|HTTP|TLS|BASE|PEP)-)[A-Z][A-Z0-9]{1,9}-\d{1,6}(?![\w-])/g;

/** Worktrees, sub-agents, pull requests and tasks of a tracker that the call has named. */
function namesIn(input: HookInput, commands: readonly SimpleCommand[], output: string): string[] {
  const { tool_name: tool = "", tool_input: given, tool_response: response } = input;
  const fields = asObject(given);
  const worktrees = commands.flatMap(({ words }) => worktreeIn(words));
  const agent = /^(?:Task|Agent)$/.test(tool) ? [agentName(input)] : [];
  const texts = [textAt(fields, "command") ?? "", ...(tool.startsWith("mcp__") ? textsOf(fields) : [])];
  const written = texts.join("\n").slice(0, most.readChars);
  const printed = `${output}\n${printedIn(response).slice(-most.readChars)}`;
  const ids = [...written.matchAll(trackerId)].map(([id]) => id);
  const addresses = [...`${written}\n${printed}`.matchAll(address)].map(([one]) => one);
  const all = [...worktrees, ...agent, ...ids, ...addresses];
  return [...new Set(all.map((name) => redactAndClip(name, most.nameChars).replaceAll(/\s+/g, " ")))];
}

function worktreeIn(words: readonly string[]): string[] {
  const at = words.indexOf("worktree");
  if (words[0] !== "git" || at < 0 || words[at + 1] !== "add") return [];
  const rest = words.slice(at + 2);
  const path = rest.find((word, index) => !word.startsWith("-") && !/^-[bB]$/.test(rest[index - 1] ?? ""));
  return path === undefined ? [] : [`worktree ${path}`];
}

function agentName(input: HookInput): string {
  const fields = asObject(input.tool_input);
  const id = agentIn(input);
  const name = textAt(fields, "name") ?? textAt(fields, "description") ?? textAt(fields, "subagent_type") ?? "";
  return `sub-agent "${name}"${id === null ? "" : ` (${id})`}`;
}

function textsOf(fields: ReturnType<typeof asObject>): string[] {
  return Object.values(fields ?? {}).filter((value) => typeof value === "string");
}

/** Id of what a call has ended that ran in the background, or has seen at its end; null: none. */
export function endedBackground({
  tool_name: tool = "",
  tool_input: given,
  tool_response: response,
}: HookInput): string | null {
  const fields = asObject(given);
  const id = textAt(fields, "task_id") ?? textAt(fields, "shell_id") ?? textAt(fields, "bash_id");
  if (/^(?:TaskStop|KillShell|KillBash)$/.test(tool)) return id;
  const answer = asObject(response);
  const status = textAt(answer, "status") ?? textAt(objectAt(answer, "task"), "status") ?? "";
  return /^(?:TaskOutput|BashOutput)$/.test(tool) && isOver(status) ? id : null;
}

function isOver(status: string): boolean {
  return /^(?:completed|failed|killed|stopped)$/.test(status);
}

const notice = /^<task-notification>[^]{0,200}?<task-id>([\w.:-]{1,200})<\/task-id>/;
const noticeStatus = /<status>(\w{1,40})<\/status>/;

/** Id of a background task whose end a client reports in the user's place; null: none. */
export function endedTaskIn(prompt: string): string | null {
  const text = prompt.trimStart();
  const id = notice.exec(text)?.[1];
  return id !== undefined && isOver(noticeStatus.exec(text)?.[1] ?? "") ? id : null;
}
