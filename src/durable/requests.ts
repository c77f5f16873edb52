import { type RequestFrame, type RpcRequest, toAnswer } from "../contract/frames.ts";
import type { Refusal } from "../contract/errors.ts";
import { isOperation } from "../contract/operations.ts";
import { flowReadMethod, leaveMethod, maxAnswerChars } from "../contract/protocol.ts";
import { isListOperation } from "../coordination/engine.ts";
import type { List } from "../coordination/kernel/tx.ts";
import { checkInput, type OperationRequest } from "../shared/check-input.ts";
import type { Bearer } from "../coordination/workspace/tokens.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Connections } from "./connections.ts";
import { keepsWork } from "./effects.ts";
import { withErrorBoundary } from "./log-problem.ts";
import type { LoadShedder } from "./load-shedding.ts";
import type { Operations } from "./operations.ts";
import type { Outgoing } from "./outgoing.ts";
import { canRollBack } from "./sockets.ts";
import type { StorageSql } from "./storage-sql.ts";
import type { Share, Throttle } from "./throttle.ts";
import { rollbackSignal, type EngineHost } from "../coordination/engine-host.ts";

interface RequestsOptions {
  readonly sql: StorageSql;
  readonly operations: Operations;
  readonly engine: EngineHost;
  readonly throttle: Throttle;
  readonly load: LoadShedder;
  readonly outgoing: Outgoing;
  readonly connections: Connections;
}

/** A request of a frame with its verdict so far: a second run does not judge it again. */
interface FrameRequest {
  readonly request: RpcRequest | null;
  /** Refusal by the throttle, or for the load; null: the request may run. */
  refused?: Refusal | null;
  /** Input of an operation; null for a receipt, and where the request is none. */
  checked?: Result<OperationRequest, Refusal> | null;
}

interface FrameCaller {
  readonly socket: WebSocket;
  readonly bearer: Bearer;
  /** Operations that the token may do in a second. */
  readonly perSecond: number;
  readonly now: number;
  /** Characters of the frame for each request. */
  readonly chars: number;
}

export class Requests {
  readonly #options: RequestsOptions;
  /** Rows written and processor time up to which all is charged. */
  #charged = { rows: 0, micros: 0 };

  constructor(options: RequestsOptions) {
    this.#options = options;
  }

  /** @returns the text of the answer; null: nothing in the frame is answered */
  runFrame(socket: WebSocket, bearer: Bearer, { requests, isBatch, chars }: RequestFrame): Answered {
    const { throttle, engine } = this.#options;
    const { settings, now } = engine.tx();
    const perSecond = settings.maxOperationsPerSecond;
    const caller = { socket, bearer, perSecond, now, chars: chars / requests.length };
    const all = requests.map((request): FrameRequest => ({ request }));
    const groups = groupsOf(all);
    this.#beginCharge();
    const answerAll = (): string[] => this.#answerAll(caller, groups);
    const isTogether = requests.length > 1 && requests.every(canRollBack);
    const texts = isTogether ? engine.together(answerAll) : answerAll();
    const text = isBatch ? `[${texts.join(",")}]` : (texts[0] ?? "");
    const isThrottled = all.some(({ refused }) => refused?.code === "throttled");
    const isFlooding = isThrottled && throttle.isFlooding(bearer.id, chars);
    return { text: texts.length === 0 ? null : text, isFlooding };
  }

  #beginCharge(): void {
    const { written: rows, micros } = this.#options.sql;
    this.#charged = { rows, micros };
  }

  /** Charges for requests what was done since the last charge, whatever came of them. */
  #charge(token: string, share: Share, requests: number, chars: number): void {
    const { throttle, load, sql } = this.#options;
    const { rows, micros } = this.#charged;
    const cost = {
      chars,
      rows: sql.written - rows,
      micros: Math.max(0, sql.micros - micros - requests * microsInRequest),
    };
    this.#beginCharge();
    throttle.charge(token, share, cost);
    load.add({ requests, ...cost });
  }

  /** Refuses the remaining requests once the answers are too long. */
  #answerAll(caller: FrameCaller, groups: readonly (readonly FrameRequest[])[]): string[] {
    const texts: string[] = [];
    let chars = 0;
    for (const group of groups) {
      for (let at = 0; at < group.length;) {
        const [one, ...others] = group.slice(at) as [FrameRequest, ...FrameRequest[]];
        const together = this.#answerTogether(caller, [one, ...others], chars);
        for (const text of together ?? [this.#answer(caller, one, chars)]) {
          at += 1;
          if (text === null) continue;
          texts.push(text);
          chars += text.length;
        }
      }
    }
    return texts;
  }

  /** Answers the first requests of a list; null, without an effect: the first must run alone. */
  #answerTogether(caller: FrameCaller, group: List<FrameRequest>, before: number): (string | null)[] | null {
    const { throttle, operations } = this.#options;
    const { bearer, perSecond, now, chars } = caller;
    if (group.length === 1 || !this.#hasRoom(caller, group)) return null;
    const [first, ...others] = group.map(checkOnce).flatMap((checked) => (checked?.ok ? [checked.value] : []));
    if (!first || others.length + 1 < group.length) return null;
    try {
      const texts = operations.runFirst(bearer, [first, ...others], (values) => answerTexts(group, values, before));
      if (texts === null) return null;
      const share = shareOf(group[0]);
      throttle.take(bearer.id, share, perSecond, now, texts.length);
      this.#charge(bearer.id, share, texts.length, texts.length * chars + lengthOf(texts));
      return texts;
    } catch (error) {
      if (error === rollbackSignal) throw error;
      // Logged when the request that fails runs on its own.
      return null;
    }
  }

  /** Whether the group may run as one; else each request of it is admitted on its own. */
  #hasRoom({ bearer, perSecond, now }: FrameCaller, group: readonly FrameRequest[]): boolean {
    const { throttle, load } = this.#options;
    const isAdmitted = throttle.hasRoom(bearer.id, shareOf(group[0]), perSecond, now, group.length);
    return isAdmitted && load.refuse(group[0]?.request?.method ?? "") === null;
  }

  #answer(caller: FrameCaller, one: FrameRequest, before: number): string | null {
    const { throttle, load } = this.#options;
    const { bearer, perSecond, now } = caller;
    const share = shareOf(one);
    if (one.refused === undefined)
      one.refused = throttle.take(bearer.id, share, perSecond, now) ?? load.refuse(one.request?.method ?? "");
    const text = this.#textOf(caller, one, before);
    this.#charge(bearer.id, share, 1, caller.chars + (text?.length ?? 0));
    return text;
  }

  #textOf({ socket, bearer }: FrameCaller, one: FrameRequest, before: number): string | null {
    const { request } = one;
    const refusal = one.refused ?? (request?.id !== null && before >= maxAnswerChars ? tooLong : null);
    if (refusal) return answerText(request, err(refusal));
    const checked = checkOnce(one);
    if (request && !checked) return this.#receive(socket, request);
    const result = this.#run(socket, bearer, checked ?? err(notARequest));
    this.#chargeLimit(bearer.id, shareOf(one), result);
    return answerText(request, result);
  }

  #run(socket: WebSocket, bearer: Bearer, checked: Result<OperationRequest, Refusal>): Result<unknown, Refusal> {
    if (!checked.ok) return checked;
    return withErrorBoundary(() => this.#options.operations.run(bearer, checked.value, socket));
  }

  #chargeLimit(token: string, share: Share, result: Result<unknown, Refusal>): void {
    if (!result.ok && result.error.code === "quota_exceeded") this.#options.throttle.chargeLimit(token, share);
  }

  #receive(socket: WebSocket, { method, params }: RpcRequest): null {
    const { mark, chat } = params as Receipt;
    if (method === leaveMethod) this.#options.connections.leave(socket, String(chat));
    else this.#options.outgoing.read(socket, mark);
    return null;
  }

  /** @param chars of the input; what was stored of it is charged by its rows */
  runCall(bearer: Bearer, name: string, chars: number, work: () => Result<unknown, Refusal>): CallAnswer {
    const { sql, throttle, load, engine } = this.#options;
    const { settings, now } = engine.tx();
    const share = shareOfName(name);
    const throttled = throttle.take(bearer.id, share, settings.maxOperationsPerSecond, now);
    const refused = throttled ?? load.refuse(name);
    this.#beginCharge();
    const result = refused ? err(refused) : withErrorBoundary(work);
    this.#chargeLimit(bearer.id, share, result);
    const answer = toText(result);
    const unstored = refused || sql.written > this.#charged.rows ? 0 : chars;
    this.#charge(bearer.id, share, 1, unstored + (answer.ok ? answer.value.length : 0));
    return answer;
  }
}

/** The JSON text of a result. */
export type CallAnswer = Result<string, Refusal>;

interface Answered {
  readonly text: string | null;
  readonly isFlooding: boolean;
}

/** Processor time that counting a request as one covers. */
const microsInRequest = 100;
const notARequest: Refusal = { code: "bad_input", message: "not a JSON-RPC 2.0 request" };
const tooLong: Refusal = {
  code: "too_large",
  message: `the answers before this one have ${maxAnswerChars} characters; this request was not run: send it in another frame`,
};

/** Report of a client on its side of a connection; it has no answer. */
interface Receipt {
  readonly mark?: unknown;
  readonly chat?: unknown;
}

function isReceipt({ method }: RpcRequest): boolean {
  return method === flowReadMethod || method === leaveMethod;
}

/** Nothing is checked of a request that is refused. */
function checkOnce(one: FrameRequest): NonNullable<FrameRequest["checked"]> | null {
  const { request } = one;
  if (one.checked !== undefined) return one.checked;
  if (!request || isReceipt(request)) return (one.checked = null);
  return (one.checked = withErrorBoundary(() => checkInput(request.method, request.params)));
}

/** Requests of one operation that follow each other, and may run together, are one group. */
function groupsOf(requests: readonly FrameRequest[]): FrameRequest[][] {
  const groups: FrameRequest[][] = [];
  let last: string | null = null;
  for (const one of requests) {
    const name = one.request?.method ?? null;
    if (name !== null && name === last && isListOperation(name)) groups.at(-1)?.push(one);
    else groups.push([one]);
    last = name;
  }
  return groups;
}

/** Returns null where a request must not run: the answers before it are too long. */
function answerTexts(
  group: readonly FrameRequest[],
  values: readonly unknown[],
  before: number,
): (string | null)[] | null {
  let chars = before;
  const texts: (string | null)[] = [];
  for (const [at, value] of values.entries()) {
    const text = answerText(group[at]?.request ?? null, ok(value));
    if (text !== null && chars >= maxAnswerChars) return null;
    texts.push(text);
    chars += text?.length ?? 0;
  }
  return texts;
}

function answerText(request: RpcRequest | null, result: Result<unknown, Refusal>): string | null {
  return request?.id === null ? null : JSON.stringify(toAnswer(request?.id ?? null, result));
}

function toText(result: Result<unknown, Refusal>): CallAnswer {
  return result.ok ? ok(JSON.stringify(result.value)) : result;
}

function lengthOf(texts: readonly (string | null)[]): number {
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
}

function shareOf(one: FrameRequest | undefined): Share {
  const request = one?.request;
  if (!request) return "usual";
  return isReceipt(request) ? "keep" : shareOfName(request.method);
}

function shareOfName(name: string): Share {
  return isOperation(name) && keepsWork(name) ? "keep" : "usual";
}
