import type { Operation } from "../../contract/operation.ts";
import { operations, type InputOf, type OperationName, type OutputOf } from "../../contract/operations.ts";
import { Self } from "../../contract/values.ts";
import { checkInput } from "../../coordination/check-input.ts";
import { fullJitter } from "../../shared/backoff.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { isBusy, isHeldBack, type EdgeError, type Unanswered } from "./failure.ts";
import { bytesOf, maxFrameInputBytes } from "./frames.ts";
import type { Passed } from "./gate.ts";
import type { Link } from "./link.ts";
import type { Outcome } from "./outcome.ts";
import { newId, sleep, type Outside } from "./outside.ts";
import type { Registration } from "./registration.ts";
import { read, type Instant } from "./trust.ts";

export interface CallOptions {
  /** How long it may take with all repeats and all waiting for a connection, in ms. */
  readonly deadlineMs?: number;
  /** False: refused at once while nothing gets through. */
  readonly isQueued?: boolean;
}

/** What a caller gives: what the client can fill in may be left out. */
export type Given<Name extends OperationName> = Omit<InputOf<Name>, "self" | "requestId"> &
  Partial<Pick<InputOf<Name>, Extract<keyof InputOf<Name>, "self" | "requestId">>>;

export interface Asked<Name extends OperationName> {
  readonly result: Result<OutputOf<Name>, EdgeError>;
  /** Start of the attempt that was answered. */
  readonly sentAt: Instant;
  /** {@link Link.way} of that attempt. */
  readonly way: number;
}

const usualDeadlineMs = 30_000;
/** Of one attempt, and of one whose input no frame holds, in ms: it may be on its way for long. */
const attemptMs = 10_000;
const largeAttemptMs = 60_000;
const again = { baseMs: 200, capMs: 5_000 };

interface Request<Name extends OperationName> {
  readonly name: Name;
  readonly input: InputOf<Name>;
  readonly requestId: string | undefined;
  readonly isQueued: boolean;
  readonly attemptMs: number;
  /** By the monotonic clock. */
  readonly until: number;
  /** An attempt was sent, and not answered. */
  mayHaveHappened: boolean;
  /** Why the last attempt was not answered. */
  reason: string;
}

interface Completed<Name extends OperationName> {
  readonly input: InputOf<Name>;
  readonly bytes: number;
}

/** Calls: with an id, in line while nothing gets through, and repeated until they are answered. [EC8] [EC9] [EC10] */
export class Calls {
  readonly #outside: Outside;
  readonly #link: Link;
  readonly #registration: Registration;

  constructor(outside: Outside, link: Link, registration: Registration) {
    this.#outside = outside;
    this.#link = link;
    this.#registration = registration;
  }

  newId(): string {
    return newId(this.#outside);
  }

  async call<Name extends OperationName>(
    name: Name,
    given: Given<Name>,
    { deadlineMs = usualDeadlineMs, isQueued = true }: CallOptions = {},
  ): Promise<Asked<Name>> {
    this.#link.notice();
    const completed = this.#complete(name, given);
    if (!completed.ok) return this.#without(completed.error);
    const { input, bytes } = completed.value;
    const requestId = "requestId" in input ? String(input.requestId) : undefined;
    const until = this.#outside.clock.monotonic() + deadlineMs;
    const reason = "no connection";
    const ms = bytes > maxFrameInputBytes ? largeAttemptMs : attemptMs;
    return this.#attempts({ name, input, requestId, isQueued, attemptMs: ms, until, mayHaveHappened: false, reason });
  }

  /** [EC10] Fills in who asks and the id of the request, and refuses at once what the contract refuses. */
  #complete<Name extends OperationName>(name: Name, given: Given<Name>): Result<Completed<Name>, EdgeError> {
    const { input: schema, maxBodyBytes = maxFrameInputBytes }: Operation = operations[name];
    const filled: Record<string, unknown> = { ...given };
    if ("requestId" in schema.shape) filled["requestId"] ??= this.newId();
    if ("self" in schema.shape) filled["self"] ??= this.#registration.self;
    if (filled["self"] === null) return err({ code: "not_registered", message: `${name} needs a registered chat` });
    const checked = checkInput(name, filled);
    if (!checked.ok) return checked;
    const bytes = bytesOf(filled);
    if (bytes > maxBodyBytes) {
      return err({ code: "too_large", message: `${name}: the input has ${bytes} bytes; at most ${maxBodyBytes}` });
    }
    // Checked by the schema of this name.
    return ok({ input: filled as InputOf<Name>, bytes });
  }

  async #attempts<Name extends OperationName>(request: Request<Name>): Promise<Asked<Name>> {
    for (let attempt = 0; ; attempt += 1) {
      const passed = await this.#pass(request);
      if (passed !== "open") return this.#without(failure(request, passed));
      const way = this.#link.way;
      const outcome = await this.#link.ask(
        request.name,
        request.input,
        Math.min(request.attemptMs, this.#left(request)),
      );
      if (outcome.kind === "lost") {
        request.mayHaveHappened ||= outcome.isSent;
        request.reason = outcome.message;
      }
      const waitMs = this.#repeatIn(request, outcome, attempt);
      if (waitMs === null) return this.#final(request, outcome, way);
      // While the way is interrupted the line is where to wait.
      if (this.#link.gate.isOpen) await sleep(this.#outside, Math.min(waitMs, this.#left(request)));
    }
  }

  async #pass(request: Request<OperationName>): Promise<Passed> {
    const { gate } = this.#link;
    const passed = request.isQueued || gate.isOpen ? await gate.pass(this.#left(request)) : "late";
    return passed === "open" && this.#left(request) <= 0 ? "late" : passed;
  }

  #left({ until }: { readonly until: number }): number {
    return Math.max(0, until - this.#outside.clock.monotonic());
  }

  /** @returns after how long it is repeated, in ms; null: it is not */
  #repeatIn({ until }: Request<OperationName>, outcome: Outcome<unknown>, attempt: number): number | null {
    if (!isRepeatable(outcome)) return null;
    const jitterMs = fullJitter(again, attempt, this.#outside.random);
    if (outcome.kind !== "answered" || outcome.result.ok) return jitterMs;
    // Many that were told the same time do not come back together.
    const waitMs = jitterMs + (outcome.result.error.retryAfterMs ?? 0);
    return waitMs < this.#left({ until }) ? waitMs : null;
  }

  #final<Name extends OperationName>(
    request: Request<Name>,
    outcome: Outcome<OutputOf<Name>>,
    way: number,
  ): Asked<Name> {
    if (outcome.kind === "garbled") return this.#without({ code: "bad_answer", ...say(request, outcome.message) });
    if (outcome.kind === "lost") return this.#without(failure(request, "late"));
    const { result, sentAt } = outcome;
    if (result.ok) return { result, sentAt, way };
    this.#link.hear(selfOf(request.input), result.error);
    const isUnknown = request.mayHaveHappened && isBusy(result.error);
    return isUnknown ? this.#without(failure(request, "late")) : { result, sentAt, way };
  }

  #without(error: EdgeError): { result: Result<never, EdgeError>; sentAt: Instant; way: number } {
    return { result: err(error), sentAt: read(this.#outside.clock), way: this.#link.way };
  }
}

function selfOf(input: object): Self | null {
  const self = "self" in input ? Self.safeParse(input.self) : null;
  return self?.success ? self.data : null;
}

function isRepeatable(outcome: Outcome<unknown>): boolean {
  if (outcome.kind !== "answered") return outcome.kind === "lost";
  return !outcome.result.ok && (isBusy(outcome.result.error) || isHeldBack(outcome.result.error));
}

function say({ name, requestId }: Request<OperationName>, reason: string): { message: string; requestId?: string } {
  return { message: `${name}: ${reason}`, ...(requestId === undefined ? {} : { requestId }) };
}

function failure(request: Request<OperationName>, passed: Passed): Unanswered {
  const { mayHaveHappened, reason } = request;
  if (mayHaveHappened) return { code: "outcome_unknown", ...say(request, `sent, but not answered: ${reason}`) };
  switch (passed) {
    case "full":
      return { code: "queue_full", ...say(request, "too many calls wait for the connection already") };
    case "closed":
      return { code: "closed", ...say(request, "the client is closed") };
    case "open":
    case "late":
      return { code: "unreachable", ...say(request, `no coordinator in time: ${reason}`) };
  }
}
