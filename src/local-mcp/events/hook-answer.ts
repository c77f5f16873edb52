import { hasUser } from "../../clients/adapter/attendance.ts";
import type { HookAnswer, HookEvent, HookInput } from "../../contract/hooks.ts";
import { acceptedContext, type Acceptance } from "../../machine/recovery/given-context.ts";
import { effectiveWindow } from "../../machine/sessions/signals/context-readings.ts";
import type { EditVerdict } from "../../machine/team/file-guard.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Draft } from "./concern.ts";
import type { IncomingEvent } from "./read-event.ts";
import { emptyStart, type StartAnswer } from "./session-bounds.ts";

/** Other text at a stop would make Claude Code continue, or would not be read. */
export function toAnswer(
  runtime: Runtime,
  { event, input }: IncomingEvent,
  draft: Draft,
  start: StartAnswer | null,
): HookAnswer {
  const { verdict, news, conflict } = draft;
  if (event === "Stop")
    return {
      ...(conflict === null ? {} : { systemMessage: conflict }),
      ...(news === null ? {} : { decision: "block", reason: news.context }),
    };
  if (verdict.kind === "refused" || verdict.kind === "asked") return verdictAnswer(event, verdict);
  if (event === "PreModelSwitch") return modelSwitch(runtime, event, input);
  const accepted = draft.accepted ? acceptedAnswer(runtime, draft, draft.accepted) : emptyStart;
  return toText(event, draft, start ?? emptyStart, accepted);
}

/** The texts of the event's concerns: one for the model, and lines for the user. */
function toText(event: HookEvent, draft: Draft, start: StartAnswer, accepted: StartAnswer): HookAnswer {
  const { verdict, news, conflict, warning } = draft;
  const verdictText = verdict.kind === "warned" ? verdict.text : null;
  const { context: newsContext, line: newsLine } = news ?? emptyStart;
  const context = [start.context ?? newsContext ?? verdictText, accepted.context].filter(isSaid).join("\n\n");
  const lines = [start.line, newsLine, accepted.line, conflict, warning ?? verdictText].filter(isSaid);
  return {
    ...(lines.length > 0 ? { systemMessage: lines.join("\n") } : {}),
    ...(context ? { hookSpecificOutput: { hookEventName: event, additionalContext: context } } : {}),
  };
}

/** Denies a refused tool call, has its user asked, or warns. */
export function verdictAnswer(event: HookEvent, verdict: EditVerdict): HookAnswer {
  if (verdict.kind === "free") return {};
  if (verdict.kind === "warned") {
    const { text } = verdict;
    return { systemMessage: text, hookSpecificOutput: { hookEventName: event, additionalContext: text } };
  }
  const permissionDecision = verdict.kind === "asked" ? "ask" : "deny";
  return { hookSpecificOutput: { hookEventName: event, permissionDecision, permissionDecisionReason: verdict.reason } };
}

/** A brief that comes as news says already that the chat has the session. */
function acceptedAnswer(runtime: Runtime, { news }: Draft, accepted: Acceptance): StartAnswer {
  const withCommand = (text: string): string => withShimCommand(text, () => shimCommand(runtime));
  const isBriefed = news?.brief === accepted.session;
  return {
    context: isBriefed ? null : withCommand(acceptedContext(runtime, accepted)),
    line: accepted.line && withCommand(accepted.line),
  };
}

function isSaid(text: string | null): text is string {
  return text !== null;
}

/** Asks: a message would be shown after the switch. A client without a user refuses. */
function modelSwitch({ env }: Runtime, event: HookEvent, input: HookInput): HookAnswer {
  const warning = switchWarning(input, env);
  if (warning === null) return {};
  if (!hasUser(env)) return { systemMessage: warning };
  const question = { permissionDecision: "ask", permissionDecisionReason: warning } as const;
  return { hookSpecificOutput: { hookEventName: event, ...question } };
}

function switchWarning(input: HookInput, env: NodeJS.ProcessEnv): string | null {
  const { from_model: from, to_model: to, context_tokens: contextTokens } = input;
  const window = to === undefined ? null : effectiveWindow(to, env);
  if (window === null || contextTokens === undefined || contextTokens <= window) return null;
  const stay = from === undefined ? "" : `, or stay with ${from}`;
  const [held, taken] = [contextTokens, window].map((tokens) => tokens.toLocaleString("en-US"));
  // The client shows about 160 characters.
  return `SHIM: this chat holds ${held} tokens, and ${to} takes ${taken}: run /compact first${stay}. Everything is saved.`;
}
