import type { HookEvent } from "./hook-input.ts";

/** Answer to a hook event, in Claude Code's form; other clients' adapters translate it. */
export interface HookAnswer {
  readonly systemMessage?: string;
  /** At Stop the client continues and the model gets the reason; a prompt goes back to the user. */
  readonly decision?: "block";
  readonly reason?: string;
  readonly hookSpecificOutput?: {
    readonly hookEventName: HookEvent;
    readonly additionalContext?: string;
    readonly permissionDecision?: "deny" | "ask";
    readonly permissionDecisionReason?: string;
  };
}
