import { type RequestFrame, type RpcRequest, toAnswer } from "../contract/frames.ts";
import type { Refusal } from "../contract/errors.ts";
import { isOperation } from "../contract/operations.ts";
import { flowReadMethod, maxAnswerChars } from "../contract/protocol.ts";
import { checkInput } from "../shared/check-input.ts";
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
import type { Transactions } from "./transactions.ts";
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

interface Admitted {
  readonly request: RpcRequest | null;
  readonly refused: Refusal | null;
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
    const admitted = requests.map((request): Admitted => {
      const throttled = throttle.take(bearer.id, shareOf(request), settings.maxOperationsPerSecond, now);
      return { request, refused: throttled ?? load.refuse(request?.method ?? "") };
    });
    const before = sql.written;
    const answerAll = (): string[] => this.#answerAll(socket, bearer, admitted);
    const isTogether = requests.length > 1 && requests.every(canRollBack);
    const texts = isTogether ? transactions.together(answerAll) : answerAll();
    const text = isBatch ? `[${texts.join(",")}]` : (texts[0] ?? "");
    const cost = { chars: chars + text.length, rows: sql.written - before };
    throttle.charge(bearer.id, cost);
    load.add({ requests: requests.length, ...cost });
    const isThrottled = admitted.some(({ refused }) => refused?.code === "throttled");
    const isFlooding = isThrottled && throttle.isFlooding(bearer.id, chars);
    return { text: texts.length === 0 ? null : text, isFlooding };
  }

  /** [DO25] Refuses the remaining requests once the answers are too long. */
  #answerAll(socket: WebSocket, bearer: Bearer, admitted: readonly Admitted[]): string[] {
    const texts: string[] = [];
    let chars = 0;
    for (const { request, refused } of admitted) {
      const refusal = refused ?? (request?.id !== null && chars >= maxAnswerChars ? tooLong : null);
      const text = refusal ? refusalText(request, refusal) : this.#answer(socket, bearer, request);
      if (text === null) continue;
      texts.push(text);
      chars += text.length;
    }
    return texts;
  }

  #answer(socket: WebSocket, bearer: Bearer, request: RpcRequest | null): string | null {
    if (!request) return JSON.stringify(toAnswer(null, err(notARequest)));
    const { method, params, id } = request;
    if (method === "state.watch-ack") {
      const { watch, revision } = params as { watch?: unknown; revision?: unknown };
      this.#options.watches.taken(socket, watch, revision);
      return null;
    }
    if (method === flowReadMethod) {
      this.#options.outgoing.read(socket, (params as { mark?: unknown }).mark);
      return null;
    }
    const result = withErrorBoundary(() => {
      const checked = checkInput(method, params);
      return checked.ok ? this.#options.operations.run(bearer, checked.value, socket) : checked;
    });
    return id === null ? null : JSON.stringify(toAnswer(id, result));
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

function refusalText(request: RpcRequest | null, refusal: Refusal): string | null {
  if (request?.id === null) return null;
  return JSON.stringify(toAnswer(request?.id ?? null, err(refusal)));
}

function shareOf(request: RpcRequest | null): Share {
  if (request?.method === "state.watch-ack" || request?.method === flowReadMethod) return "keep";
  return request ? shareOfName(request.method) : "usual";
}

function shareOfName(name: string): Share {
  return isOperation(name) && keepsWork(name) ? "keep" : "usual";
}
