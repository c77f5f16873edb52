import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { switchWarning } from "../signals/model-switch.ts";
import { isWithoutUser } from "./end-session.ts";
import { emptyStart, type StartAnswer } from "./session-start.ts";
import { toCommand, toWarning, type TeamPart } from "./team-part.ts";

export interface HookAnswer {
  readonly systemMessage?: string;
  /** Makes the client continue at Stop, and gives the model the reason. */
  readonly decision?: "block";
  readonly reason?: string;
  readonly hookSpecificOutput?: {
    readonly hookEventName: HookEvent;
    readonly additionalContext?: string;
    readonly permissionDecision?: "deny" | "ask";
    readonly permissionDecisionReason?: string;
  };
}

export interface HookOutcome {
  readonly start: StartAnswer | null;
  readonly warning: string | null;
  readonly team: TeamPart;
}

/** Other text at a stop would make Claude Code continue, or would not be read. */
export function toAnswer(runtime: Runtime, event: HookEvent, input: HookInput, outcome: HookOutcome): HookAnswer {
  const command = toCommand(event, outcome.team);
  if (command || event === "Stop") return command ?? {};
  return event === "PreModelSwitch" ? modelSwitch(runtime, event, input) : toText(event, outcome);
}

function toText(event: HookEvent, { start, warning, team }: HookOutcome): HookAnswer {
  const { context: startContext, line } = start ?? emptyStart;
  const context = startContext ?? team.news ?? toWarning(team);
  return {
    ...messageFor(line, warning ?? toWarning(team)),
    ...(context ? { hookSpecificOutput: { hookEventName: event, additionalContext: context } } : {}),
  };
}

/**
 * [SI34] Asks, since a message would be shown after the switch. A client without a user refuses.
 */
function modelSwitch({ env }: Runtime, event: HookEvent, input: HookInput): HookAnswer {
  const { from_model: from = null, to_model: to = null, context_tokens: contextTokens = null } = input;
  const warning = switchWarning({ from, to, contextTokens }, env);
  if (warning === null) return {};
  if (isWithoutUser(env)) return { systemMessage: warning };
  const question = { permissionDecision: "ask", permissionDecisionReason: warning } as const;
  return { hookSpecificOutput: { hookEventName: event, ...question } };
}

function messageFor(line: string | null, warning: string | null): Pick<HookAnswer, "systemMessage"> {
  const lines = [line, warning].filter((text) => text !== null);
  return lines.length > 0 ? { systemMessage: lines.join("\n") } : {};
}
