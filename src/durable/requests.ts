import { type RequestFrame, type RpcRequest, toAnswer } from "../contract/frames.ts";
import type { Refusal } from "../contract/errors.ts";
import { isOperation, type OperationName } from "../contract/operations.ts";
import { flowReadMethod, maxAnswerChars } from "../contract/protocol.ts";
import { checkInput, type OperationRequest } from "../shared/check-input.ts";
import type { Bearer } from "../coordination/workspace/tokens.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { keepsWork } from "./effects.ts";
import { withErrorBoundary } from "./error-boundary.ts";
import type { LoadShedder } from "./load-shedding.ts";
import type { Operations } from "./operations.ts";
import type { Outgoing } from "./outgoing.ts";
import { canRollBack } from "./sockets.ts";
import type { StorageSql } from "./storage-sql.ts";
import type { Share, Throttle } from "./throttle.ts";
import { rollbackSignal, type Transactions } from "./transactions.ts";
import type { Watches } from "./watches.ts";

interface RequestsOptions {
  readonly sql: StorageSql;
  readonly operations: Operations;
  readonly transactions: Transactions;
  readonly throttle: Throttle;
  readonly load: LoadShedder;
  readonly watches: Watches;
  readonly outgoing: Outgoing;
}

interface FrameRequest {
  readonly request: RpcRequest | null;
  /** By the throttle, or for the load. */
  readonly refused: Refusal | null;
  /** Input of an operation; null for a receipt, and where the request is refused or is none. */
  readonly checked: Result<OperationRequest, Refusal> | null;
}

export class Requests {
  readonly #options: RequestsOptions;

  constructor(options: RequestsOptions) {
    this.#options = options;
  }

  /** @returns the text of the answer; null: nothing in the frame is answered */
  runFrame(socket: WebSocket, bearer: Bearer, { requests, isBatch, chars }: RequestFrame): Answered {
    const { throttle, load, sql, transactions } = this.#options;
    const { settings, now } = transactions.tx();
    const checked = requests.map((request): FrameRequest => {
      const throttled = throttle.take(bearer.id, shareOf(request), settings.maxOperationsPerSecond, now);
      const refused = throttled ?? load.refuse(request?.method ?? "");
      return { request, refused, checked: refused ? null : check(request) };
    });
    const groups = groupsOf(checked);
    const before = sql.written;
    const answerAll = (): string[] => this.#answerAll(socket, bearer, groups);
    const isTogether = requests.length > 1 && requests.every(canRollBack);
    const texts = isTogether ? transactions.together(answerAll) : answerAll();
    const text = isBatch ? `[${texts.join(",")}]` : (texts[0] ?? "");
    const cost = { chars: chars + text.length, rows: sql.written - before };
    throttle.charge(bearer.id, cost);
    load.add({ requests: requests.length, ...cost });
    const isThrottled = checked.some(({ refused }) => refused?.code === "throttled");
    const isFlooding = isThrottled && throttle.isFlooding(bearer.id, chars);
    return { text: texts.length === 0 ? null : text, isFlooding };
  }

  /** [DO25] Refuses the remaining requests once the answers are too long. */
  #answerAll(socket: WebSocket, bearer: Bearer, groups: readonly (readonly FrameRequest[])[]): string[] {
    const texts: string[] = [];
    let chars = 0;
    for (const group of groups) {
      const set = this.#answerSet(bearer, group, chars);
      for (const one of set ?? group) {
        const text = typeof one === "string" ? one : this.#answer(socket, bearer, one, chars);
        if (text === null) continue;
        texts.push(text);
        chars += text.length;
      }
    }
    return texts;
  }

  /** Returns null, without an effect, where the requests must be answered one by one. */
  #answerSet(bearer: Bearer, group: readonly FrameRequest[], chars: number): string[] | null {
    if (group.length === 1) return null;
    const requests = group.flatMap(({ checked }) => (checked?.ok ? [checked.value] : []));
    try {
      return this.#options.operations.runSet(bearer, requests, (values) => answerTexts(group, values, chars));
    } catch (error) {
      if (error === rollbackSignal) throw error;
      // Logged when the request that fails runs on its own.
      return null;
    }
  }

  #answer(socket: WebSocket, bearer: Bearer, one: FrameRequest, chars: number): string | null {
    const { request, refused, checked } = one;
    const refusal = refused ?? (request?.id !== null && chars >= maxAnswerChars ? tooLong : null);
    if (refusal) return answerText(request, err(refusal));
    if (request && !checked) return this.#receive(socket, request);
    return answerText(request, this.#run(socket, bearer, checked ?? err(notARequest)));
  }

  #run(socket: WebSocket, bearer: Bearer, checked: Result<OperationRequest, Refusal>): Result<unknown, Refusal> {
    if (!checked.ok) return checked;
    return withErrorBoundary(() => this.#options.operations.run(bearer, checked.value, socket));
  }

  #receive(socket: WebSocket, { method, params }: RpcRequest): null {
    const { watch, revision, mark } = params as { watch?: unknown; revision?: unknown; mark?: unknown };
    if (method === watchAckMethod) this.#options.watches.taken(socket, watch, revision);
    else this.#options.outgoing.read(socket, mark);
    return null;
  }

  toText(token: string, work: () => Result<unknown, Refusal>): CallAnswer {
    const result = withErrorBoundary(work);
    const text = JSON.stringify(result.ok ? result.value : result.error);
    this.#options.throttle.charge(token, { chars: text.length, rows: 0 });
    return result.ok ? ok(text) : result;
  }

  runCall(bearer: Bearer, name: string, work: () => Result<unknown, Refusal>): Result<unknown, Refusal> {
    const { throttle, load, sql, transactions } = this.#options;
    const { settings, now } = transactions.tx();
    const throttled = throttle.take(bearer.id, shareOfName(name), settings.maxOperationsPerSecond, now);
    const refused = throttled ?? load.refuse(name);
    if (refused) return err(refused);
    const before = sql.written;
    const result = work();
    const cost = { chars: 0, rows: sql.written - before };
    throttle.charge(bearer.id, cost);
    load.add({ requests: 1, ...cost });
    return result;
  }
}

/** The JSON text of a result. */
export type CallAnswer = Result<string, Refusal>;

interface Answered {
  readonly text: string | null;
  readonly isFlooding: boolean;
}

const notARequest: Refusal = { code: "bad_input", message: "not a JSON-RPC 2.0 request" };
const tooLong: Refusal = {
  code: "too_large",
  message: `the answers before this one have ${maxAnswerChars} characters; this request was not run: send it in another frame`,
};

const watchAckMethod = "state.watch-ack";

function isReceipt({ method }: RpcRequest): boolean {
  return method === watchAckMethod || method === flowReadMethod;
}

function check(request: RpcRequest | null): FrameRequest["checked"] {
  if (!request || isReceipt(request)) return null;
  return withErrorBoundary(() => checkInput(request.method, request.params));
}

/** Requests of one operation that follow each other are one group. */
function groupsOf(requests: readonly FrameRequest[]): FrameRequest[][] {
  const groups: FrameRequest[][] = [];
  let last: OperationName | null = null;
  for (const one of requests) {
    const name = one.checked?.ok ? one.checked.value.name : null;
    if (name !== null && name === last) groups.at(-1)?.push(one);
    else groups.push([one]);
    last = name;
  }
  return groups;
}

/** [DO25] Returns null where a request must not run: the answers before it are too long. */
function answerTexts(group: readonly FrameRequest[], values: readonly unknown[], before: number): string[] | null {
  const texts: string[] = [];
  let chars = before;
  for (const [at, { request }] of group.entries()) {
    const text = answerText(request, ok(values[at]));
    if (text === null) continue;
    if (chars >= maxAnswerChars) return null;
    texts.push(text);
    chars += text.length;
  }
  return texts;
}

function answerText(request: RpcRequest | null, result: Result<unknown, Refusal>): string | null {
  return request?.id === null ? null : JSON.stringify(toAnswer(request?.id ?? null, result));
}

function shareOf(request: RpcRequest | null): Share {
  if (!request) return "usual";
  return isReceipt(request) ? "keep" : shareOfName(request.method);
}

function shareOfName(name: string): Share {
  return isOperation(name) && keepsWork(name) ? "keep" : "usual";
}
