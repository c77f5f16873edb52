import type { RequestDecision } from "../contract/hooks.ts";
import type { Decision, Outcome, Question, RequestKind } from "../contract/machine/requests.ts";
import type { JsonObject } from "../shared/json-fields.ts";
import { setNewest } from "../shared/set-newest.ts";

/**
 * Shows that the terminal has allowed a command: its client may not say so before the end of the
 * command.
 */
export interface AwaitedRun {
  /** The text that a shell gets, without quotes. */
  readonly command: string;
  /** Pid of the client. */
  readonly client: number;
  /** Its children of before. */
  readonly before: ReadonlySet<number>;
}

/** Rules that a client suggests to allow until the session ends. */
export interface Grant {
  /** For a person: all that is allowed. */
  readonly text: string;
  readonly rules: readonly JsonObject[];
}

/** A request of a client to its user. */
export interface PermissionRequest {
  readonly id: string;
  /** SHIM's id of the session. */
  readonly session: string;
  /** The sub-agent that asks; null: the main chat. */
  readonly agent: string | null;
  readonly tool: string;
  readonly kind: RequestKind;
  /** For a person; redacted. Empty: it is no question. */
  readonly questions: readonly Question[];
  /** Decisions that its client takes. */
  readonly decisions: readonly Decision[];
  readonly grant: Grant | null;
  /** By which its end is found; never shown. */
  readonly toolInput: unknown;
  /** A command alone has it; null: another call, or several. */
  readonly run: AwaitedRun | null;
  /** All that the call would do, for a person; redacted, with signs for what is not seen. */
  readonly text: string;
  /** Why only the terminal can answer it; null: the hook is held. */
  readonly reason: string | null;
  readonly askedAt: number;
  readonly endsAt: number;
}

/** An answer that was given to the client's hook. */
interface SentAnswer {
  readonly given: Decision;
  readonly decision: RequestDecision;
  readonly by: string;
  readonly at: number;
  /** Number of its entry in the audit log. */
  readonly entry: number;
  readonly outcome: Outcome;
}

/**
 * Why a request is over. answered: from elsewhere; runs: its command is seen to run, ran: its call
 * has ended, which its terminal had allowed; passed: the chat did something else next; withdrawn:
 * the client has cancelled its hook; chat: the chat is dead or has ended; time: its time, or the
 * number of requests, was up.
 */
export type RequestEnd = "answered" | "runs" | "ran" | "passed" | "withdrawn" | "chat" | "time";

export interface EndedRequest {
  readonly request: PermissionRequest;
  readonly end: RequestEnd;
  /** The answer from elsewhere, if there was one. */
  readonly answer: SentAnswer | null;
}

interface Held {
  readonly request: PermissionRequest;
  readonly settle: (decision: RequestDecision | null) => void;
}

/** Requests that have ended are known so long that a late answer gets a clear refusal. */
const maxEnded = 200;
/** The oldest is given up: no client asks so often at once. */
const maxOpen = 100;

/** Permission requests, open and over. They live with the host, as the hooks that it holds do. */
export class PermissionRequests {
  readonly #open = new Map<string, Held>();
  readonly #ended = new Map<string, EndedRequest>();

  /** @returns resolves once, when it ends; null: without a decision of SHIM */
  open(request: PermissionRequest): Promise<RequestDecision | null> {
    const [oldest] = this.#open.keys();
    if (oldest !== undefined && this.#open.size >= maxOpen) this.end(oldest, "time");
    const { promise, resolve } = Promise.withResolvers<RequestDecision | null>();
    this.#open.set(request.id, { request, settle: resolve });
    return promise;
  }

  /** Oldest first. */
  list(now: number): PermissionRequest[] {
    for (const { request } of this.#open.values()) if (request.endsAt <= now) this.end(request.id, "time");
    return [...this.#open.values()].map(({ request }) => request);
  }

  /** Whether a session has asked for a permission of which it is known how it stands. */
  hasAny(session: string): boolean {
    return [...this.#open.values(), ...this.#ended.values()].some(({ request }) => request.session === session);
  }

  /** Oldest first. */
  listEnded(): EndedRequest[] {
    return [...this.#ended.values()];
  }

  /** Does nothing where it is not open, or is the terminal's alone. */
  answer(id: string, answer: Omit<SentAnswer, "outcome">): void {
    const held = this.#open.get(id);
    if (held === undefined || held.request.reason !== null) return;
    this.#end(held, "answered", { ...answer, outcome: "sent" });
    held.settle(answer.decision);
  }

  /** An answer that was sent, and of which an event shows what came of it. */
  settle(id: string, outcome: Outcome): void {
    const ended = this.#ended.get(id);
    if (ended?.answer) this.#ended.set(id, { ...ended, answer: { ...ended.answer, outcome } });
  }

  end(id: string, end: RequestEnd): void {
    const held = this.#open.get(id);
    if (held === undefined) return;
    this.#end(held, end, null);
    held.settle(null);
  }

  #end({ request }: Held, end: RequestEnd, answer: SentAnswer | null): void {
    this.#open.delete(request.id);
    setNewest(this.#ended, request.id, { request, end, answer }, maxEnded);
  }
}
