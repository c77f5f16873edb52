import {
  readRequests,
  type RpcRequest,
  toAnswer,
  flowReadMethod,
  leaveMethod,
  maxAnswerChars,
} from "../contract/protocol.ts";
import { closeCodes } from "../contract/sockets.ts";
import type { Failure } from "../contract/errors.ts";
import { isOperation, type CheckedInputOf, type OperationName } from "../contract/operations.ts";
import {
  changesFrozen,
  isEngineOperation,
  isListOperation,
  runFirst,
  rollbackSignal,
  type EngineHost,
} from "../coordination/engine.ts";
import type { Actor, List, Tx } from "../coordination/kernel/tx.ts";
import type { Bearer } from "../coordination/workspace/tokens.ts";
import { checkFields, checkInput, checkScope, type OperationRequest } from "../shared/check-input.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { attachmentOf, type Credentials, type Outgoing } from "./attachments.ts";
import type { Connections } from "./connections.ts";
import { effectOf, keepsWork, type LoadShedder, type RefusalCounts, type Share, type Throttle } from "./load-limits.ts";
import type { HostOperations } from "./host-operations.ts";
import { failureOf } from "./log-problem.ts";
import { canRollBack, rejectChat } from "./sockets.ts";
import type { StorageSql } from "./storage-sql.ts";

interface AdmissionOptions {
  readonly sql: StorageSql;
  readonly authenticate: (credentials: Credentials) => Result<Bearer>;
  readonly throttle: Throttle;
  readonly load: LoadShedder;
  readonly engine: EngineHost;
  readonly host: HostOperations;
  readonly outgoing: Outgoing;
  readonly connections: Connections;
  readonly refusals: RefusalCounts;
  /** Size of the storage, in bytes. */
  readonly size: () => number;
}

/** The JSON text of a result. */
export type CallAnswer = Result<string>;

type Checked = Result<OperationRequest>;

/** A request on its way in, with the verdicts so far. */
interface Incoming {
  /** A part of a frame that is no request has null. */
  readonly request: RpcRequest | null;
  readonly decode: () => Checked;
  /** Runs in place of the operation's own handler. */
  readonly work?: ((tx: Tx, actor: Actor) => Result<unknown>) | undefined;
  /** By the throttle, or for the load. */
  refused?: Failure | null;
  checked?: Checked;
}

interface Caller {
  readonly bearer: Bearer;
  readonly socket: WebSocket | null;
  /** Operations that the token may do in a second. */
  readonly perSecond: number;
  readonly now: number;
}

/**
 * The one way in, for requests over HTTP, frames of sockets and calls of the Worker itself:
 * authenticate; for each request throttle, shed, decode, check the scope, run, charge, answer.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  /** Rows written and processor time up to which all is charged. */
  #charged = { rows: 0, micros: 0 };

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** @param input fields, or the text of a body, whose nesting the worker has checked */
  call(credentials: Credentials, name: string, input: unknown, work?: Incoming["work"]): CallAnswer {
    const bearer = this.#options.authenticate(credentials);
    if (!bearer.ok) return bearer;
    const caller = this.#callerOf(bearer.value, null);
    const decode = (): Checked => checkFields(name, typeof input === "string" ? (JSON.parse(input) as unknown) : input);
    const one: Incoming = { request: { id: 0, method: name, params: {} }, decode, work };
    this.#beginCharge();
    const refused = this.#refuse(caller, one);
    const result = refused ? err(refused) : this.#perform(caller, one);
    const answer = result.ok ? ok(JSON.stringify(result.value)) : result;
    // Stored input is charged by its rows.
    const isStored = this.#options.sql.written > this.#charged.rows;
    const chars = typeof input !== "string" || (isStored && !refused) ? 0 : input.length;
    this.#charge(caller, shareOf(one), 1, chars + (answer.ok ? answer.value.length : 0));
    return answer;
  }

  /** Answers a frame, or closes its socket. */
  frame(socket: WebSocket, message: string | ArrayBuffer): void {
    const { authenticate, connections, outgoing, engine, throttle } = this.#options;
    if (connections.isClosed(socket)) return;
    const bearer = authenticate(attachmentOf(socket)?.token ?? { id: "", hash: "" });
    if (!bearer.ok) return connections.close(socket, closeCodes.token, bearer.error.message);
    const frame = readRequests(message);
    if (!frame.ok) {
      outgoing.send(socket, JSON.stringify(toAnswer(null, frame)));
      return connections.close(socket, closeCodes.protocol, "not a JSON-RPC 2.0 frame");
    }
    const { requests, isBatch, chars } = frame.value;
    const caller = this.#callerOf(bearer.value, socket);
    const all = requests.map(toIncoming);
    const restore = throttle.keep(caller.bearer.id, caller.perSecond, caller.now);
    const answerAll = (): string[] => {
      // Requests that are rolled back and repeated are charged once.
      restore();
      this.#beginCharge();
      return this.#answerAll(caller, all, chars / requests.length);
    };
    const isTogether = requests.length > 1 && requests.every(canRollBack);
    const texts = isTogether ? engine.together(answerAll) : answerAll();
    if (texts.length > 0) outgoing.send(socket, isBatch ? `[${texts.join(",")}]` : (texts[0] ?? ""));
    const isThrottled = all.some(({ refused }) => refused?.code === "throttled");
    if (isThrottled && throttle.isFlooding(caller.bearer.id, chars))
      connections.close(socket, closeCodes.flood, "throttled, but kept sending; wait before reconnecting");
  }

  #callerOf(bearer: Bearer, socket: WebSocket | null): Caller {
    const { settings, now } = this.#options.engine.tx();
    return { bearer, socket, perSecond: settings.maxOperationsPerSecond, now };
  }

  /** Refuses the remaining requests once the answers are too long. */
  #answerAll(caller: Caller, requests: readonly Incoming[], charsOfEach: number): string[] {
    const texts: string[] = [];
    let chars = 0;
    for (let at = 0; at < requests.length;) {
      const group = leadingGroup(requests.slice(at) as [Incoming, ...Incoming[]]);
      const together = this.#answerTogether(caller, group, charsOfEach, chars);
      for (const text of together ?? [this.#answer(caller, group[0], charsOfEach, chars)]) {
        at += 1;
        if (text === null) continue;
        texts.push(text);
        chars += text.length;
      }
    }
    return texts;
  }

  /** Answers the first requests of a list; null, without an effect: the first must run alone. */
  #answerTogether(
    caller: Caller,
    group: List<Incoming>,
    charsOfEach: number,
    before: number,
  ): (string | null)[] | null {
    const { bearer, perSecond, now } = caller;
    const { throttle, load } = this.#options;
    const share = shareOf(group[0]);
    const hasRoom = throttle.hasRoom(bearer.id, share, perSecond, now, group.length);
    if (group.length === 1 || !hasRoom || load.refuse(group[0].request?.method ?? "") !== null) return null;
    const texts = this.#runTogether(bearer, group, before);
    if (texts === null) {
      // Rolled-back work is not charged: the requests run again, one by one.
      this.#beginCharge();
      return null;
    }
    throttle.take(bearer.id, share, perSecond, now, texts.length);
    const chars = texts.reduce((sum, text) => sum + (text?.length ?? 0), texts.length * charsOfEach);
    this.#charge(caller, share, texts.length, chars);
    return texts;
  }

  #runTogether(bearer: Bearer, group: List<Incoming>, before: number): (string | null)[] | null {
    const { engine } = this.#options;
    const [first, ...others] = group.map(decodeOnce).flatMap((checked) => (checked.ok ? [checked.value] : []));
    if (!first || others.length + 1 < group.length || !isListOperation(first.name)) return null;
    if (checkScope(first.name, bearer.scope) || engine.tx().isFull === true) return null;
    const { name } = first;
    const inputs = [first, ...others].map(({ input }) => input);
    try {
      const texts = engine.run((tx) => {
        const results = runFirst(tx, actorOf(bearer), name, inputs as never);
        const formatted = answerTexts(group, results, before);
        return formatted === null ? err(tooLong) : ok(formatted);
      });
      return texts.ok ? texts.value : null;
    } catch (error) {
      if (error === rollbackSignal) throw error;
      // Logged when the request that fails runs on its own.
      return null;
    }
  }

  #answer(caller: Caller, one: Incoming, chars: number, before: number): string | null {
    const { request } = one;
    const refused = this.#refuse(caller, one) ?? (request?.id !== null && before >= maxAnswerChars ? tooLong : null);
    const isReceived = !refused && request !== null && this.#receive(caller, request);
    const result = refused ? err(refused) : isReceived ? null : this.#perform(caller, one);
    const text = result && answerText(request, result);
    this.#charge(caller, shareOf(one), 1, chars + (text?.length ?? 0));
    return text;
  }

  #refuse({ bearer, perSecond, now }: Caller, one: Incoming): Failure | null {
    const { throttle, load, refusals } = this.#options;
    one.refused = throttle.take(bearer.id, shareOf(one), perSecond, now) ?? load.refuse(one.request?.method ?? "");
    if (one.refused) refusals.add(one.refused);
    return one.refused;
  }

  /** Handles a report of a client on its side of a connection, which has no answer. */
  #receive({ socket }: Caller, { method, params }: RpcRequest): boolean {
    if (!socket || !isReceipt(method)) return false;
    const { mark, chat } = params as Receipt;
    if (method === leaveMethod) this.#options.connections.leave(socket, String(chat));
    else this.#options.outgoing.read(socket, mark);
    return true;
  }

  #perform(caller: Caller, one: Incoming): Result<unknown> {
    let result: Result<unknown>;
    try {
      const checked = decodeOnce(one);
      result = checked.ok ? this.#run(caller, checked.value, one.work) : checked;
    } catch (error) {
      result = err(failureOf(error));
    }
    if (!result.ok && result.error.code === "quota_exceeded") {
      this.#options.refusals.add(result.error);
      this.#options.throttle.chargeLimit(caller.bearer.id, shareOf(one));
    }
    return result;
  }

  #run({ bearer, socket }: Caller, { name, input }: OperationRequest, work: Incoming["work"]): Result<unknown> {
    const { engine, host } = this.#options;
    const refused =
      checkScope(name, bearer.scope) ?? rejectChat(socket, name, input) ?? this.#checkStorage(name, input);
    if (refused) return err(refused);
    const actor = actorOf(bearer);
    if (work) return engine.run((tx) => work(tx, actor), changesFrozen.has(name));
    // checkInput() has validated the input for this name; TypeScript cannot follow that.
    if (name === "metrics" || !isEngineOperation(name)) return host.handlers[name](input as never, actor, socket);
    return engine.call(actor, name, input as never, (tx, result) => host.follow(tx, name, result, socket));
  }

  /** Refuses what grows when the storage is nearly full. */
  #checkStorage<Name extends OperationName>(name: Name, input: CheckedInputOf<Name>): Failure | null {
    const { engine, sql, size } = this.#options;
    if (engine.tx().isFull !== true || effectOf(name, input, sql) !== "grow") return null;
    return {
      code: "quota_exceeded",
      message: `the storage of the workspace is full, so ${name} is refused; delete what is not needed, or raise maxStorageBytes where it is below what the object can hold`,
      details: { bytes: size(), limit: "maxStorageBytes" },
    };
  }

  #beginCharge(): void {
    const { written: rows, micros } = this.#options.sql;
    this.#charged = { rows, micros };
  }

  /** Charges for requests what was done since the last charge, whatever came of them. */
  #charge({ bearer }: Caller, share: Share, requests: number, chars: number): void {
    const { throttle, load, sql } = this.#options;
    const { rows, micros } = this.#charged;
    const cost = {
      chars,
      rows: sql.written - rows,
      micros: Math.max(0, sql.micros - micros - requests * microsInRequest),
    };
    this.#beginCharge();
    throttle.charge(bearer.id, share, cost);
    load.add({ requests, ...cost });
  }
}

/** Processor time that counting a request as one covers. */
const microsInRequest = 100;
const notARequest: Failure = { code: "bad_input", message: "not a JSON-RPC 2.0 request" };
const tooLong: Failure = {
  code: "too_large",
  message: `the answers before this one have ${maxAnswerChars} characters; this request was not run: send it in another frame`,
};

interface Receipt {
  readonly mark?: unknown;
  readonly chat?: unknown;
}

function isReceipt(method: string): boolean {
  return method === flowReadMethod || method === leaveMethod;
}

function toIncoming(request: RpcRequest | null): Incoming {
  return { request, decode: () => (request ? checkInput(request.method, request.params) : err(notARequest)) };
}

/** Nothing is checked of a request that is refused. */
function decodeOnce(one: Incoming): Checked {
  return (one.checked ??= one.decode());
}

/** The first requests that may run together: those of one operation which follow each other. */
function leadingGroup([first, ...others]: List<Incoming>): List<Incoming> {
  const name = first.request?.method ?? "";
  const end = isListOperation(name) ? others.findIndex(({ request }) => request?.method !== name) : 0;
  return [first, ...(end < 0 ? others : others.slice(0, end))];
}

/** Returns null where a request is refused, or must not run: the answers before it are too long. */
function answerTexts(
  group: readonly Incoming[],
  results: readonly Result<unknown>[],
  before: number,
): (string | null)[] | null {
  let chars = before;
  const texts: (string | null)[] = [];
  for (const [at, result] of results.entries()) {
    const text = answerText(group[at]?.request ?? null, result);
    if (!result.ok || (text !== null && chars >= maxAnswerChars)) return null;
    texts.push(text);
    chars += text?.length ?? 0;
  }
  return texts;
}

function answerText(request: RpcRequest | null, result: Result<unknown>): string | null {
  return request?.id === null ? null : JSON.stringify(toAnswer(request?.id ?? null, result));
}

function shareOf({ request }: Incoming): Share {
  const method = request?.method ?? "";
  return isReceipt(method) || (isOperation(method) && keepsWork(method)) ? "keep" : "usual";
}

function actorOf({ machine, scope }: Bearer): Actor {
  return { machine, isAdmin: scope === "admin" };
}
