import type { HookAnswer } from "../../contract/hook-answer.ts";
import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { effectiveWindow } from "../signals/context-window.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import { acceptedContext } from "../recovery/accept-offer.ts";
import type { EditVerdict } from "../team/file-guard.ts";
import { isWithoutUser } from "./end-session.ts";
import type { HookContext } from "./hook-context.ts";
import { routeSubagent } from "./route-subagent.ts";
import type { RecordedEvent } from "./record-event.ts";
import { emptyStart, type StartAnswer } from "./session-start.ts";

/** Other text at a stop would make Claude Code continue, or would not be read. */
export function toAnswer(
  runtime: Runtime,
  context: HookContext,
  recorded: RecordedEvent,
  start: StartAnswer | null,
): HookAnswer {
  const { event, input } = context;
  const { verdict, news, refusal } = recorded;
  if (refusal !== null) return { decision: "block", reason: refusal };
  if (event === "Stop") return news === null ? {} : { decision: "block", reason: news.context };
  if (verdict.kind === "refused") return refusalOf(event, verdict);
  if (event === "PreModelSwitch") return modelSwitch(runtime, event, input);
  const answer = toText(event, recorded, start ?? emptyStart, acceptedAnswer(runtime, recorded));
  return runtime.config.routing.subagents === "off" ? answer : routeSubagent(runtime, context, answer);
}

/** Denies a refused tool call; empty for any other verdict. */
export function refusalOf(event: HookEvent, verdict: EditVerdict): HookAnswer {
  if (verdict.kind !== "refused") return {};
  const refusal = { permissionDecision: "deny", permissionDecisionReason: verdict.reason } as const;
  return { hookSpecificOutput: { hookEventName: event, ...refusal } };
}

/** A brief that comes as news says already that the chat has the session. */
function acceptedAnswer(runtime: Runtime, { accepted, news }: RecordedEvent): StartAnswer {
  if (accepted === null) return emptyStart;
  const withCommand = (text: string): string => withShimCommand(text, () => shimCommand(runtime));
  const isBriefed = news?.brief === accepted.session;
  return {
    context: isBriefed ? null : withCommand(acceptedContext(runtime, accepted)),
    line: accepted.line && withCommand(accepted.line),
  };
}

function toText(
  event: HookEvent,
  { verdict, news, warning }: RecordedEvent,
  start: StartAnswer,
  accepted: StartAnswer,
): HookAnswer {
  const verdictText = verdict.kind === "warned" ? verdict.text : null;
  const { context: newsContext, line: newsLine } = news ?? emptyStart;
  const given = [start.context ?? newsContext ?? verdictText, accepted.context].filter((text) => text !== null);
  const context = given.join("\n\n");
  const lines = [start.line, newsLine, accepted.line, warning ?? verdictText].filter((text) => text !== null);
  return {
    ...(lines.length > 0 ? { systemMessage: lines.join("\n") } : {}),
    ...(context ? { hookSpecificOutput: { hookEventName: event, additionalContext: context } } : {}),
  };
}

/**
 * [SI34] Asks, since a message would be shown after the switch. A client without a user refuses.
 */
function modelSwitch({ env }: Runtime, event: HookEvent, input: HookInput): HookAnswer {
  const warning = switchWarning(input, env);
  if (warning === null) return {};
  if (isWithoutUser(env)) return { systemMessage: warning };
  const question = { permissionDecision: "ask", permissionDecisionReason: warning } as const;
  return { hookSpecificOutput: { hookEventName: event, ...question } };
}

function switchWarning(input: HookInput, env: NodeJS.ProcessEnv): string | null {
  const { from_model: from, to_model: to, context_tokens: contextTokens } = input;
  const window = to === undefined ? null : effectiveWindow(to, env);
  if (window === null || contextTokens === undefined || contextTokens <= window) return null;
  const stay = from === undefined ? "" : `, or stay with ${from}`;
  // The client shows about 160 characters.
  return `SHIM: this chat holds ${formatTokens(contextTokens)} tokens, and ${to} takes ${formatTokens(window)}: run /compact first${stay}. Everything is saved.`;
}

function formatTokens(tokens: number): string {
  return tokens.toLocaleString("en-US");
}
