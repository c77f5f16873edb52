import * as audit from "#src/coordination/kernel/audit.ts";
import * as dispatch from "#src/coordination/scheduling/dispatch.ts";
import * as due from "#src/coordination/due.ts";
import * as liveness from "#src/coordination/chats/liveness.ts";
import * as meta from "#src/coordination/kernel/meta.ts";
import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import type { Settings } from "#src/contract/workspaces.ts";
import { type EngineOperation, EngineHost } from "#src/coordination/engine.ts";
import * as restore from "#src/coordination/workspace/restore.ts";
import { migrations } from "#src/coordination/schema.ts";
import type { Actor, Hint, Tx, WorkspaceFacts } from "#src/coordination/kernel/tx.ts";
import { migrate } from "#src/shared/migrate.ts";
import { ok, type Result } from "#src/shared/result.ts";
import { type Sim, T0 } from "../sim.ts";
import { stormy, type Weather } from "../faults.ts";
import { type Fact, RecordingSql } from "./recording-sql.ts";
import { type Connection, Connections, goneIn, type IsGone } from "./wire.ts";

export interface Request<Name extends EngineOperation = EngineOperation> {
  readonly name: Name;
  readonly input: CheckedInputOf<Name>;
  readonly actor: Actor;
  readonly connection?: Connection;
  /** Called where it succeeds and is stored, whatever becomes of the answer. */
  readonly onKept?: () => void;
}

export type Reply = Result<unknown>;

export type Commit = Readonly<{ request: Request | null; result: Reply; facts: readonly Fact[] }>;

export type Readers = {
  readonly [Name in EngineOperation]?: (input: CheckedInputOf<Name>, value: OutputOf<Name>) => void;
};

export function readAccepted(readers: Readers, { request, result }: Commit): void {
  const read = request && (readers[request.name] as ((input: unknown, value: unknown) => void) | undefined);
  if (result.ok) read?.(request?.input, result.value);
}

/** When the host dies in an event: before the commit nothing is stored, after it nothing leaves the host. */
type Death = "before" | "after" | null;

/** The shipped EngineHost in a host that dies and loses its messages. One event is one commit, as in the runtime. */
export class SimHost {
  readonly sql: RecordingSql;
  readonly alarm: Alarm;
  readonly connections: Connections;
  readonly queue: DispatchQueue;
  readonly isGone: IsGone;
  weather: Weather = stormy;
  onHint: (hint: Hint) => void = () => undefined;
  onEndedBoxes: () => void = () => undefined;
  onCommit: (commit: Commit) => void = () => undefined;
  readonly #sim: Sim;
  readonly #engine: EngineHost;
  /** Read again after each write of `meta`. */
  #known: WorkspaceFacts | null = null;
  #dispatches = 0;
  /** Just started, by a deploy or a crash: connections may be missing. */
  #isFresh = false;
  /** It died, and may have left its sockets open. */
  #isAsleep = false;

  constructor(sim: Sim) {
    this.#sim = sim;
    this.sql = new RecordingSql();
    migrate(this.sql, T0, migrations);
    this.connections = new Connections(sim);
    this.#engine = new EngineHost({
      store: { sql: this.sql, transaction: (work) => this.sql.transaction(work) },
      presence: this.connections,
      now: () => sim.hostNow,
      facts: () => this.#facts(),
      onRollBack: () => void (this.#known = null),
    });
    this.sql.watch();
    this.isGone = goneIn(sim, this.sql, this.connections, () => this.settings().chatTtlMs);
    this.sql.contextOf = (holder, incarnation) => ({
      isHolderGone: this.isGone(holder, incarnation),
      living: this.sql
        .peek<{ seq: number; chat: string; incarnation: number }>(
          "SELECT seq, chat, incarnation FROM waiters JOIN chats USING (chat) WHERE until > ?",
          sim.hostNow,
        )
        .filter((waiter) => !this.isGone(waiter.chat, waiter.incarnation))
        .map(({ seq }) => seq),
    });
    this.queue = new DispatchQueue(sim, this);
    this.alarm = new Alarm(sim, this);
  }

  settings(): Settings {
    return this.#facts().settings;
  }

  #facts(): WorkspaceFacts {
    if (this.sql.isMetaWritten) {
      this.sql.isMetaWritten = false;
      this.#known = null;
    }
    return (this.#known ??= meta.readFacts(this.sql));
  }

  handle(request: Request): Reply | null {
    if (request.connection && !request.connection.isOpen) return null;
    this.#start();
    this.#sim.doing = request;
    return this.#event(this.#draw(), (isKept) => {
      const commits = this.#call(request);
      const [{ result }] = commits;
      if (!isKept) return result;
      for (const commit of commits) this.onCommit(commit);
      if (result.ok) request.onKept?.();
      if (result.ok && request.name === "chats.register") {
        const { chat, incarnation } = result.value as OutputOf<"chats.register">;
        this.connections.bind(chat, incarnation, request.connection ?? null);
      }
      return result;
    });
  }

  /** @returns the commit of the request, and that of what a refusal leaves */
  #call(request: Request): [Commit, ...Commit[]] {
    const { name, input, actor } = request;
    const result: Reply = this.#engine.call(actor, name, input, (tx, done) => {
      if (!done.ok || name !== "chats.register") return;
      const { chat, incarnation } = done.value as OutputOf<"chats.register">;
      if (request.connection || this.connections.has(chat, incarnation)) liveness.markConnected(tx, chat);
    });
    const facts = this.sql.takeFacts();
    if (result.ok) return [{ request, result, facts }];
    const refused: Commit = { request, result, facts: [] };
    return facts.length === 0 ? [refused] : [refused, { request: null, result: ok(null), facts }];
  }

  sweep(): string[] {
    this.#start();
    const death = this.#sim.rng.chance(this.weather.eviction) ? "after" : null;
    let problems: string[] = [];
    this.#event(death, () => void (problems = this.#engine.sweep(this.weather.sweepLimit)), false);
    return problems;
  }

  dispatch(): boolean {
    this.#start();
    return this.#event(this.#draw(), () => this.#run(dispatch.assignQueued)) !== null;
  }

  lostToken(): void {
    this.#start();
    this.#sim.count("token given up");
    const detail = { count: 1 };
    this.#event(null, () => this.#run((tx) => audit.append(tx, { kind: "queue.lost", subject: "sim", detail })));
  }

  /** Work of the object itself. @param onKept called where it is stored. @returns null: the host died */
  run<T>(work: (tx: Tx) => Result<T>, onKept: (result: Result<T>) => void): Result<T> | null {
    this.#start();
    return this.#event(this.#draw(), (isKept) => {
      const result = this.#engine.run(work);
      if (isKept) onKept(result);
      return result;
    });
  }

  nextDue(): number | null {
    return due.nextDue(this.#engine.tx());
  }

  closed(connection: Connection): void {
    connection.isOpen = false;
    this.left(connection);
  }

  left(connection: Connection): void {
    if (!this.connections.unbind(connection)) return;
    this.#start();
    const { chat, lastSeen } = connection;
    this.#event(null, () => this.#run((tx) => liveness.markDisconnected(tx, chat, lastSeen)));
  }

  deploy(): void {
    this.#sim.count("deploy");
    this.connections.loseAll();
    this.queue.forget();
    this.#isFresh = true;
  }

  /** Puts the storage back, and begins as the object does: with who may open it as that is now. */
  restore(image: Buffer, mark: restore.RestoreMark): void {
    const kept = restore.keep(this.sql);
    this.deploy();
    this.sql.restore(image);
    this.alarm.lose();
    this.#event(null, () => {
      this.#run((tx) => restore.settle(tx, mark, kept));
      const { epoch } = meta.readFacts(this.sql);
      const { quietMs, reason } = mark;
      const request = {
        name: "epoch.raise",
        input: { reason, quietMs },
        actor: { machine: mark.by, isAdmin: true },
      } as const;
      this.onCommit({ request, result: ok({ epoch }), facts: this.sql.takeFacts() });
    });
  }

  /** The host hibernates, or takes its sockets with it. */
  #die(label: string): null {
    this.#sim.count(label);
    this.#isAsleep = true;
    if (this.#sim.rng.chance(0.3)) this.deploy();
    return null;
  }

  /** The constructor of the object, which runs before the first request. */
  #start(): void {
    if (this.#isFresh) {
      this.#isFresh = false;
      this.#event(null, () => this.#run((tx) => liveness.markLostConnections(tx)));
    }
    // A host that has slept compares all watches.
    if (this.#isAsleep) this.onHint({ kind: "changes" });
    this.#isAsleep = false;
    this.alarm.watch();
  }

  #draw(): Death {
    const { rng } = this.#sim;
    if (rng.chance(this.weather.crash)) return "before";
    return rng.chance(this.weather.eviction) ? "after" : null;
  }

  #run(work: (tx: Tx) => unknown): boolean {
    return this.#engine.run((tx) => ok(work(tx))).ok;
  }

  /** @param work gets whether it will be stored. @returns null: the host died */
  #event<T>(death: Death, work: (isKept: boolean) => T, arms = true): T | null {
    const { sql } = this;
    const isKept = death !== "before";
    sql.takeFacts();
    this.#engine.beginEvent();
    sql.control("BEGIN");
    let isDone = false;
    let result: T;
    try {
      result = work(isKept);
      this.#report(isKept);
      this.#dispatchAtOnce();
      this.#report(isKept);
      isDone = true;
    } finally {
      if (!isDone) sql.control("ROLLBACK");
    }
    sql.control(isKept ? "COMMIT" : "ROLLBACK");
    if (!isKept) this.#known = null;
    const hints = this.#engine.takeHints();
    if (isKept && arms) this.alarm.arm();
    if (death) return this.#die(`host died ${death} the commit`);
    for (const hint of hints) this.#follow(hint);
    return result;
  }

  #report(isKept: boolean): void {
    const facts = this.sql.takeFacts();
    if (isKept && facts.length > 0) this.onCommit({ request: null, result: ok(null), facts });
  }

  /** Every other dispatch fails, so that the queue must do it. */
  #dispatchAtOnce(): void {
    this.#engine.dispatch(
      (tx) => {
        this.#dispatches += 1;
        if (this.#dispatches % 2 === 1) throw new Error("a planned failure");
        this.#sim.count("dispatch at once");
        dispatch.assignAtOnce(tx);
      },
      () => undefined,
    );
  }

  #follow(hint: Hint): void {
    // A chat may go and come back in one transaction.
    const isGone = hint.kind === "offline" && this.statusOf(hint.chat) === "offline";
    if (isGone) this.connections.end(hint.chat, "chat.offline");
    if (hint.kind === "dispatch") this.queue.send();
    if (hint.kind === "boxes") this.onEndedBoxes();
    this.onHint(hint);
  }

  statusOf(chat: string): string | undefined {
    return this.sql.peek<{ status: string }>("SELECT status FROM chats WHERE chat = ?", chat)[0]?.status;
  }
}

/** Rings at one instant that change only when the next check is due; each may check a few chats only. */
const mostIdleRings = 50;

/**
 * The one alarm of the host. A write sets it earlier, only a ring sets it later. It may ring late, twice or never;
 * then the watchdog finds at the next request that something is due and no alarm is set.
 */
export class Alarm {
  at: number | null = null;
  readonly #sim: Sim;
  readonly #host: SimHost;
  #turn = 0;
  #isRinging = false;
  #writesSeen = 0;
  #idleRings = 0;

  constructor(sim: Sim, host: SimHost) {
    this.#sim = sim;
    this.#host = host;
  }

  arm(): void {
    if (this.#writesSeen === this.#host.sql.writes) return;
    this.#writesSeen = this.#host.sql.writes;
    const next = this.#host.nextDue();
    if (next !== null && (this.at === null || next < this.at)) this.#set(next);
  }

  /** The watchdog, which runs with each request. */
  watch(): void {
    if (this.at !== null || this.#isRinging) return;
    const next = this.#host.nextDue();
    if (next === null) return;
    if (next <= this.#sim.hostNow) this.#sim.count("watchdog found what was due");
    this.#set(next);
  }

  lose(): void {
    this.at = null;
    this.#turn += 1;
  }

  /** Sets the alarm again in the present weather: a late one is then on time. */
  reset(): void {
    if (this.at !== null) this.#set(this.at);
  }

  /** Nothing may be overdue: the alarm is set, and its time has not come. */
  get isOnTime(): boolean {
    return this.at !== null && this.at > this.#sim.hostNow;
  }

  #set(at: number): void {
    const { rng } = this.#sim;
    const { alarmLost, alarmLate, alarmTwice } = this.#host.weather;
    const waitMs = at - this.#sim.hostNow;
    const turn = (this.#turn += 1);
    this.at = at;
    if (rng.chance(alarmLost)) {
      this.#sim.later(waitMs, "alarm lost", () => (turn === this.#turn ? void (this.at = null) : false));
      return;
    }
    const lateMs = rng.chance(alarmLate) ? rng.between(1, rng.chance(0.2) ? 60_000 : 1_500) : 0;
    const label = lateMs > 0 ? "alarm late" : "alarm";
    this.#sim.later(waitMs + lateMs, label, () => (turn === this.#turn ? this.#ring() : false));
    if (rng.chance(alarmTwice))
      this.#sim.later(waitMs + lateMs + rng.between(0, 3_000), "alarm again", () => this.#ring());
  }

  #ring(): void {
    const before = this.#host.sql.progress;
    this.lose();
    this.#isRinging = true;
    const problems = this.#host.sweep();
    this.#isRinging = false;
    if (problems.length > 0) this.#sim.fail("due", `a sweep failed: ${problems.join("; ")}`);
    this.#writesSeen = this.#host.sql.writes;
    const next = this.#host.nextDue();
    const isIdle = next !== null && next <= this.#sim.hostNow && before === this.#host.sql.progress;
    this.#idleRings = isIdle ? this.#idleRings + 1 : 0;
    if (this.#idleRings >= mostIdleRings) this.#sim.fail("due", "the alarm rings again and again, and nothing changes");
    if (next !== null) this.#set(next);
  }
}

/** A token whose dispatch failed comes again, a few times. */
const failedMs = 2_000;
const mostTries = 4;

/** The queue between the outbox and the dispatch. It doubles, reorders, delays and drops tokens, and a restart empties it. */
export class DispatchQueue {
  readonly #sim: Sim;
  readonly #host: SimHost;
  #restarts = 0;

  constructor(sim: Sim, host: SimHost) {
    this.#sim = sim;
    this.#host = host;
  }

  send(): void {
    const { rng } = this.#sim;
    const { queueLoss, queueTwice } = this.#host.weather;
    if (rng.chance(queueLoss)) return this.#sim.count("token lost");
    this.#deliver(this.#delay(), "token");
    if (rng.chance(queueTwice)) this.#deliver(this.#delay(), "token again");
  }

  forget(): void {
    this.#restarts += 1;
    this.#sim.count("queue forgot");
  }

  #delay(): number {
    const { rng } = this.#sim;
    if (rng.chance(this.#host.weather.queueSlow)) return rng.between(500, rng.chance(0.2) ? 400_000 : 20_000);
    return rng.between(2, 60);
  }

  #deliver(inMs: number, label: string, tries = 1): void {
    const restarts = this.#restarts;
    this.#sim.later(inMs, label, () => {
      if (restarts !== this.#restarts) return false;
      if (this.#host.dispatch()) return true;
      if (tries < mostTries) return this.#deliver(failedMs, "token after a failure", tries + 1);
      return this.#host.lostToken();
    });
  }
}
