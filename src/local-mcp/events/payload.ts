import { cutOffMark } from "../../machine/sessions/entries.ts";
import { JsonObjectReader } from "../../platform/json-object-reader.ts";
import { isRecord, parseJson, parseObject, type JsonObject } from "../../shared/json-fields.ts";

/** Pure. The JSON that a client has written to a hook, also where it is damaged. */

interface Payload {
  /** In their order. */
  readonly objects: readonly JsonObject[];
  /** Why not all of the input is in the objects; null: all of it is. */
  readonly problem: string | null;
}

/** More objects in one input are no events of a client. */
const maxObjects = 8;

/** An object that is cut off counts with its complete fields, and the part of a prompt. */
export function readPayload(text: string): Payload {
  const value = parseJson(text);
  if (isRecord(value)) return { objects: [value], problem: null };
  // JSON holds no NUL; a byte order mark counts as a blank.
  const clean = text.replaceAll("\0", "").trim();
  if (clean === "") return { objects: [], problem: "input is empty" };
  const cleanValue = parseJson(clean);
  if (isRecord(cleanValue)) return { objects: [cleanValue], problem: null };
  return cleanValue === undefined ? findObjects(clean) : { objects: [], problem: "input is not a JSON object" };
}

function findObjects(text: string): Payload {
  const objects: JsonObject[] = [];
  let problem: string | null = null;
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    const reader = new JsonObjectReader();
    reader.push(rest);
    const isFound = reader.skippedBytes < rest.length && objects.length < maxObjects;
    if (reader.skippedBytes > 0 || !isFound)
      problem ??= objects.length > 0 || isFound ? besideObject : "input is not JSON";
    if (!isFound) break;
    const { object, isComplete } = objectOf(reader);
    objects.push(object);
    if (!reader.isWhole) return { objects, problem: "input ends in the middle of its JSON object" };
    if (!isComplete) problem ??= "a field of the input is not JSON";
    rest = Buffer.from(reader.rest.toString().trimStart());
  }
  return { objects, problem };
}

const besideObject = "input has text beside its JSON object";

function objectOf(reader: JsonObjectReader): { readonly object: JsonObject; readonly isComplete: boolean } {
  const whole = reader.isWhole ? parseObject(reader.text()) : null;
  if (whole) return { object: whole, isComplete: true };
  const fields = reader.fields.map((field) => parseObject(`{${field}}`));
  const open = reader.isWhole ? null : openFieldOf(reader.openField);
  const entries = [...fields, open].flatMap((field) => Object.entries(field ?? {}));
  return { object: Object.fromEntries(entries), isComplete: false };
}

/** An escape may be cut off as well: `\u12`. */
const maxEscapeChars = 5;

/** A value that is cut off counts only of a prompt: an id would be another one. */
function openFieldOf(field: string): JsonObject | null {
  const text = field.trimEnd();
  const complete = /["\]}]$/.test(text) ? parseObject(`{${text}}`) : null;
  if (complete || !/^\s*"prompt"\s*:\s*"/.test(text)) return complete;
  for (let chars = 0; chars <= maxEscapeChars; chars++) {
    const closed = parseObject(`{${field.slice(0, field.length - chars)}"}`);
    // A character of which only some bytes came.
    const words = String(closed?.["prompt"]).replace(/\u{FFFD}{1,3}$/u, "");
    if (closed) return { prompt: `${words}${cutOffMark}` };
  }
  return null;
}

/** Other clients run the hooks of Claude Code's settings too, with their own payloads. */

/** Fields that Claude Code's payloads never have. */
const foreignFields = ["hookEventName", "conversation_id", "turn_id", "sessionID", "sessionId", "timestamp"];

/** Claude Code sets both for its hooks; a client started from a chat inherits them. */
export function hasClaudeVariables(env: NodeJS.ProcessEnv): boolean {
  return env["CLAUDECODE"] === "1" || env["CLAUDE_CODE_ENTRYPOINT"] !== undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** By the environment and the payload of the hook. */
export function isClaudeCode(env: NodeJS.ProcessEnv, payload: unknown): boolean {
  const fields: Fields = typeof payload === "object" && payload !== null ? { ...payload } : {};
  return hasClaudeVariables(env) && isClaudeCodes(fields, env["CLAUDE_CODE_SESSION_ID"]);
}

/**
 * Claude Code names the session to its hooks since 2.1.197. After `/clear` the payload may be of
 * the next session, whose transcript then has its id.
 */
function isClaudeCodes(fields: Fields, session: string | undefined): boolean {
  const { session_id: own, transcript_path: transcript } = fields;
  if (session !== undefined && session === own) return true;
  if (foreignFields.some((field) => field in fields)) return false;
  if (session === undefined || typeof own !== "string") return true;
  return typeof transcript === "string" && /(?<![^/\\])[^/\\]*$/.exec(transcript)?.[0] === `${own}.jsonl`;
}

export interface CalledHook {
  readonly client: string;
  readonly env: NodeJS.ProcessEnv;
  readonly input: string;
}

/** Another caller than Claude Code gets nothing, and nothing of its event is stored. */
export function isOfForeignCaller({ client, env, input }: CalledHook): boolean {
  return client === "claude-code" && !isClaudeCode(env, readPayload(input).objects[0]);
}
