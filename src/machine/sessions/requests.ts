import { adapterOf } from "../../clients/adapters.ts";
import { isRefusal } from "../../clients/adapter/harness-text.ts";
import { deedOf, shellCommandOf } from "../../clients/adapter/tools.ts";
import type { Config } from "../../contract/config.ts";
import type { HookAnswer, HookEvent, HookInput, RequestDecision } from "../../contract/hooks.ts";
import * as limits from "../../contract/hook-limits.ts";
import { describingArguments } from "../../contract/hook-tool.ts";
import type { Decision, Outcome, RequestKind } from "../../contract/machine/requests.ts";
import { label } from "../../redaction/redact.ts";
import { withoutQuotes, type Processes } from "../../platform/processes.ts";
import type {
  AwaitedRun,
  EndedRequest,
  PermissionRequest,
  PermissionRequests,
  RequestEnd,
} from "../../runtime/permission-requests.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { asObject } from "../../shared/json-fields.ts";
import { isToolEnd } from "./hook-entries.ts";
import * as journal from "./journal.ts";
import * as audit from "./machine-audit.ts";
import * as sessions from "./sessions.ts";
import { grantOf, saysOther, shownQuestions } from "./request-choices.ts";
import { requestText } from "./request-text.ts";

/** Permission requests: who may answer them, when they are over, and the outcome of an answer. */

/** A request as an event of its session has it. */
export interface AskedPermission {
  readonly session: string;
  readonly input: HookInput;
  /** Why SHIM's own guard has the user asked, or refuses the call; null: it does not. */
  readonly guard: string | null;
}

/** Milliseconds for which the hook of a client is held; 0: not at all. */
function holdMs(config: Pick<Config, "answers">, client: string): number {
  const { isEnabled, holdDialogSeconds } = config.answers;
  if (!isEnabled) return 0;
  const { dialog, waitSeconds = limits.holdMs / 1_000 } = adapterOf(client)?.answers ?? {};
  if (dialog === "beside-hook") return limits.holdMs;
  return dialog === "after-hook" ? Math.min(holdDialogSeconds, waitSeconds) * 1_000 : 0;
}

interface Asking {
  readonly client: string;
  /** Whether a person sees its terminal. */
  readonly hasUser: boolean;
}

/**
 * The request of one hook, which may ask for several calls; null: there is nothing to show.
 *
 * @param asked at least one
 */
export function toRequest(
  runtime: Pick<Runtime, "config" | "now" | "random" | "processes" | "store">,
  asked: readonly AskedPermission[],
  { client, hasUser }: Asking,
): PermissionRequest | null {
  const { config, now, random } = runtime;
  const [first] = asked;
  if (!hasUser || first === undefined) return null;
  const { session, input } = first;
  const heldMs = holdMs(config, client);
  const tool = input.tool_name ?? "";
  const askedAt = now();
  const { text, lack } = requestText(asked.map((one) => one.input));
  const kind = kindOf(tool);
  const questions = kind === "question" ? shownQuestions(input.tool_input) : [];
  const grant = grantOf(input["permission_suggestions"]);
  const decisions = (adapterOf(client)?.answers?.[kind] ?? []).filter(
    (one) => (one !== "session" || grant !== null) && (one !== "answer" || questions.length > 0),
  );
  const reason = config.answers.isEnabled ? (reasonFor(asked, { heldMs, tool, kind, decisions }) ?? lack) : switchedOff;
  return {
    id: newId(random),
    session,
    agent: input.agent_id ?? null,
    tool,
    kind,
    questions,
    decisions: reason === null ? decisions : [],
    grant,
    toolInput: input.tool_input,
    run: asked.length === 1 ? awaitedRun(runtime, first) : null,
    text,
    reason,
    askedAt,
    endsAt: askedAt + (heldMs || limits.holdMs),
  };
}

export const switchedOff = "answers from elsewhere are off. `shim config set answers.isEnabled true` allows them.";

/** Without letters that are easily confused, since people type it. */
const alphabet = "23456789abcdefghjkmnpqrstuvwxyz";
const idChars = 8;

function newId(random: Runtime["random"]): string {
  return Array.from(random(idChars), (byte) => alphabet[byte % alphabet.length]).join("");
}

function kindOf(tool: string): RequestKind {
  if (deedOf(tool) !== "asks") return "permission";
  return /plan/i.test(tool) ? "plan" : "question";
}

interface Answerable extends Pick<PermissionRequest, "tool" | "kind" | "decisions"> {
  readonly heldMs: number;
}

function reasonFor(asked: readonly AskedPermission[], { heldMs, tool, kind, decisions }: Answerable): string | null {
  const guard = asked.find((one) => one.guard !== null)?.guard;
  if (guard !== undefined && guard !== null) return `SHIM itself has this asked in the terminal: ${label(guard)}`;
  if (tool === "") return "the client does not say what is asked";
  if (heldMs === 0) return "the terminal asks only once this client's hook has ended (answers.holdDialogSeconds is 0)";
  return decisions.length === 0 ? `this client takes the answer to a ${kind} in its terminal alone` : null;
}

/** Answer of a hook that asks for permission. */
export function decisionAnswer(decision: RequestDecision | null): HookAnswer {
  if (decision === null) return {};
  return { hookSpecificOutput: { hookEventName: "PermissionRequest", decision } };
}

/** An event of a session in which requests may be open. */
export interface SeenEvent {
  readonly session: string;
  readonly event: HookEvent;
  readonly input: HookInput;
}

type Requests = Pick<Runtime, "permissions" | "now" | "store">;

/**
 * Ends the requests that the terminal has answered, and finds out what came of answers from
 * elsewhere, as far as an event shows it. What it does not show stays open.
 */
export function noteEvent(runtime: Requests, seen: SeenEvent): void {
  const { permissions, now } = runtime;
  const isOwn = ({ session }: PermissionRequest): boolean => session === seen.session;
  const open = permissions.list(now()).filter(isOwn);
  const sent = unsettled(permissions).filter(({ request }) => isOwn(request));
  if (open.length === 0 && sent.length === 0) return;
  if (isToolEnd(seen.event)) {
    const ended = sent.find(({ request }) => isCall(request, seen));
    if (ended) return settle(runtime, ended, outcomeOfCall(ended, seen));
    const ran = open.find((one) => isCall(one, seen));
    if (ran) permissions.end(ran.id, "ran");
    return;
  }
  for (const one of open) {
    const end = endBy(one, seen, now());
    if (end !== null) permissions.end(one.id, end);
  }
  for (const one of sent) {
    const outcome = outcomeOver(one, seen, now());
    if (outcome !== null) settle(runtime, one, outcome);
  }
}

/**
 * Ends an open request whose command its client is seen to run. Of two requests for one command
 * nothing shows which one was allowed.
 *
 * @returns whether it is over
 */
export function endIfRun(runtime: Requests & Pick<Runtime, "processes">, { id, session, run }: PermissionRequest) {
  const { permissions, processes, now, store } = runtime;
  const open = permissions.list(now());
  if (open.every((one) => one.id !== id)) return true;
  const isSame = ({ run: other }: PermissionRequest): boolean =>
    other?.client === run?.client && other?.command === run?.command;
  if (run === null || open.filter(isSame).length > 1 || !isRunSeen(processes, run)) return false;
  permissions.end(id, "runs");
  if (isLast(runtime, { id, session }))
    store.write((sql) => journal.append(sql, session, now(), `answered:${id}`, { kind: "answered" }));
  return true;
}

/** @returns null: no command is asked for, or its client is not known */
function awaitedRun(
  { processes, store }: Pick<Runtime, "processes" | "store">,
  { session, input }: AskedPermission,
): AwaitedRun | null {
  const command = shellCommandOf(input.tool_name ?? "", input.tool_input)?.text;
  const client = store.read((sql) => sessions.get(sql, session), null)?.owner?.pid;
  if (command === undefined || client === undefined) return null;
  return { command: withoutQuotes(command), client, before: new Set(processes.children(client).keys()) };
}

/** Whether a new child of the client was started with the command. */
function isRunSeen(processes: Processes, { command, client, before }: AwaitedRun): boolean {
  const begun = [...processes.children(client)].filter(([pid]) => !before.has(pid));
  return begun.some(([, words]) => withoutQuotes(words).includes(command));
}

/** Whether the chat waits for no other permission. */
export function isLast({ permissions, now }: Requests, { id, session }: Pick<PermissionRequest, "id" | "session">) {
  return permissions.list(now()).every((one) => one.session !== session || one.id === id);
}

const turnEnds: ReadonlySet<HookEvent> = new Set(["Stop", "StopFailure", "SubagentStop"]);
const sessionBounds: ReadonlySet<HookEvent> = new Set(["SessionStart", "SessionEnd"]);

/** Calls of one answer of the model begin within this time. */
export const batchMs = 3_000;

/** Why an open request is over by the event; null: nothing shows that it is. */
function endBy(request: PermissionRequest, { event, input }: SeenEvent, now: number): RequestEnd | null {
  if (sessionBounds.has(event)) return "chat";
  if ((input.agent_id ?? null) !== request.agent) return null;
  // The model's next answer; calls of the same one may wait for their own dialogs.
  const isNext = event === "PreToolUse" && now - request.askedAt >= batchMs;
  return isNext || event === "UserPromptSubmit" || turnEnds.has(event) ? "passed" : null;
}

/** Outcome of an answer whose call has ended. */
function outcomeOfCall({ request, answer }: SentRequest, { event, input }: SeenEvent): Outcome {
  const { error = "" } = input;
  const isRefused = event === "PostToolUseFailure" && isRefusal(error);
  const isOther = saysOther(request, answer.decision.answers ?? [], input.tool_response);
  if (answer.decision.behavior === "allow") return isRefused || isOther ? "late" : "taken";
  if (isRefused) return "taken";
  return event === "PostToolUse" || failedShell.test(error) ? "late" : "unknown";
}

/** A command that has failed did run. */
const failedShell = /^Exit code \d/;

/** Outcome of an answer, by an event of another call or of the turn; null: not known yet. */
function outcomeOver({ request, answer }: SentRequest, seen: SeenEvent, now: number): Outcome | null {
  const { event } = seen;
  if (sessionBounds.has(event)) return "unknown";
  // Words of the user may come while a call runs.
  if (event === "UserPromptSubmit" || endBy(request, seen, now) === null) {
    const isAgain = event === "PreToolUse" && answer.decision.behavior === "deny" && isCall(request, seen);
    return isAgain ? "taken" : null;
  }
  if (answer.decision.behavior === "deny") return "taken";
  return event === "PreToolUse" ? null : "unknown";
}

/** Whether the event is of the call that is asked for. */
function isCall({ agent, tool, toolInput }: PermissionRequest, { input }: SeenEvent): boolean {
  if (input.tool_name !== tool || (input.agent_id ?? null) !== agent) return false;
  // Its input comes back with the answers in it, and a chat asks one thing at a time.
  if (deedOf(tool) === "asks") return true;
  const [asked, seen] = [asObject(toolInput), asObject(input.tool_input)];
  if (asked === null || seen === null) return true;
  // An event may have a part of the input alone.
  const shared = describingArguments.filter((name) => name in asked && name in seen);
  if (shared.length > 0) return shared.every((name) => asked[name] === seen[name]);
  return JSON.stringify(asked) === JSON.stringify(seen);
}

/** A request that was answered from elsewhere. */
export type SentRequest = EndedRequest & { readonly answer: NonNullable<EndedRequest["answer"]> };

/** The oldest first. */
export function answered(permissions: PermissionRequests): SentRequest[] {
  return permissions.listEnded().filter((one): one is SentRequest => one.answer !== null);
}

function unsettled(permissions: PermissionRequests): SentRequest[] {
  return answered(permissions).filter(({ answer }) => answer.outcome === "sent");
}

/** Result in the audit log of an answer. */
export function resultOf(decision: Decision, outcome: Outcome): string {
  return `${decision}: ${{ sent: "sent", taken: "taken", late: "too late", unknown: "not seen" }[outcome]}`;
}

function settle({ permissions, store }: Requests, { request, answer }: SentRequest, outcome: Outcome): void {
  permissions.settle(request.id, outcome);
  const result = resultOf(answer.given, outcome);
  store.write((sql) => audit.settle(sql, answer.entry, { result, rows: null }));
}

/** Denies all that a chat asks, which ends its turn. */
export function denyAll({ permissions, store, now }: Requests, chat: string, by: audit.MachineAction["by"]): void {
  const at = now();
  const decision = { behavior: "deny", interrupt: true, message: "The user has stopped this turn." } as const;
  for (const { id, session, reason } of permissions.list(at)) {
    if (session !== chat || reason !== null) continue;
    const entry = store.write((sql) =>
      audit.append(sql, at, { kind: "request.answered", session, by, result: resultOf("deny", "sent") }),
    );
    permissions.answer(id, { given: "deny", decision, by, at, entry });
  }
}

/** The client asks no more: what it was answered just then may not have reached it. */
export function withdraw(runtime: Requests, id: string): void {
  runtime.permissions.end(id, "withdrawn");
  const sent = unsettled(runtime.permissions).find(({ request }) => request.id === id);
  if (sent) settle(runtime, sent, "unknown");
}

/** Sessions with a request that is open, or an answer of which the outcome is not known. */
export function sessionsWithRequests({ permissions, now }: Requests): ReadonlySet<string> {
  const sent = unsettled(permissions).map(({ request }) => request);
  return new Set([...permissions.list(now()), ...sent].map(({ session }) => session));
}

/** A request ends with its chat, whose hook may live on. */
export function endWithChat(runtime: Requests, chat: string): void {
  const { permissions, now } = runtime;
  for (const { id, session } of permissions.list(now())) if (session === chat) permissions.end(id, "chat");
  for (const one of unsettled(permissions)) if (one.request.session === chat) settle(runtime, one, "unknown");
}
