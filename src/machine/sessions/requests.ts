import { adapterOf } from "../../clients/adapters.ts";
import { deedOf } from "../../clients/adapter/tools.ts";
import type { Config } from "../../contract/config.ts";
import type { HookAnswer, HookEvent, HookInput } from "../../contract/hooks.ts";
import { describingArguments, maxHoldSeconds } from "../../contract/hook-tool.ts";
import { redactAndClip } from "../../redaction/bounded-text.ts";
import { redactJson } from "../../redaction/redact.ts";
import { boundTexts, label } from "../../redaction/bounded-text.ts";
import type { GivenDecision, PermissionRequest, PermissionRequests } from "../../runtime/permission-requests.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { asObject, listAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { visible } from "../../shared/visible-text.ts";

/** Permission requests of chats: their text, who may answer them, and when they are over. */

const maxTextChars = 2_000;
/** A part of the input that is read for the text. */
const maxFieldChars = 8_000;

/** A request as an event of its session has it. */
export interface AskedPermission {
  readonly session: string;
  readonly input: HookInput;
  /** Why SHIM's own guard has the user asked, or refuses the call; null: it does not. */
  readonly guard: string | null;
}

/** Milliseconds for which the hook of a client is held; 0: not at all. */
function holdMs(config: Pick<Config, "answers">, client: string): number {
  const { isEnabled, holdDialogSeconds } = config.answers;
  if (!isEnabled) return 0;
  const { permissionDialog, permissionWaitSeconds = maxHoldSeconds } = adapterOf(client) ?? {};
  if (permissionDialog === "beside-hook") return maxHoldSeconds * 1_000;
  return permissionDialog === "after-hook" ? Math.min(holdDialogSeconds, permissionWaitSeconds) * 1_000 : 0;
}

interface Asking {
  readonly client: string;
  /** No person sees its terminal. */
  readonly isWithoutUser: boolean;
}

/**
 * The request of one hook, which may ask for several calls; null: there is nothing to show.
 *
 * @param asked at least one
 */
export function toRequest(
  { config, now, random }: Pick<Runtime, "config" | "now" | "random">,
  asked: readonly AskedPermission[],
  { client, isWithoutUser }: Asking,
): PermissionRequest | null {
  const [first] = asked;
  if (!config.answers.isEnabled || isWithoutUser || first === undefined) return null;
  const { session, input } = first;
  const heldMs = holdMs(config, client);
  const tool = input.tool_name ?? "";
  const askedAt = now();
  return {
    id: newId(random),
    session,
    agent: input.agent_id ?? null,
    tool,
    toolInput: input.tool_input,
    text: textOf(asked.map((one) => describeCall(one.input))),
    reason: reasonFor(asked, heldMs, tool),
    askedAt,
    endsAt: askedAt + (heldMs || maxHoldSeconds * 1_000),
  };
}

/** Without letters that are easily confused, since people type it. */
const alphabet = "23456789abcdefghjkmnpqrstuvwxyz";
const idChars = 8;

function newId(random: Runtime["random"]): string {
  return Array.from(random(idChars), (byte) => alphabet[byte % alphabet.length]).join("");
}

function reasonFor(asked: readonly AskedPermission[], heldMs: number, tool: string): string | null {
  const guard = asked.find((one) => one.guard !== null)?.guard;
  if (guard !== undefined && guard !== null) return `SHIM itself has this asked in the terminal: ${label(guard)}`;
  if (tool === "") return "the client does not say what is asked";
  if (deedOf(tool) === "asks" && tool !== "ExitPlanMode") return "it is a question, which the terminal answers";
  return heldMs === 0
    ? "the terminal asks only once this client's hook has ended (answers.holdDialogSeconds is 0)"
    : null;
}

function textOf(calls: readonly string[]): string {
  const text = calls.join("\n");
  return text.length <= maxTextChars
    ? text
    : `${text.slice(0, maxTextChars)} [cut, ${text.length - maxTextChars} more characters]`;
}

/** Effect of a call, for a person who decides on it: all of it, as far as it has room. */
function describeCall({ tool_name: tool = "", tool_input: given, cwd }: HookInput): string {
  const values = asObject(given) ?? {};
  const body = changeOf(values) ?? commandOf(values);
  const rest = otherOf(body === null ? values : withoutShown(values));
  const where = typeof values["command"] === "string" && cwd !== undefined ? `\nin ${cwd}` : "";
  return visible(redactAndClip(`${[body, rest].filter(Boolean).join("\n") || tool}${where}`, maxTextChars));
}

/** A change of a file: its path, and what goes and comes. */
function changeOf(values: JsonObject): string | null {
  const path = textAt(values, "file_path") ?? textAt(values, "notebook_path");
  if (path === null) return null;
  const edits = listAt(values, "edits").map(asObject);
  const parts = [values, ...edits].flatMap((one) => {
    const comes = textAt(one, "new_string") ?? textAt(one, "content") ?? textAt(one, "new_source");
    return lines("- ", textAt(one, "old_string")).concat(lines("+ ", comes));
  });
  const diff = textAt(values, "diff");
  return [path, ...parts, ...(diff === null ? [] : [diff.slice(0, maxFieldChars)])].join("\n");
}

function lines(mark: string, text: string | null): string[] {
  return (text ?? "")
    .slice(0, maxFieldChars)
    .split("\n")
    .filter((line, at, all) => line !== "" || all.length > 1)
    .map((line) => mark + line);
}

function commandOf(values: JsonObject): string | null {
  const command = textAt(values, "command");
  if (command !== null) return command;
  const url = textAt(values, "url");
  const prompt = textAt(values, "prompt");
  return url === null ? null : [url, ...(prompt === null ? [] : [prompt])].join("\n");
}

/** Arguments that the text has already; a description is the model's own words. */
const shownArguments = new Set(
  "command url prompt file_path notebook_path old_string new_string content new_source edits diff description".split(
    " ",
  ),
);

function withoutShown(values: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(values).filter(([name, value]) => !shownArguments.has(name) && value !== ""),
  );
}

function otherOf(values: JsonObject): string {
  if (Object.keys(values).length === 0) return "";
  return JSON.stringify(redactJson(boundTexts(values, maxFieldChars)).value);
}

/** Answer of a hook that asks for permission, in Claude Code's form. */
export function decisionAnswer(decision: GivenDecision | null): HookAnswer {
  if (decision === null) return {};
  return { hookSpecificOutput: { hookEventName: "PermissionRequest", decision } };
}

const turnEnds: ReadonlySet<HookEvent> = new Set(["UserPromptSubmit", "Stop", "StopFailure", "SubagentStop"]);

/** Calls of one answer of the model begin within this time. */
const batchMs = 3_000;

/** An event of a session in which requests may be open. */
export interface SeenEvent {
  readonly session: string;
  readonly event: HookEvent;
  readonly input: HookInput;
}

/** Ends the requests that the terminal has answered, as far as an event shows it. */
export function endAnswered(requests: PermissionRequests, now: number, seen: SeenEvent): void {
  const own = requests.list(now).filter(({ session }) => session === seen.session);
  if (own.length === 0) return;
  const over = isToolEnd(seen.event)
    ? own.filter((one) => isCall(one, seen)).slice(0, 1)
    : own.filter((one) => isOver(one, seen, now));
  for (const { id } of over) requests.end(id);
}

function isToolEnd(event: HookEvent): boolean {
  return event === "PostToolUse" || event === "PostToolUseFailure";
}

function isOver(request: PermissionRequest, { event, input }: SeenEvent, now: number): boolean {
  if (event === "SessionEnd" || event === "SessionStart") return true;
  if ((input.agent_id ?? null) !== request.agent) return false;
  // The model's next answer; calls of the same one may wait for their own dialogs.
  if (event === "PreToolUse") return now - request.askedAt >= batchMs;
  return turnEnds.has(event);
}

/** Whether the event is of the call that is asked for. */
function isCall({ agent, tool, toolInput }: PermissionRequest, { input }: SeenEvent): boolean {
  if (input.tool_name !== tool || (input.agent_id ?? null) !== agent) return false;
  const [asked, seen] = [asObject(toolInput), asObject(input.tool_input)];
  if (asked === null || seen === null) return true;
  // An event may have a part of the input alone.
  const shared = describingArguments.filter((name) => name in asked && name in seen);
  if (shared.length > 0) return shared.every((name) => asked[name] === seen[name]);
  return JSON.stringify(asked) === JSON.stringify(seen);
}
