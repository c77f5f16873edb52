import { adapterOf, clientTitle, supportedClients } from "../../clients/adapters.ts";
import type { OpenRequest } from "../../contract/machine/requests.ts";
import { redact } from "../../redaction/redact.ts";
import type { PermissionRequest } from "../../runtime/permission-requests.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok, type OperationResult } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { isAlive } from "../recovery/session-state.ts";
import { factsOf } from "../sessions/activity.ts";
import * as audit from "../sessions/machine-audit.ts";
import * as news from "../sessions/news.ts";
import { shortSessionId } from "../sessions/session-identity.ts";
import * as sessions from "../sessions/sessions.ts";
import type { HandlerContext, Handlers } from "./operation-context.ts";
import { findSession } from "./resolve-id.ts";

export const requestHandlers = {
  async "requests.list"({ runtime: load }) {
    const runtime = await load();
    const { config, permissions, now, store } = runtime;
    const open = permissions.list(now());
    const shown = store.read((sql) => open.map((one) => toShown(sql, runtime, one)), []);
    return ok({ isOn: config.answers.isEnabled, requests: shown });
  },
  async "requests.answer"(context, { request: given, decision, message }) {
    const { runtime: load, by = "command line" } = context;
    const runtime = await load();
    const refused = refusal(runtime, context);
    if (refused !== null) return refused;
    const found = findRequest(runtime, given);
    if (!found.ok) return found;
    const { id, session, tool, reason } = found.value;
    if (reason !== null)
      return err({ code: "not_released", message: `this request is its terminal's alone: ${reason}.` });
    const text = message === undefined ? undefined : redact(message).text;
    // No answer is given that is not recorded.
    runtime.store.write((sql) => {
      audit.append(sql, runtime.now(), { kind: "request.answered", session, by, result: decision });
      if (isLast(runtime, found.value)) sessions.setWaiting(sql, session, null);
    });
    runtime.permissions.answer(id, { behavior: decision, ...omitUndefined({ message: text }) });
    return ok({ request: id, session, tool, decision });
  },
  async "requests.message"(context, { session: id, text }) {
    const { runtime: load, by = "command line" } = context;
    const runtime = await load();
    const refused = refusal(runtime, context);
    if (refused !== null) return refused;
    const found = findSession(runtime, id);
    if (!found.ok) return found;
    const session = found.value;
    if (!isAlive(runtime, session))
      return err({ code: "ended", message: "no client works in this session, so no chat would read the message." });
    const now = runtime.now();
    const key = `user:${Buffer.from(runtime.random(8)).toString("hex")}`;
    const comes = runtime.store.write((sql) => {
      news.add(sql, now, session.id, key, { kind: "user_message", by, text: redact(text).text });
      audit.append(sql, now, { kind: "message.sent", session: session.id, by, result: "done" });
      const isInTurn = factsOf(sql, session, { isDead: false, now }).isInTurn === true;
      return isInTurn && adapterOf(session.client)?.continuesAtStop === true ? ("stop" as const) : ("prompt" as const);
    });
    return ok({ session: session.id, comes });
  },
} satisfies Partial<Handlers>;

/** A command that a chat has started speaks for no person: it might allow its own calls. */
export function isByChat({ site, by = "command line" }: Pick<HandlerContext, "site" | "by">): boolean {
  const variables = supportedClients.flatMap(({ variables: { session } }) => session ?? []);
  return by === "command line" && variables.some((name) => site.env[name] !== undefined);
}

function refusal({ config }: Runtime, context: HandlerContext): OperationResult<never> | null {
  if (!config.answers.isEnabled) return switchedOff;
  return isByChat(context)
    ? err({
        code: "not_released",
        message: "a chat has started this command: only its user may answer, or write to chats.",
      })
    : null;
}

const switchedOff: OperationResult<never> = err({
  code: "switched_off",
  message: "answers from elsewhere are off. `shim config set answers.isEnabled true` allows them.",
});

function ended(id: string): OperationResult<never> {
  return err({
    code: "ended",
    message: `the request ${id} is over: the terminal has answered it, its time was up, or it was answered before.`,
  });
}

function findRequest({ permissions, now }: Runtime, given: string): OperationResult<PermissionRequest> {
  const open = permissions.list(now());
  const [first, second] = open.filter(({ id }) => id.startsWith(given));
  if (first === undefined)
    return permissions.hasEnded(given)
      ? ended(given)
      : err({ code: "not_found", message: `no request "${given}" is open. \`shim requests\` lists those that are.` });
  if (second !== undefined) return err({ code: "ambiguous", message: `several open requests begin with "${given}".` });
  return ok(first);
}

/** Whether the chat waits for no other permission. */
function isLast({ permissions, now }: Runtime, { id, session }: PermissionRequest): boolean {
  return permissions.list(now()).every((one) => one.session !== session || one.id === id);
}

function toShown(sql: Sql, runtime: Runtime, request: PermissionRequest): OpenRequest {
  const { id, session, tool, text, reason, askedAt, endsAt } = request;
  const row = sessions.get(sql, session);
  const now = runtime.now();
  return {
    id,
    session,
    shortId: shortSessionId(sql, session),
    title: row && sessions.displayTitle(row),
    client: row === null ? "" : clientTitle(row),
    tool,
    text,
    canAnswer: reason === null,
    reason,
    askedAgeMs: Math.max(0, now - askedAt),
    endsInMs: Math.max(0, endsAt - now),
  };
}
