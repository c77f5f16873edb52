import { isRefusal, isTransient, type Failure } from "../../contract/errors.ts";
import type { Operation } from "../../contract/operation.ts";
import {
  operations,
  type CallInput,
  type InputOf,
  type OperationName,
  type OutputOf,
  type CallName,
} from "../../contract/operations.ts";
import { maxFrameInputBytes } from "../../contract/protocol.ts";
import { Self } from "../../contract/values.ts";
import { fullJitter, repeat } from "../../shared/async-work.ts";
import { checkInput } from "../../shared/check-input.ts";
import { err, ok, type Result, fail } from "../../shared/result.ts";
import type { ClientConnection, Registration } from "./connection.ts";
import { isUp, type EdgeEvents } from "./events.ts";
import { newId, sleep, within, type Platform } from "./platform.ts";
import { byteLength, type RequestOutcome, type SendRequest } from "./outcomes.ts";

export type Call = <Name extends CallName>(
  name: Name,
  input: CallInput<Name>,
  deadlineMs?: number,
) => Promise<Result<OutputOf<Name>>>;

const defaultDeadlineMs = 30_000;
/** Limits of an attempt in ms; large: its input exceeds a frame. */
const attemptTimeoutMs = 10_000;
const largeAttemptTimeoutMs = 60_000;
const maxWaiting = 200;
const retryBackoff = { baseMs: 200, capMs: 5_000 };

/** Called with the input of each call before it is checked. */
export type PrepareInput = <Name extends OperationName>(name: Name, input: InputOf<Name>) => InputOf<Name>;

/** full: too many others wait. */
type WaitResult = "up" | "late" | "full" | "closed";

interface CallRequest<Name extends OperationName> {
  readonly name: Name;
  readonly input: InputOf<Name>;
  readonly requestId: string | undefined;
  readonly attemptTimeoutMs: number;
  readonly deadlineAt: number;
  mayHaveHappened: boolean;
  reason: string;
}

interface CallDeps {
  readonly platform: Pick<Platform, "clock" | "setTimer" | "random">;
  readonly connection: ClientConnection;
  readonly registration: Registration;
  readonly events: EdgeEvents;
  readonly prepareInput: PrepareInput | undefined;
}

/** Queues calls while disconnected and repeats them until answered. */
export class Calls {
  readonly #deps: CallDeps;
  #waiting = 0;
  #closedBecause = "the client is closed";

  constructor(deps: CallDeps) {
    this.#deps = deps;
    deps.events.on((event) => {
      if (event.type === "state" && event.state === "closed") this.#closedBecause = event.reason;
    });
  }

  /** @param deadlineMs limit for all repeats and waits together */
  async call<Name extends OperationName>(
    name: Name,
    partialInput: CallInput<Name>,
    deadlineMs: number = defaultDeadlineMs,
  ): Promise<Result<OutputOf<Name>>> {
    const { connection, platform } = this.#deps;
    connection.checkClocks();
    const completed = this.#completeInput(name, partialInput);
    if (!completed.ok) return completed;
    const { input, bytes } = completed.value;
    const request: CallRequest<Name> = {
      name,
      input,
      requestId: "requestId" in input ? String(input.requestId) : undefined,
      attemptTimeoutMs: bytes > maxFrameInputBytes ? largeAttemptTimeoutMs : attemptTimeoutMs,
      deadlineAt: platform.clock.monotonic() + deadlineMs,
      mayHaveHappened: false,
      reason: "no connection",
    };
    const { sendDirectly } = connection;
    return sendDirectly ? this.#sendOnce(request, sendDirectly, deadlineMs) : this.#sendUntilAnswered(request);
  }

  /** Asks without a connection; repeats once where a request id makes that harmless. */
  async #sendOnce<Name extends OperationName>(
    request: CallRequest<Name>,
    send: SendRequest,
    timeoutMs: number,
  ): Promise<Result<OutputOf<Name>>> {
    const { name, input, requestId } = request;
    const first = await send(name, input, timeoutMs);
    const isAgain = first.kind === "lost" && first.isSent && requestId !== undefined;
    const outcome = isAgain ? await send(name, input, timeoutMs) : first;
    if (outcome.kind !== "lost") return this.#toAnswer(request, outcome);
    return err({ code: outcome.isSent ? "outcome_unknown" : "unreachable", message: outcome.message });
  }

  #completeInput<Name extends OperationName>(
    name: Name,
    partialInput: CallInput<Name>,
  ): Result<{ readonly input: InputOf<Name>; readonly bytes: number }> {
    const { registration, prepareInput } = this.#deps;
    const { input: schema, maxBodyBytes = maxFrameInputBytes }: Operation = operations[name];
    const fullInput: Record<string, unknown> = {
      ...(prepareInput?.(name, partialInput as InputOf<Name>) ?? partialInput),
    };
    if ("requestId" in schema.shape) fullInput["requestId"] ??= newId(this.#deps.platform);
    if ("self" in schema.shape) fullInput["self"] ??= registration.self;
    if (fullInput["self"] === null) return fail("not_registered", `${name} needs a registered chat`);
    const checked = checkInput(name, fullInput);
    if (!checked.ok) return checked;
    const bytes = byteLength(fullInput);
    if (bytes > maxBodyBytes) {
      return fail("too_large", `${name}: the input has ${bytes} bytes; at most ${maxBodyBytes}`);
    }
    return ok({ input: fullInput as InputOf<Name>, bytes });
  }

  async #sendUntilAnswered<Name extends OperationName>(request: CallRequest<Name>): Promise<Result<OutputOf<Name>>> {
    const { connection, platform } = this.#deps;
    let waitResult: WaitResult = "up";
    const outcome = await repeat(
      async () => {
        waitResult = await this.untilUp(this.#remainingMs(request));
        const leftMs = this.#remainingMs(request);
        if (waitResult !== "up" || leftMs <= 0) return null;
        const timeoutMs = Math.min(request.attemptTimeoutMs, leftMs);
        return connection.send(request.name, request.input, timeoutMs);
      },
      (sent, attempt) => {
        if (sent?.kind === "lost") {
          request.mayHaveHappened ||= sent.isSent;
          request.reason = sent.message;
        }
        return sent && this.#retryDelayMs(request, sent, attempt);
      },
      async (ms) => {
        // After an interruption the call waits for the next connection instead.
        if (isUp(connection.state)) await sleep(platform, Math.min(ms, this.#remainingMs(request)));
      },
    );
    return outcome ? this.#toAnswer(request, outcome) : err(this.#unansweredError(request, waitResult));
  }

  #unansweredError(request: CallRequest<OperationName>, waitResult: WaitResult): Failure {
    const { mayHaveHappened, reason } = request;
    if (mayHaveHappened)
      return { code: "outcome_unknown", ...errorFields(request, `sent, but not answered: ${reason}`) };
    if (waitResult === "full")
      return { code: "queue_full", ...errorFields(request, "too many calls are already waiting for the connection") };
    if (waitResult === "closed") return { code: "closed", ...errorFields(request, this.#closedBecause) };
    return { code: "unreachable", ...errorFields(request, `the coordinator was not reached in time: ${reason}`) };
  }

  #upNow(): WaitResult | null {
    const { state } = this.#deps.connection;
    if (isUp(state)) return "up";
    return state === "closed" ? "closed" : null;
  }

  /** Waits until requests get through; those that wait are resumed in their order. */
  async untilUp(timeoutMs: number): Promise<WaitResult> {
    const now = this.#upNow();
    if (now !== null || timeoutMs <= 0) return now ?? "late";
    if (this.#waiting >= maxWaiting) return "full";
    const ended = Promise.withResolvers<WaitResult>();
    const stop = this.#deps.events.on((event) => {
      const result = event.type === "state" ? this.#upNow() : null;
      if (result !== null) ended.resolve(result);
    });
    this.#waiting += 1;
    const result = await within(this.#deps.platform, timeoutMs, ended.promise);
    this.#waiting -= 1;
    stop();
    return result ?? "late";
  }

  #remainingMs({ deadlineAt }: { readonly deadlineAt: number }): number {
    return Math.max(0, deadlineAt - this.#deps.platform.clock.monotonic());
  }

  #retryDelayMs(
    { deadlineAt }: CallRequest<OperationName>,
    outcome: RequestOutcome<unknown>,
    attempt: number,
  ): number | null {
    if (!isRepeatable(outcome)) return null;
    const jitterMs = fullJitter(retryBackoff, attempt, this.#deps.platform.random);
    if (outcome.kind !== "answered" || outcome.result.ok) return jitterMs;
    // Jitter spreads clients that got the same `retryAfterMs`.
    const waitMs = jitterMs + (outcome.result.error.retryAfterMs ?? 0);
    return waitMs < this.#remainingMs({ deadlineAt }) ? waitMs : null;
  }

  #toAnswer<Name extends OperationName>(
    request: CallRequest<Name>,
    outcome: RequestOutcome<OutputOf<Name>>,
  ): Result<OutputOf<Name>> {
    if (outcome.kind === "garbled") return err({ code: "bad_answer", ...errorFields(request, outcome.message) });
    if (outcome.kind === "lost") return err(this.#unansweredError(request, "late"));
    const { result } = outcome;
    if (result.ok) return result;
    const self = "self" in request.input ? Self.safeParse(request.input.self).data : null;
    this.#deps.connection.handleRefusal(self ?? null, result.error);
    const isUnknown = request.mayHaveHappened && isTransient(result.error);
    return isUnknown ? err(this.#unansweredError(request, "late")) : result;
  }
}

/** A store that fails in this process is the caller's to see. */
function isRepeatable(outcome: RequestOutcome<unknown>): boolean {
  if (outcome.kind !== "answered") return outcome.kind === "lost";
  return !outcome.result.ok && isTransient(outcome.result.error) && isRefusal(outcome.result.error);
}

function errorFields(
  { name, requestId }: CallRequest<OperationName>,
  reason: string,
): { message: string; requestId?: string } {
  return { message: `${name}: ${reason}`, ...(requestId === undefined ? {} : { requestId }) };
}
