import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { clientMarks } from "../../clients/hook-variables.ts";
import { parseJson } from "../../shared/json-fields.ts";

/** Other clients run the hooks of Claude Code's settings too, with their own payloads. */

/** Fields that Claude Code's payloads never have; null: of several clients. */
const foreignFields: readonly (readonly [field: string, name: string | null])[] = [
  ["hookEventName", "VS Code"],
  ["conversation_id", "Cursor"],
  ["turn_id", "Codex"],
  ["sessionID", "OpenCode"],
  ["sessionId", null],
  ["timestamp", null],
];

/** Claude Code sets both for its hooks; a client started from a chat inherits them. */
export function hasClaudeVariables(env: NodeJS.ProcessEnv): boolean {
  return env["CLAUDECODE"] === "1" || env["CLAUDE_CODE_ENTRYPOINT"] !== undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** [HO36] Returns null for Claude Code. The payload shows who calls better than the environment. */
export function foreignCaller(env: NodeJS.ProcessEnv, payload: unknown): string | null {
  const fields: Fields = typeof payload === "object" && payload !== null ? { ...payload } : {};
  if (hasClaudeVariables(env) && isClaudeCodes(fields, env["CLAUDE_CODE_SESSION_ID"])) return null;
  const shape = foreignFields.find(([field, name]) => name !== null && field in fields)?.[1];
  const mark = clientMarks.find(([, variables]) => variables.some((variable) => env[variable] !== undefined));
  return shape ?? mark?.[0] ?? "an unknown client";
}

/**
 * Claude Code names the session to its hooks since 2.1.197. After `/clear` the payload may be of
 * the next session, whose transcript then has its id.
 */
function isClaudeCodes(fields: Fields, session: string | undefined): boolean {
  const { session_id: own, transcript_path: transcript } = fields;
  if (session !== undefined && session === own) return true;
  if (foreignFields.some(([field]) => field in fields)) return false;
  if (session === undefined || typeof own !== "string") return true;
  return typeof transcript === "string" && /(?<![^/\\])[^/\\]*$/.exec(transcript)?.[0] === `${own}.jsonl`;
}

/** Clients seen to run SHIM's hooks, with the last call (epoch ms). A file avoids the store. */
type ForeignCallers = Readonly<Record<string, number>>;

const dayMs = 86_400_000;
/** A client that was set right, or removed, is soon forgotten. */
const rememberedMs = 7 * dayMs;

/** The callers of the last week. */
export function readForeignCallers(path: string, now: number): ForeignCallers {
  try {
    const callers = JSON.parse(readFileSync(path, "utf8")) as ForeignCallers;
    return Object.fromEntries(Object.entries(callers).filter(([, at]) => now - at < rememberedMs));
  } catch {
    return {};
  }
}

/**
 * [HO36] At most one write a day for each client. A lost concurrent write is repeated at the
 * client's next call.
 */
export function recordForeignCaller(path: string, name: string, now: number): void {
  const known = readForeignCallers(path, now);
  const seenAt = known[name];
  if (seenAt !== undefined && Math.abs(now - seenAt) < dayMs) return;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, JSON.stringify({ ...known, [name]: now }), { mode: 0o600 });
}

export interface CalledHook {
  readonly client: string;
  readonly env: NodeJS.ProcessEnv;
  readonly input: string;
}

/** [HO36] Records another caller than the client that is named, and nothing of its event. */
export function isOfForeignCaller(
  { client, env, input }: CalledHook,
  { path, now }: { readonly path: string; readonly now: number },
): boolean {
  const caller = client === "claude-code" ? foreignCaller(env, parseJson(input)) : null;
  if (caller !== null) recordForeignCaller(path, caller, now);
  return caller !== null;
}
