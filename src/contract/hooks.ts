import * as z from "zod/mini";

/** zod/mini: the hook entry loads this. The reader of stdin bounds sizes. */
// oxlint-disable promise/valid-params -- zod's catch: a wrong type counts as missing
const text = z.optional(z.catch(z.optional(z.string()), undefined));
const number = z.optional(z.catch(z.optional(z.number()), undefined));
const flag = z.optional(z.catch(z.optional(z.boolean()), undefined));
const limit = z.optional(z.catch(z.optional(z.object({ resetsAtMs: z.nullable(z.number()) })), undefined));
const effort = z.optional(z.catch(z.optional(z.object({ level: text })), undefined));
const texts = z.optional(z.catch(z.optional(z.array(z.string())), undefined));
// oxlint-enable promise/valid-params

export const HookInput = z.looseObject({
  session_id: z.string().check(z.minLength(1), z.maxLength(200)),
  transcript_path: text,
  cwd: text,
  hook_event_name: text,
  prompt_id: text,
  agent_id: text,
  agent_type: text,
  /** At SubagentStop, of clients that keep it elsewhere than beside the session's. */
  agent_transcript_path: text,
  /** Set by the adapters of clients that report it. */
  client_version: text,
  source: text,
  model: text,
  context_tokens: number,
  prompt: text,
  /** Prompts that the user took back, by their ids. */
  taken_back: texts,
  tool_name: text,
  tool_use_id: text,
  tool_input: z.optional(z.unknown()),
  tool_response: z.optional(z.unknown()),
  duration_ms: number,
  error: text,
  /** Read by the adapter's `limitIn`. */
  limit,
  trigger: text,
  compact_summary: text,
  last_assistant_message: text,
  reason: text,
  stop_hook_active: flag,
  /** Set at Notification; the type is `permission_prompt`, `idle_prompt`, ... */
  message: text,
  notification_type: text,
  from_model: text,
  to_model: text,
  effort,
});
export type HookInput = z.infer<typeof HookInput>;

export const hookEvents = [
  "SessionStart",
  "UserPromptSubmit",
  "PreToolUse",
  "PostToolUse",
  "PostToolUseFailure",
  "PreCompact",
  "PostCompact",
  "Stop",
  "StopFailure",
  "SessionEnd",
  "SubagentStop",
  "Notification",
  "PermissionRequest",
  "PreModelSwitch",
] as const;
export type HookEvent = (typeof hookEvents)[number];

export function isHookEvent(name: string): name is HookEvent {
  return hookEvents.some((event) => event === name);
}

/** Decision of a person on a request; each client's adapter gives it the client's own form. */
export interface RequestDecision {
  readonly behavior: "allow" | "deny";
  readonly message?: string;
  /** A denial that ends the turn. */
  readonly interrupt?: true;
  /** Input of the call, where its client counts an allowance only together with it. */
  readonly input?: Readonly<Record<string, unknown>>;
  /** Chosen labels and own words, for each question in its order. */
  readonly answers?: readonly (readonly string[])[];
  /** Rules that hold until the session ends, of those that the client suggested. */
  readonly rules?: readonly Readonly<Record<string, unknown>>[];
}

/** Answer to a hook event, in Claude Code's form; other clients' adapters translate it. */
export interface HookAnswer {
  readonly systemMessage?: string;
  /** At Stop the client continues and the model gets the reason; a prompt goes back to the user. */
  readonly decision?: "block";
  readonly reason?: string;
  /** Ends the turn; the user is shown `stopReason`. */
  readonly continue?: false;
  readonly stopReason?: string;
  readonly hookSpecificOutput?: {
    readonly hookEventName: HookEvent;
    readonly additionalContext?: string;
    readonly permissionDecision?: "deny" | "ask";
    readonly permissionDecisionReason?: string;
    /** At PermissionRequest, in place of the terminal. */
    readonly decision?: RequestDecision;
  };
}
