import type { CallerSurface } from "../context/operation-wire.ts";
import { adapterOf, clientTitle } from "../../clients/adapters.ts";
import type { RequestDecision } from "../../contract/hooks.ts";
import type { Decision, GivenAnswer, OpenRequest, Outcome, QuestionAnswer } from "../../contract/machine/requests.ts";
import type { WindowAct } from "../../contract/window-acts.ts";
import { redact } from "../../redaction/redact.ts";
import type { EndedRequest, PermissionRequest, RequestEnd } from "../../runtime/permission-requests.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { formatAgo, pluralize } from "../../shared/format.ts";
import { asObject } from "../../shared/json-fields.ts";
import { isWithin } from "../../shared/known-time.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { revealed } from "../../shared/visible-text.ts";
import { endRequests } from "../recovery/incomplete/deaths.ts";
import { isInTurn } from "../sessions/life/questions.ts";
import * as life from "../sessions/life/row.ts";
import { digest } from "../sessions/entries.ts";
import * as journal from "../sessions/journal.ts";
import * as audit from "../sessions/machine-audit.ts";
import * as news from "../sessions/news.ts";
import { chosen } from "../sessions/request-choices.ts";
import { foldedText } from "../sessions/request-text.ts";
import { answered, endIfRun, isLast, resultOf, switchedOff, type SentRequest } from "../sessions/requests.ts";
import { shownNames } from "../sessions/session-identity.ts";
import * as sessions from "../sessions/sessions.ts";
import * as devices from "../sharing/device.ts";
import * as pendingChanges from "../sharing/pending-changes.ts";
import { originOf } from "../team/deliver-news.ts";
import { refuseChat } from "./by-chat.ts";
import type { HandlerContext, Handlers } from "../recovery/handler-context.ts";
import { findSession } from "../recovery/resolve-id.ts";
import { isAlive } from "../sessions/life/presence.ts";

export const requestHandlers = {
  async "requests.list"({ runtime: load }) {
    const runtime = await load();
    const { config, permissions, now, store } = runtime;
    endRequests(runtime);
    const open = config.answers.isEnabled ? permissions.list(now()) : [];
    const recent = answered(permissions).filter(({ answer }) => isWithin(now() - answer.at, shownAnswerMs));
    const requests = store.read((sql) => open.map((one) => toShown(sql, runtime, one)), []);
    const answers = store.read((sql) => recent.map((one) => toGiven(sql, runtime, one)), []);
    return ok({ isOn: config.answers.isEnabled, requests, ...(answers.length > 0 ? { answers } : {}) });
  },
  async "requests.show"({ runtime: load }, { request: given }) {
    const found = findRequest(await load(), given);
    if (!found.ok) return found;
    const { id, tool, text } = found.value;
    return ok({ request: id, tool: revealed(tool), text, shown: digest(text) });
  },
  async "requests.answer"(context, { request: given, decision, answers, shown, message }) {
    const { runtime: load, by = "command line" } = context;
    const runtime = await load();
    const refused = await refusal(runtime, context);
    if (refused !== null) return refused;
    const found = findRequest(runtime, given);
    if (!found.ok) {
      noteLate(runtime, given, decision, by);
      return found;
    }
    const { id, session, tool, text, reason, decisions } = found.value;
    if (reason !== null)
      return fail("not_released", `this request is its terminal's alone: ${reason.replace(/\.$/, "")}.`);
    if (!decisions.includes(decision))
      return fail("bad_input", `its client takes no "${decision}" for this from here, but: ${decisions.join(", ")}.`);
    const { folded } = shownText(found.value);
    if (decision !== "deny" && folded !== null && shown !== digest(text)) return notShown(id, folded.chars);
    const sent = decided(found.value, { decision, answers, message });
    if (!sent.ok) return sent;
    const at = runtime.now();
    // No answer is given that is not recorded.
    const entry = runtime.store.write((sql) => {
      if (isLast(runtime, found.value)) journal.append(sql, session, at, `answered:${id}`, { kind: "answered" });
      return audit.append(sql, at, { kind: "request.answered", session, by, result: resultOf(decision, "sent") });
    });
    runtime.permissions.answer(id, { given: decision, decision: sent.value, by, at, entry });
    return ok({ request: id, session, tool, decision });
  },
  async "requests.message"(context, { session: id, text }) {
    const { runtime: load, by = "command line" } = context;
    const runtime = await load();
    const refused = await refusal(runtime, context);
    if (refused !== null) return refused;
    const found = findSession(runtime, id);
    if (!found.ok) return found;
    const session = found.value;
    if (!isAlive(runtime, session))
      return fail("ended", "no client works in this session, so no chat would read the message.");
    const now = runtime.now();
    const key = `${news.wordsKey(session.id)}${Buffer.from(runtime.random(8)).toString("hex")}`;
    const words = redact(text).text;
    const comes = runtime.store.write((sql) => {
      news.add(sql, now, session.id, key, { kind: "user_message", by, text: words });
      // A chat of another machine that continues this one reads them, too.
      if (devices.get(sql) !== null) pendingChanges.enqueue(sql, session.id, now);
      audit.append(sql, now, { kind: "message.sent", session: session.id, by, result: "done" });
      const isWorking = isInTurn(life.read(sql, session.id)) === true;
      return isWorking && adapterOf(session.client)?.continuesAtStop === true ? ("stop" as const) : ("prompt" as const);
    });
    // Words wait until the prompt is seen: the client may be gone before it reads them.
    const { underWay } = runtime.windows;
    underWay.add(key);
    const given = comes === "prompt" && actInWindow(runtime, session, "prompt", { prompt: words });
    const isPrompt = await Promise.resolve(given).finally(() => underWay.delete(key));
    return ok({ session: session.id, comes: isPrompt ? "now" : comes });
  },
} satisfies Partial<Handlers>;

/** @returns false: its client does that in its terminal alone, or has not taken it */
export async function actInWindow(
  { windows }: Pick<Runtime, "windows">,
  { id: session, client, transcriptPath: transcript }: sessions.Session,
  kind: "prompt" | "stop",
  act: WindowAct,
): Promise<boolean> {
  const way = adapterOf(client)?.window?.[kind];
  return way !== undefined && windows.act(way, { session, client, transcript }, act);
}

async function refusal({ config }: Runtime, context: HandlerContext): Promise<Result<never> | null> {
  return config.answers.isEnabled
    ? refuseChat(context, "answer, or write to chats")
    : fail("switched_off", switchedOff);
}

const endTexts: Readonly<Record<Exclude<RequestEnd, "answered">, string>> = {
  runs: "its terminal had allowed it, and its command was seen to run",
  ran: "its terminal had allowed it, and the call has run",
  passed: "its terminal had answered it, and the chat has gone on",
  withdrawn: "its client had stopped asking: it was answered or stopped in its terminal",
  chat: "its chat is dead or has ended",
  time: "its time was up, and only its terminal can answer it",
};

/** The end that came before an answer. */
function endText({ end, answer }: EndedRequest, now: number): string {
  if (end !== "answered") return endTexts[end];
  if (answer === null) return "it was answered before";
  const done = { allow: "allowed", session: "allowed", answer: "answered", deny: "denied" }[answer.given];
  return `${originOf(answer.by)} had ${done} it ${formatAgo(now, answer.at)}`;
}

function findRequest(runtime: Runtime, given: string): Result<PermissionRequest> {
  const { permissions, now } = runtime;
  endRequests(runtime);
  const open = permissions.list(now());
  const [first, second] = open.filter(({ id }) => id.startsWith(given));
  // The one that was meant may be over by now.
  const isOther = first !== undefined && first.id !== given && findEnded(runtime, given) !== undefined;
  if (second !== undefined || isOther) return fail("ambiguous", `several requests begin with "${given}".`);
  if (first !== undefined && !endIfRun(runtime, first)) return ok(first);
  const over = findEnded(runtime, given);
  if (over !== undefined)
    return fail("ended", `too late, the request ${over.request.id} is over: ${endText(over, now())}.`);
  return fail("not_found", `no request "${given}" is open. \`shim requests\` lists those that are.`);
}

function findEnded({ permissions }: Runtime, given: string): EndedRequest | undefined {
  return permissions.listEnded().findLast(({ request }) => request.id.startsWith(given));
}

/** An answer that came too late is in the audit log, too. */
function noteLate(runtime: Runtime, given: string, decision: Decision, by: CallerSurface): void {
  const over = findEnded(runtime, given);
  if (over === undefined) return;
  const { session } = over.request;
  audit.record(runtime, { kind: "request.answered", session, by, result: resultOf(decision, "late") });
}

function notShown(id: string, chars: number): Result<never> {
  const how = `\`shim requests show ${id}\` shows all of it, and how to allow it`;
  return fail("not_shown", `${pluralize(chars, "character")} of this request were not shown. ${how}.`);
}

function toShown(sql: Sql, runtime: Runtime, request: PermissionRequest): OpenRequest {
  const { id, session, kind, questions, decisions, grant, reason, askedAt, endsAt } = request;
  const row = sessions.get(sql, session);
  const now = runtime.now();
  return {
    id,
    ...whose(sql, request),
    client: row === null ? "" : clientTitle(row),
    ...shownText(request),
    kind,
    questions: [...questions],
    decisions: [...decisions],
    grant: decisions.includes("session") ? (grant?.text ?? null) : null,
    wider: (kind === "permission" && reason === null && adapterOf(row?.client ?? "")?.answers?.wider) || null,
    reason,
    askedAgeMs: Math.max(0, now - askedAt),
    endsInMs: Math.max(0, endsAt - now),
  };
}

/** A question has its choices beside it, and does nothing. */
function shownText({ kind, text }: PermissionRequest): Pick<OpenRequest, "text" | "folded"> {
  return kind === "question" ? { text, folded: null } : foldedText(text);
}

interface Given {
  readonly decision: Decision;
  readonly answers: readonly QuestionAnswer[] | undefined;
  readonly message: string | undefined;
}

/** Answer of the client's hook. */
function decided(request: PermissionRequest, { decision, answers = [], message }: Given): Result<RequestDecision> {
  const { kind, toolInput, grant } = request;
  if (decision === "deny") return ok({ behavior: "deny", ...(message && { message: redact(message).text }) });
  const input = kind === "permission" ? {} : omitUndefined({ input: asObject(toolInput) ?? undefined });
  if (decision !== "answer")
    return ok({ behavior: "allow", ...input, ...(decision === "session" && { rules: grant?.rules ?? [] }) });
  const texts = chosen(request, answers);
  return texts.ok ? ok({ behavior: "allow", ...input, answers: texts.value }) : texts;
}

function whose(
  sql: Sql,
  { session, tool }: PermissionRequest,
): Pick<OpenRequest, "session" | "shortId" | "title" | "tool"> {
  const { shortId, title } = shownNames(sql, session);
  return { session, shortId, title: title && revealed(title), tool: revealed(tool) };
}

/** An answer, and what came of it, are shown for so long. */
const shownAnswerMs = 600_000;

function toGiven(sql: Sql, { now }: Runtime, { request, answer }: SentRequest): GivenAnswer {
  const { given, by, at, outcome } = answer;
  return {
    request: request.id,
    ...whose(sql, request),
    decision: given,
    by: originOf(by),
    outcome,
    text: outcomeTexts[outcome][given],
    ageMs: Math.max(0, now() - at),
  };
}

const outcomeTexts: Readonly<Record<Outcome, Readonly<Record<Decision, string>>>> = {
  sent: {
    allow: "Allow was sent. The chat has not shown yet that it runs",
    session: "Allow for this session was sent. The chat has not shown yet that it runs",
    answer: "The answer was sent. The chat has not shown yet that it came first",
    deny: "Deny was sent. The chat has not shown yet that it came first",
  },
  taken: {
    allow: "Allowed, and it ran",
    session: "Allowed for this session, and it ran",
    answer: "Answered",
    deny: "Denied",
  },
  late: {
    allow: "Too late to allow: its terminal had denied it",
    session: "Too late to allow: its terminal had denied it",
    answer: "Too late to answer: its terminal had answered it",
    deny: "Too late to deny: its terminal had allowed it, and it ran",
  },
  unknown: {
    allow: "Allow was sent, and nothing shows that it ran",
    session: "Allow for this session was sent, and nothing shows that it ran",
    answer: "The answer was sent, and nothing shows whether it came first",
    deny: "Deny was sent, and nothing shows whether it came first",
  },
};
