import type * as z from "zod/mini";
import { senderOf } from "../../clients/adapters.ts";
import type { ClientAdapter } from "../../clients/client-adapter.ts";
import { HookInput } from "../../contract/hook-input.ts";
import { asObject, type JsonObject } from "../../shared/json-fields.ts";
import { idOf, label } from "../sessions/entries.ts";
import type { HookCall } from "./hook-context.ts";

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

export interface ReadEvent {
  /** The client that has sent it. */
  readonly client: ClientAdapter;
  readonly calls: readonly HookCall[];
}

/** @param reject gets the reason where nothing is read of the input */
export function readEvent(given: GivenEvent, reject: (reason: string) => void): ReadEvent {
  const { event, client: named, env, clientPid, id } = given;
  const nothing = (reason: string): ReadEvent => {
    reject(reason);
    return { client: named, calls: [] };
  };
  if (!named.events.includes(event)) return nothing(`unknown hook event "${label(event)}"`);
  const payload = parse(given.input, named);
  if (typeof payload === "string") return nothing(`${event}: ${payload}`);
  const client = senderOf(named, payload);
  const events = client.normalise(event, payload, env);
  if (events === null) return nothing(`${event}: input is not what ${client.title} sends`);
  const calls = events.flatMap((one, n) => {
    const input = parseInput(one.input, client.title);
    const ownId = id === undefined ? undefined : `${id}.${n}`;
    if (typeof input !== "string") return [{ event: one.event, input, clientName: client.name, clientPid, id: ownId }];
    reject(`${one.event}: ${input}`);
    return [];
  });
  return { client, calls };
}

/** @returns what is wrong, for input that is no JSON object */
function parse(text: string, { title }: ClientAdapter): JsonObject | string {
  try {
    return asObject(JSON.parse(text)) ?? `input is not what ${title} sends: a JSON object is required`;
  } catch {
    return "input is not JSON";
  }
}

/** @returns what is wrong, for input that the client does not send */
export function parseInput(value: unknown, client: string): HookInput | string {
  const parsed = HookInput.safeParse(value);
  return parsed.success ? cleanInput(parsed.data) : `input is not what ${client} sends: ${describeIssue(parsed.error)}`;
}

const idFields = ["prompt_id", "tool_use_id", "agent_id"] as const;
const labelFields = ["client_version", "agent_type", "source", "model", "tool_name", "trigger", "reason"] as const;

/** Pure. [HO6] Texts and paths stay: they are bounded and redacted where they are stored. */
export function cleanInput(input: HookInput): HookInput {
  return {
    ...input,
    session_id: idOf(input.session_id),
    ...mapFields(input, idFields, idOf),
    ...mapFields(input, labelFields, label),
  };
}

function mapFields(
  input: HookInput,
  names: readonly ((typeof idFields)[number] | (typeof labelFields)[number])[],
  clean: (text: string) => string,
): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = input[name];
      return value === undefined ? [] : [[name, clean(value)]];
    }),
  );
}

function describeIssue({ issues: [issue] }: z.core.$ZodError): string {
  const field = issue?.path.join(".") ?? "";
  if (!issue) return "an object is required";
  if (issue.code === "too_small") return `${field} is empty`;
  if (issue.code === "too_big") return `${field} has more than ${issue.maximum} characters`;
  return `${field} is missing or is not text`;
}
