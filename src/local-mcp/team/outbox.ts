import type { OutputOf } from "../../contract/operations.ts";
import { fullJitter } from "../../shared/backoff.ts";
import type { Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Outside } from "../edge/outside.ts";
import { isPassing, type ChatLink, type Trouble } from "../link/chat-link.ts";
import type { Runtime } from "../runtime.ts";
import * as keptCalls from "./kept-calls.ts";
import type { KeptCall, Said, SayName } from "./kept-calls.ts";
import * as news from "./news.ts";

export interface OutboxSurroundings {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly outside: Pick<Outside, "setTimer" | "random">;
  readonly link: ChatLink;
  readonly sessionId: string;
  readonly workspace: string;
}

/** Answered; or kept, and sent as soon as the coordinator can be reached. */
export type Sent<Name extends SayName> =
  | { readonly kind: "answered"; readonly answer: Result<OutputOf<Name>, Trouble> }
  | { readonly kind: "kept" };

type Waiter = (answer: Result<unknown, Trouble>) => void;

/** Time limit of one call, in ms. */
const callWithinMs = 10_000;
/** The time that a tool waits for the answer, in ms. */
const waitMs = 5_000;
const again = { baseMs: 500, capMs: 30_000 };

/**
 * Calls of the chat to the coordinator. [TE6] Each is on the disk before it is sent and until it is answered, in order, and takes effect once.
 * [TE7] A refusal that arrives when no tool waits for it any more is news for the chat.
 */
export class Outbox {
  readonly #around: OutboxSurroundings;
  readonly #waiters = new Map<number, Waiter>();
  #isSending = false;
  #isWanted = false;
  #isClosed = false;
  #attempt = 0;
  #cancelTimer: () => void = () => undefined;
  readonly #empty = new Set<() => void>();

  constructor(around: OutboxSurroundings) {
    this.#around = around;
  }

  /** @param also runs in the same transaction */
  async say<Name extends SayName>(
    name: Name,
    input: Said<Name>,
    also: (sql: Sql) => void = () => undefined,
  ): Promise<Sent<Name>> {
    const { runtime, outside } = this.#around;
    const seq = runtime.store.write((sql) => {
      also(sql);
      return this.keep(sql, name, input);
    });
    return new Promise((resolve) => {
      const cancel = outside.setTimer(() => {
        this.#waiters.delete(seq);
        resolve({ kind: "kept" });
      }, waitMs);
      this.#waiters.set(seq, (answer) => {
        cancel();
        resolve({ kind: "answered", answer: answer as Result<OutputOf<Name>, Trouble> });
      });
      this.send();
    });
  }

  /** Keeps a call in the caller's transaction, without waiting for an answer. @returns its sequence number */
  keep<Name extends SayName>(sql: Sql, name: Name, input: Said<Name>): number {
    return keptCalls.add(sql, this.#around.runtime.now(), this.#around, name, input);
  }

  /** Sends the kept calls now. */
  send(): void {
    this.#isWanted = true;
    if (this.#isSending || this.#isClosed) return;
    this.#isSending = true;
    void this.#sendAll()
      .catch((error: unknown) => {
        this.#around.runtime.log("error", "what the chat says to others was not sent", { error: String(error) });
        this.#later();
      })
      .finally(() => (this.#isSending = false));
  }

  /** Stops sending; kept calls stay for a later process. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
    this.#empty.clear();
  }

  /** Resolves once nothing is kept. */
  whenEmpty(): Promise<void> {
    return new Promise((resolve) => {
      this.#empty.add(resolve);
      this.send();
    });
  }

  async #sendAll(): Promise<void> {
    while (this.#isWanted && !this.#isClosed) {
      this.#isWanted = false;
      this.#cancelTimer();
      if (await this.#sendKept()) continue;
      return this.#later();
    }
  }

  /** @returns false when the coordinator cannot be reached */
  async #sendKept(): Promise<boolean> {
    const { runtime, link, sessionId, workspace } = this.#around;
    for (;;) {
      const call = runtime.store.read((sql) => keptCalls.first(sql, sessionId, workspace), null);
      if (!call || this.#isClosed) {
        if (!this.#isClosed) for (const resolve of this.#empty) resolve();
        this.#empty.clear();
        return true;
      }
      const answer = await link.call(call.name, call.input, callWithinMs);
      if (this.#isClosed) return true;
      if (!answer.ok && isUnheard(answer.error)) {
        runtime.store.write((sql) => keptCalls.failed(sql, call.seq, answer.error.code));
        return false;
      }
      this.#attempt = 0;
      this.#settle(call, answer);
    }
  }

  #settle(call: KeptCall, answer: Result<unknown, Trouble>): void {
    const { runtime, sessionId } = this.#around;
    const waiter = this.#waiters.get(call.seq);
    this.#waiters.delete(call.seq);
    const late = waiter ? null : lateNews(call, answer);
    runtime.store.write((sql) => {
      keptCalls.remove(sql, call.seq);
      if (late) news.add(sql, runtime.now(), sessionId, `call:${call.seq}`, late);
    });
    waiter?.(answer);
  }

  #later(): void {
    if (this.#isClosed) return;
    const { outside } = this.#around;
    this.#cancelTimer = outside.setTimer(() => this.send(), fullJitter(again, this.#attempt, outside.random));
    this.#attempt += 1;
  }
}

/** The call may succeed later; a chat that counts as gone is registered again. */
function isUnheard(error: Trouble): boolean {
  return isPassing(error) || error.code === "chat_offline" || error.code === "closed";
}

function lateNews({ name, input }: KeptCall, answer: Result<unknown, Trouble>): news.News | null {
  if (answer.ok) return name === "tasks.submit" ? submitted(answer.value as OutputOf<"tasks.submit">) : null;
  // The heartbeats themselves report a claim that is over.
  if (name === "tasks.heartbeat") return null;
  const reason = `${answer.error.code}: ${answer.error.message}`;
  const task = input["task"];
  if (typeof task === "number") return { kind: "report_refused", task, reason };
  const what = name === "tasks.submit" ? "the tasks were not submitted" : "the message was not sent";
  return { kind: "notice", text: `What was kept while the coordinator could not be reached: ${what}. ${reason}` };
}

function submitted({ tasks }: OutputOf<"tasks.submit">): news.News {
  const numbers = tasks.map(({ task }) => task).join(", ");
  return { kind: "notice", text: `The tasks that were kept while the coordinator could not be reached: ${numbers}.` };
}
