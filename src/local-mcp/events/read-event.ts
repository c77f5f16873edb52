import type * as z from "zod/mini";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import type { HookClient } from "../../contract/clients.ts";
import { HookInput, type HookEvent } from "../../contract/hooks.ts";
import { hookToolFields, isHookToolEvent, type HookToolEvent } from "../../contract/hook-tool.ts";
import { clientPidOf, skipShells, type Processes } from "../../platform/processes.ts";
import { asObject, jsonOrText, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { digest, idOf } from "../../machine/sessions/entries.ts";
import { label } from "../../redaction/redact.ts";
import { readPayload } from "./payload.ts";

/** An event of a client in Claude Code's names, checked and bounded. */
export interface IncomingEvent {
  readonly client: ClientAdapter;
  readonly event: HookEvent;
  readonly input: HookInput;
  readonly clientPid: number;
  /** Known to the sender, which may spool the event as well. */
  readonly id?: string | undefined;
  /** From the spool: no sign of life now, and the answer is not read. */
  readonly isLate?: boolean;
}

/** @param process the line by which the process of a hook describes itself: it has one event */
export function eventIdOf(event: string, process: string): string {
  return digest(`${event} ${process}`);
}

/** An event as a client has given it. */
export interface GivenEvent {
  /** The client's name of it. */
  readonly event: string;
  readonly input: string;
  readonly client: ClientAdapter;
  readonly env: NodeJS.ProcessEnv;
  readonly clientPid: number;
  /** The same where the event is given again. */
  readonly id?: string | undefined;
}

/** An input that is not whole, or is no event. */
export interface UnreadInput {
  readonly id: string;
  /** The client's name of it. */
  readonly event: string;
  readonly clientName: HookClient;
  readonly clientPid: number;
  readonly session: string | null;
  readonly cwd: string | null;
  /** Why it is not read. */
  readonly problem: string;
  readonly text: string;
}

export interface ReadEvent {
  /** The client that has sent it. */
  readonly client: ClientAdapter;
  readonly events: readonly IncomingEvent[];
  readonly unread: UnreadInput | null;
}

/** @param reject gets the reason where a part of the input is not read */
export function readEvent(given: GivenEvent, reject: (reason: string) => void): ReadEvent {
  const { event, client, env, clientPid, id } = given;
  if (!client.events.includes(event)) {
    reject(`unknown hook event "${label(event)}"`);
    return { client, events: [], unread: null };
  }
  const { objects, problem } = readPayload(given.input);
  const problems = problem === null ? [] : [problem];
  const events: IncomingEvent[] = [];
  let number = 0;
  for (const payload of objects) {
    const normalised = client.normalise(event, payload, env);
    if (normalised === null) problems.push(`input is not what ${client.title} sends`);
    for (const one of normalised ?? []) {
      const input = parseInput(one.input, client.title);
      const ownId = id === undefined ? undefined : `${id}.${number++}`;
      if (typeof input === "string") problems.push(input);
      else events.push({ event: one.event, input, client, clientPid, id: ownId });
    }
  }
  const [first] = problems;
  if (first === undefined) return { client, events, unread: null };
  reject(`${event}: ${first}`);
  const [object = null] = objects;
  const unread = {
    id: id ?? digest(given.input),
    event,
    clientName: client.name,
    clientPid,
    session: events[0]?.input.session_id ?? null,
    cwd: textAt(object, "cwd"),
    problem: first,
    text: given.input,
  };
  return { client, events, unread };
}

const idFields = ["session_id", "prompt_id", "tool_use_id", "agent_id"] as const;
const labelFields = ["client_version", "agent_type", "source", "model", "tool_name", "trigger", "reason"] as const;

/**
 * Texts and paths stay: they are bounded and redacted where they are stored.
 *
 * @returns what is wrong, for input that the client does not send
 */
export function parseInput(value: unknown, client: string): HookInput | string {
  const parsed = HookInput.safeParse(value);
  if (!parsed.success) return `input is not what ${client} sends: ${describeIssue(parsed.error)}`;
  const input = parsed.data;
  for (const name of idFields) if (input[name] !== undefined) input[name] = idOf(input[name]);
  for (const name of labelFields) if (input[name] !== undefined) input[name] = label(input[name]);
  return input;
}

function describeIssue({ issues: [issue] }: z.core.$ZodError): string {
  const field = issue?.path.join(".") ?? "";
  if (!issue) return "an object is required";
  if (issue.code === "too_small") return `${field} is empty`;
  if (issue.code === "too_big") return `${field} has more than ${issue.maximum} characters`;
  return `${field} is missing or is not text`;
}

/** The client passes every value as text. */
const numberFields: ReadonlySet<string> = new Set(["duration_ms", "context_tokens"]);
const jsonFields: ReadonlySet<string> = new Set([
  "tool_input",
  "tool_input.todos",
  "tool_input.questions",
  "tool_input.answers",
  "tool_response.task",
  "tool_response.answers",
  "permission_suggestions",
]);

/** Pure. Returns null if these are not the arguments of a hook event. */
export function toHookInput(given: unknown): { readonly event: HookToolEvent; readonly input: JsonObject } | null {
  const values = asObject(given);
  const event = textAt(values, "event") ?? "";
  if (!isHookToolEvent(event)) return null;
  const input: Record<string, unknown> = { hook_event_name: event };
  for (const name of [...hookToolFields[event], "tool_input"]) {
    // The client writes an absent field and an empty one alike.
    const text = textAt(values, name);
    const value = text === null ? undefined : parseField(name, text);
    if (value === undefined) continue;
    const [outer = "", inner] = name.split(".");
    input[outer] = inner === undefined ? value : { ...asObject(input[outer]), [inner]: value };
  }
  return { event, input };
}

function parseField(name: string, text: string): unknown {
  if (numberFields.has(name)) return Number.isFinite(Number(text)) ? Number(text) : undefined;
  if (name === "stop_hook_active") return text === "true";
  // Keeps other text: a tool may take a plain text where others take an object.
  return jsonFields.has(name) ? jsonOrText(text) : text;
}

/**
 * Clients start a hook in a shell, which may stay as its parent. On Windows nothing says who has
 * started the shell, which ends with the hook: no process is the client then, and that is 0.
 *
 * @param parent of the hook's process
 */
export function findClientPid(
  processes: Processes,
  { name, startsHooks }: Pick<ClientAdapter, "name" | "startsHooks">,
  env: NodeJS.ProcessEnv,
  parent: number,
): number {
  const isUnseen = startsHooks !== "itself" && processes.facts(parent)?.command === "";
  if (name !== "claude-code") return isUnseen ? 0 : skipShells(processes, parent);
  return Number(env["CLAUDE_PID"]) || skipShells(processes, clientPidOf(processes, env, parent));
}
