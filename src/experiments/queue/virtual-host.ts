import type { Refusal } from "../../contract/errors.ts";
import type { CheckedInputOf, OutputOf } from "../../contract/operations.ts";
import { defaultSettings, type Settings } from "../../contract/workspaces.ts";
import * as liveness from "../../coordination/chats/liveness.ts";
import * as due from "../../coordination/due.ts";
import { type EngineOperation, followUpOf, run } from "../../coordination/engine.ts";
import * as meta from "../../coordination/kernel/meta.ts";
import * as totals from "../../coordination/kernel/metric-totals.ts";
import type { Hint, Presence, Tx, WorkspaceFacts } from "../../coordination/kernel/tx.ts";
import * as dispatch from "../../coordination/scheduling/dispatch.ts";
import { migrations } from "../../coordination/schema.ts";
import { migrate } from "../../shared/migrate.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";

/** Start of every run, epoch ms: a full hour, for alarms that wait for one. */
export const startAt = Date.UTC(2026, 0, 1);

/** The values of the Durable Object. */
const sweepRows = 200;
const sweepsPerAlarm = 20;
const minAlarmGapMs = 250;

/** Chats and tasks of a record were admitted when they came. */
const admitting = {
  maxConcurrentChats: 10_000,
  maxOfflineChatsPerMachine: 1_000_000,
  maxLanes: 10_000,
  maxTasks: 5_000_000,
};

const actor = { machine: "simulation", isAdmin: true } as const;

/**
 * The shipped engine as the Durable Object runs it: a transaction per request, dispatch before its
 * commit, and one alarm. Time passes only where the caller moves it.
 */
export class VirtualHost {
  /** Epoch ms. */
  now = startAt;
  /** Requests and alarms so far. */
  operations = 0;
  /** When the alarm rings, epoch ms; infinite: nothing is due. */
  #alarmAt = Infinity;
  readonly #sql: Sql;
  readonly #presence: Presence;
  readonly #facts: WorkspaceFacts;
  #hints: Hint[] = [];
  /** Events by time, those of one instant in the order of their entry. */
  readonly #agenda: { readonly at: number; readonly run: () => void }[] = [];

  constructor(sql: Sql, settings: Partial<Settings>, presence: Presence) {
    this.#sql = sql;
    migrate(sql, startAt, migrations);
    const all: Settings = { ...defaultSettings, ...settings, ...admitting };
    meta.write(sql, "settings", JSON.stringify(all));
    this.#facts = meta.readFacts(sql);
    this.#presence = presence;
  }

  at(at: number, run: () => void): void {
    const after = this.#agenda.findLastIndex((one) => one.at <= at);
    this.#agenda.splice(after + 1, 0, { at, run });
  }

  /** When the next event or alarm is due; infinite: never. */
  get nextAt(): number {
    return Math.min(this.#agenda[0]?.at ?? Infinity, this.#alarmAt);
  }

  /** At one instant chats and tasks come before the alarm. */
  runNext(): void {
    const isAlarm = (this.#agenda[0]?.at ?? Infinity) > this.#alarmAt;
    this.now = Math.max(this.now, this.nextAt);
    if (isAlarm) this.#ring();
    else this.#agenda.shift()?.run();
  }

  call<Name extends EngineOperation>(
    name: Name,
    input: CheckedInputOf<Name>,
    after: (tx: Tx) => void = () => undefined,
  ): Result<OutputOf<Name>, Refusal> {
    this.operations += 1;
    let needsDispatch = false;
    const requestDispatch = (): void => void (needsDispatch = true);
    const result = this.#commit((tx) => {
      const answer = run({ ...tx, requestDispatch }, actor, name, input);
      if (answer.ok) after(tx);
      return answer;
    });
    const followUp = result.ok ? null : followUpOf(input, result.error);
    if (followUp) this.#commit((tx) => ok(followUp(tx)));
    if (result.ok && needsDispatch) this.#commit((tx) => ok(dispatch.assignAtOnce(tx)));
    this.#arm(0);
    return result;
  }

  /** A registration over a socket. */
  register(input: CheckedInputOf<"chats.register">): Result<OutputOf<"chats.register">, Refusal> {
    return this.call("chats.register", input, (tx) => liveness.markConnected(tx, input.chat));
  }

  /** The queue has delivered a token. */
  dispatch(): void {
    this.operations += 1;
    this.#commit((tx) => ok(dispatch.assignQueued(tx)));
    this.#arm(0);
  }

  #ring(): void {
    this.operations += 1;
    this.#alarmAt = Infinity;
    for (let times = 0; times < sweepsPerAlarm && this.#nextDue() <= this.now; times++) {
      const swept = this.#commit((tx) => ok(due.sweep(tx, (work) => this.#atomically(work), sweepRows)));
      if (swept.value.length > 0) throw new Error(swept.value.join("; "));
    }
    this.#arm(minAlarmGapMs);
  }

  takeHints(): Hint[] {
    const hints = this.#hints;
    this.#hints = [];
    return hints;
  }

  totals(name: Parameters<typeof totals.list>[1]): ReturnType<typeof totals.list> {
    return totals.list(this.#sql, name);
  }

  #nextDue(): number {
    return due.nextDue(this.#tx([])) ?? Infinity;
  }

  #arm(gapMs: number): void {
    this.#alarmAt = Math.min(this.#alarmAt, Math.max(this.#nextDue(), this.now + gapMs));
  }

  /** One transaction; rolled back with its hints when it is refused or throws. */
  #commit<R extends Result<unknown, unknown>>(work: (tx: Tx) => R): R {
    const hints: Hint[] = [];
    const result = this.#atomically(() => work(this.#tx(hints)));
    if (result.ok) this.#hints.push(...hints);
    return result;
  }

  #tx(hints: Hint[]): Tx {
    const tell = (hint: Hint): void => void hints.push(hint);
    return { sql: this.#sql, now: this.now, presence: this.#presence, ...this.#facts, tell };
  }

  #atomically<T>(work: () => T): T {
    const sql = this.#sql;
    sql.run("SAVEPOINT part");
    let isKept = false;
    try {
      const value = work();
      isKept = !isRefusal(value);
      return value;
    } finally {
      if (!isKept) sql.run("ROLLBACK TO part");
      sql.run("RELEASE part");
    }
  }
}

function isRefusal(value: unknown): boolean {
  return typeof value === "object" && value !== null && "ok" in value && value.ok === false;
}
