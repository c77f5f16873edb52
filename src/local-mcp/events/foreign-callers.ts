import { readPayload } from "./payload.ts";

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
