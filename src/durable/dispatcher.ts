import * as dispatch from "../coordination/scheduling/dispatch.ts";
import * as outbox from "../coordination/tasks/dispatch-outbox.ts";
import { stackOf } from "../shared/error.ts";
import { ok } from "../shared/result.ts";
import type { Env } from "./env.ts";
import { logProblem } from "./log-problem.ts";
import type { Transactions } from "./transactions.ts";

/** Assigns what requests make runnable; the rest goes through the queue. */
export class Dispatcher {
  readonly #transactions: Transactions;
  readonly #queue: Env["DISPATCH"];
  readonly #workspace: string;

  constructor(transactions: Transactions, queue: Env["DISPATCH"], workspace: string) {
    this.#transactions = transactions;
    this.#queue = queue;
    this.#workspace = workspace;
  }

  /** [QU12] Before the commit. A failure undoes no request: the queue repeats the dispatch. */
  assignAtOnce(): void {
    try {
      this.#transactions.run((tx) => ok(dispatch.assignAtOnce(tx)));
    } catch (error) {
      logProblem("a dispatch failed", { error: stackOf(error) });
      this.#transactions.run((tx) => ok(outbox.enqueue(tx, () => true)));
    }
  }

  /** [QU1] Runs after the commit; if it fails, the alarm sends another token. */
  async sendToken(): Promise<void> {
    try {
      await this.#queue.send({ workspace: this.#workspace });
    } catch (error) {
      logProblem("a token was not sent", { error: stackOf(error) });
    }
  }
}
