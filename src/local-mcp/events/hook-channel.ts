import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import {
  callerEnv,
  clientHeader,
  homeHeader,
  nextActEvent,
  noAct,
  processHeader,
  statusLineEvent,
  valueOf,
  zoneHeader,
} from "../../clients/adapter/hook-program.ts";
import { adapterOf } from "../../clients/adapters.ts";
import { claudeCode } from "../../clients/claude-code/claude-code.ts";
import { holdMs } from "../../contract/hook-limits.ts";
import type { HookEvent } from "../../contract/hooks.ts";
import * as clients from "../../machine/sessions/clients.ts";
import { decisionAnswer } from "../../machine/sessions/requests.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { statusOf } from "../../machine/view/status-line.ts";
import { renderStatus } from "../../machine/view/status-text.ts";
import { readBody } from "../../platform/local-http.ts";
import { setTimer } from "../../platform/timers.ts";
import { identify, isDescendant, statedProcess } from "../../platform/processes.ts";
import { decodeText } from "../../platform/text-encoding.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { numberAt, objectAt, parseObject, textAt } from "../../shared/json-fields.ts";
import type { Settling } from "./after-answer.ts";
import { answerHook, nothingTaken, rejectInput, take, type Taken } from "./answer-hook.ts";
import { holdRequest, type HeldHook } from "./hold-request.ts";
import { isOfForeignCaller } from "./payload.ts";
import { parseInput, toHookInput, eventIdOf, findClientPid } from "./read-event.ts";
import { spoolGiven } from "./spool-event.ts";
import { watchTurn, watchWait } from "./watch-wait.ts";

export interface HookReply extends Record<string, unknown> {
  readonly content: readonly { readonly type: "text"; readonly text: string }[];
}

export interface HookChannelOptions {
  readonly runtime: Runtime;
  /** The process that the client started. */
  readonly pid: number;
  readonly clientPid: number;
  readonly settling: Settling;
}

export class HookChannel {
  readonly #options: HookChannelOptions;
  readonly #clients = new Map<string, number>();

  constructor(options: HookChannelOptions) {
    this.#options = options;
  }

  /**
   * Never rejects.
   *
   * @param given arguments of the hook tool
   * @param gone aborted when the client waits no more
   */
  async answer(given: unknown, gone: AbortSignal): Promise<HookReply> {
    const { runtime, settling } = this.#options;
    const toolInput = toHookInput(given);
    if (!toolInput) {
      runtime.log("error", "the hook tool was called without an event");
      return { content: [] };
    }
    const { event } = toolInput;
    const clientPid = this.#clientOf(toolInput.input["session_id"]);
    const input = parseInput(toolInput.input, claudeCode.title);
    if (typeof input === "string") {
      rejectInput(runtime, `${event}: ${input}`);
      return reply(event, {});
    }
    const events = [{ client: claudeCode, event, input, clientPid }];
    const taken = take(runtime, { client: claudeCode, event, events, unread: null, clientPid });
    const decision = await conclude(runtime, settling, taken, { client: claudeCode.name, gone });
    return reply(event, taken.asked.length === 0 ? taken.answer : claudeCode.answer(event, decisionAnswer(decision)));
  }

  /** Behind a wrapper the client is the session's owner. */
  #clientOf(sessionId: unknown): number {
    const { runtime, pid, clientPid } = this.#options;
    if (typeof sessionId !== "string") return clientPid;
    const known = this.#clients.get(sessionId);
    if (known !== undefined) return known;
    const owner = ownerOf(runtime, sessionId);
    if (!owner) return clientPid;
    const client = owner.pid !== clientPid && isDescendant(runtime.processes, pid, owner) ? owner.pid : clientPid;
    // Another owner is not cached: this client may own the session later.
    if (client === owner.pid) this.#clients.set(sessionId, client);
    return client;
  }
}

/** Waits for the files that may change behind the answer, then for a decision from elsewhere. */
async function conclude(runtime: Runtime, settling: Settling, { works, asked }: Taken, held: HeldHook) {
  await Promise.all(works.map((work) => settling.add(work)));
  for (const { event, sessionId } of works)
    if (event === "Notification") watchWait(runtime, sessionId, () => false);
    else if (adapterOf(held.client)?.hidesErrors) watchTurn(runtime, sessionId);
  return asked.length === 0 ? null : holdRequest(runtime, asked, held);
}

function ownerOf(runtime: Runtime, sessionId: string): sessions.Session["owner"] {
  try {
    return runtime.store.read((sql) => sessions.get(sql, sessionId)?.owner ?? null, null);
  } catch (error) {
    runtime.log("warn", "the owner of the session cannot be read", { error: String(error) });
    return null;
  }
}

/** The terminal client prints any text that answers a compaction event. */
const silentEvents: ReadonlySet<HookEvent> = new Set(["PreCompact", "PostCompact"]);

function reply(event: HookEvent, answer: object): HookReply {
  if (event === "PermissionRequest") return { content: [{ type: "text", text: JSON.stringify(answer) }] };
  if (Object.keys(answer).length === 0 || silentEvents.has(event)) return { content: [] };
  return { content: [{ type: "text", text: JSON.stringify(answer) }] };
}

/** The program that `shim-hook` starts then leaves out a part of larger input. */
const maxBytes = 32_000_000;

const path = /^\/hook\/(?<client>[\w-]+)\/(?<event>\w+)$/;

/** An answer to `shim-hook`; at any status but 200 it starts the program of hooks. */
export interface PostedAnswer {
  readonly status: 200 | 404 | 409 | 413;
  readonly text: string;
}

function refused(status: PostedAnswer["status"], text: string): PostedAnswer {
  return { status, text };
}

export function isPostedEvent({ method, url = "" }: IncomingMessage): boolean {
  return method === "POST" && path.test(url);
}

/**
 * @param onHold called where the answer waits for a person
 * @returns null: the caller has gone
 */
export async function answerPosted(
  runtime: Runtime,
  settling: Settling,
  request: IncomingMessage,
  onHold: () => void,
): Promise<PostedAnswer | null> {
  const { client: name = "", event = "" } = path.exec(request.url ?? "")?.groups ?? {};
  const client = adapterOf(name);
  if (!client) return refused(404, "The host knows no such client.");
  const { headers } = request;
  const caller = callerOf(runtime, headers, client, event);
  if (caller === null) return refused(409, "This is the host of another home, or of another container.");
  const body = await readBody(request, maxBytes);
  if (body === null) return refused(413, `An event has at most ${maxBytes} bytes.`);
  const input = decodeText(body);
  const isLeft = await hasGone(request);
  const { env, clientPid, eventId: id } = caller;
  const own = { ...runtime, env };
  const answerQuestion = questions.get(event);
  if (answerQuestion) return isLeft ? null : answerQuestion(own, { input, clientPid }, request, onHold);
  if (isOfForeignCaller({ client: client.name, env, input })) return refused(200, "");
  if (isLeft) {
    spoolGiven(own, { event, input, client, env, clientPid, id });
    return null;
  }
  let taken = nothingTaken;
  const text = answerHook(
    own,
    event,
    () => input,
    clientPid,
    client,
    id,
    (one) => void (taken = one),
  );
  const gone = goneSignal(request);
  const decision = await conclude(own, settling, taken, { client: client.name, gone, onHold });
  if (gone.aborted) return null;
  return {
    status: 200,
    text: decision === null ? text : JSON.stringify(client.answer(event, decisionAnswer(decision))),
  };
}

interface Asked {
  readonly input: string;
  readonly clientPid: number;
}

type AnswerQuestion = (
  runtime: Runtime,
  asked: Asked,
  request: IncomingMessage,
  onHold: () => void,
) => PostedAnswer | Promise<PostedAnswer | null>;

/** Requests that are posted as events and are none: of a caller that has gone nothing is kept. */
const questions: ReadonlyMap<string, AnswerQuestion> = new Map<string, AnswerQuestion>([
  [nextActEvent, (runtime, asked, request, onHold) => nextAct(runtime, asked, goneSignal(request), onHold)],
  [
    statusLineEvent,
    (runtime, { input }, { headers }) => {
      const zone = Number(headers[zoneHeader]) || 0;
      return { status: 200, text: renderStatus(statusOf(runtime, input), runtime.now(), zone) };
    },
  ],
]);

/** The client, until its plugin reports what came of an act. */
const actMs = 5_000;

/** Held until there is one, or for as long as any answer is held. */
async function nextAct(
  { processes, store, windows }: Runtime,
  { input, clientPid }: Asked,
  gone: AbortSignal,
  onHold: () => void,
): Promise<PostedAnswer | null> {
  const fields = parseObject(input);
  const done = objectAt(fields, "done");
  windows.report(numberAt(done, "number") ?? 0, done?.["isTaken"] === true);
  const givenId = textAt(fields, "session_id") ?? "";
  const client = identify(processes, clientPid);
  const session = (): string =>
    store.read((sql) => (client && clients.sessionOf(sql, client, givenId)) ?? givenId, givenId);
  const late = new AbortController();
  onHold();
  const cancel = setTimer(() => late.abort(), holdMs);
  const given = await windows.next(session, AbortSignal.any([gone, late.signal]));
  cancel();
  if (given !== null) setTimer(() => windows.report(given.number, false), gone.aborted ? 0 : actMs);
  return gone.aborted ? null : { status: 200, text: JSON.stringify(given ?? noAct) };
}

function goneSignal({ socket }: IncomingMessage): AbortSignal {
  const gone = new AbortController();
  // Each event ends so: an error with its stack, which none reads, would be a part of its cost.
  socket.once("close", () => gone.abort("gone"));
  return gone.signal;
}

interface Caller {
  readonly env: NodeJS.ProcessEnv;
  readonly clientPid: number;
  readonly eventId: string | undefined;
}

/** @returns null for a caller with another home, and one that is not in this process table */
function callerOf(runtime: Runtime, headers: IncomingHttpHeaders, client: ClientAdapter, event: string): Caller | null {
  const { env: ownEnv, paths, processes } = runtime;
  if (valueOf(headers, homeHeader) !== paths.home) return null;
  const env = callerEnv(ownEnv, headers);
  const { [clientHeader]: statedClient, [processHeader]: stated } = headers;
  if (typeof statedClient === "string") {
    const pid = statedProcess(processes, statedClient)?.pid;
    return pid === undefined ? null : { env, clientPid: pid, eventId: undefined };
  }
  const parent = statedProcess(processes, String(stated))?.parent;
  if (parent === undefined) return null;
  return {
    env,
    clientPid: findClientPid(processes, client, env, parent),
    eventId: eventIdOf(event, String(stated)),
  };
}

/**
 * Such an event is spooled: its sender may have been killed, and no client reads the answer.
 * The end of a connection is read in the turn after its last data.
 */
async function hasGone({ socket }: IncomingMessage): Promise<boolean> {
  await nextTurn();
  await nextTurn();
  return socket.destroyed || socket.readableEnded;
}
