import type { Refusal } from "#src/contract/errors.ts";
import type { CheckedInputOf } from "#src/contract/operations.ts";
import type { Settings } from "#src/contract/workspaces.ts";
import * as audit from "#src/coordination/kernel/audit.ts";
import * as dispatch from "#src/coordination/scheduling/dispatch.ts";
import * as due from "#src/coordination/due.ts";
import { type EngineOperation, followUpOf, run } from "#src/coordination/engine.ts";
import * as liveness from "#src/coordination/chats/liveness.ts";
import { migrations } from "#src/coordination/schema.ts";
import type { Actor, Hint, Tx } from "#src/coordination/kernel/tx.ts";
import { migrate } from "#src/shared/migrate.ts";
import { LoadShedder } from "#src/durable/load-shedding.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import { type Sim, T0 } from "../sim.ts";
import type { Weather } from "../weather.ts";
import { Alarm } from "./alarm.ts";
import { type Connection, Connections, goneIn, type IsGone, lookerAt } from "./connections.ts";
import { DispatchQueue } from "./dispatch-queue.ts";
import type { Fact } from "./facts.ts";
import { type Group, groupsOf } from "./frame-lists.ts";
import type { HostBugs } from "../bug.ts";
import { RecordingSql } from "./recording-sql.ts";
import { SimTransactions } from "./sim-transactions.ts";

/** Something that a client asks for. */
export interface Request<Name extends EngineOperation = EngineOperation> {
  readonly name: Name;
  readonly input: CheckedInputOf<Name>;
  readonly actor: Actor;
  /** A registration over a socket binds it. */
  readonly connection?: Connection;
}

export type Reply = Result<unknown, Refusal>;

/** What was committed; or refused, and then nothing was. */
export interface Commit {
  /** Null: the host's own work. */
  readonly request: Request | null;
  readonly result: Reply;
  readonly facts: readonly Fact[];
}

/** Rows that one look at lost connections takes on. */
const mostLost = 1_000;

/** The engine behind a host that dies, forgets its messages, and has one alarm that may be late, double or lost. */
export class SimHost {
  readonly sql: RecordingSql;
  readonly alarm: Alarm;
  readonly connections: Connections;
  readonly queue: DispatchQueue;
  /** Judged at this moment. */
  readonly isGone: IsGone;
  weather: Weather;
  onHint: (hint: Hint) => void = () => undefined;
  /** The host knows that the socket of a chat is gone: closed, or lost in a deploy. */
  onLost: (chat: string, isDeploy: boolean) => void = () => undefined;
  readonly #sim: Sim;
  readonly #bugs: HostBugs;
  readonly #transactions: SimTransactions;
  readonly #load = new LoadShedder();
  #requests = 0;
  #needsDispatch = false;
  /** Just started, by a deploy or a crash: connections may be missing. */
  #isFresh = false;
  /** It died, and may have left its sockets open. */
  #isAsleep = false;
  /** Chats whose sockets went with it. */
  readonly #lost = new Set<string>();

  constructor(sim: Sim, bugs: HostBugs, weather: Weather) {
    this.#sim = sim;
    this.#bugs = bugs;
    this.weather = weather;
    this.sql = new RecordingSql(bugs.patchFor());
    migrate(this.sql, T0, migrations);
    this.connections = new Connections(sim, bugs);
    this.#transactions = new SimTransactions(sim, bugs, this.sql, this.connections);
    this.sql.watch();
    this.isGone = goneIn(sim, this.sql, this.connections, () => this.settings().chatTtlMs);
    this.sql.look = lookerAt(sim, this.sql, this.isGone);
    this.queue = new DispatchQueue(sim, bugs, this);
    this.alarm = new Alarm(sim, bugs, this);
  }

  set onCommit(onCommit: (commit: Commit) => void) {
    this.#transactions.onCommit = onCommit;
  }

  settings(): Settings {
    return this.#transactions.facts().settings;
  }

  /** @returns null: no reply leaves the host */
  handle(request: Request): Reply | null {
    if (request.connection && !request.connection.isOpen) return null;
    this.#start();
    const refused = this.#refuse(request);
    return refused ? err(refused) : this.#serve(request);
  }

  #serve(request: Request): Reply | null {
    const { rng } = this.#sim;
    const diesBefore = rng.chance(this.weather.crash);
    const diesAfter = rng.chance(this.weather.eviction);
    const told: Hint[] = [];
    const reply = this.#transactions.run(request, (tx) => this.#answer(tx, request), told, diesBefore);
    if (diesBefore) return this.#die("host died before the commit");
    if (reply.ok && request.name === "chats.register") this.#bind(request, reply.value as never);
    if (!reply.ok) this.#keep(request, reply.error);
    this.#dispatchAtOnce(told);
    this.alarm.arm();
    if (diesAfter) return this.#die("host died after the commit");
    for (const hint of told) this.#tell(hint);
    return reply;
  }

  /** [DO52] [DO53] Requests wait only as chance has it: what the host does takes no time here. */
  #refuse({ name, actor }: Request): Refusal | null {
    const { rng } = this.#sim;
    const { overload } = this.weather;
    if (actor.isAdmin || overload === 0 || !rng.chance(overload)) return null;
    this.#load.beginEvent(rng.pick([1_500, 5_000]));
    const refused = this.#load.refuse(name);
    if (refused) this.#sim.count(`refused for the load: ${name}`);
    return refused;
  }

  /**
   * Requests of a frame: together where they may run so.
   * @returns null: no reply leaves the host
   */
  handleFrame(requests: readonly Request[]): readonly Reply[] | null {
    const replies: Reply[] = [];
    for (const group of groupsOf(requests)) {
      for (let left: readonly Request[] = group; left[0];) {
        const together = this.#handleTogether([left[0], ...left.slice(1)]) ?? [this.handle(left[0])];
        for (const reply of together) {
          if (!reply) return null;
          replies.push(reply);
        }
        left = left.slice(together.length);
      }
    }
    return replies;
  }

  /** @returns null: it does not apply; of a host that died one null */
  #handleTogether(group: Group): readonly (Reply | null)[] | null {
    if (group.length === 1) return null;
    this.#start();
    const { rng } = this.#sim;
    const diesBefore = rng.chance(this.weather.crash);
    const diesAfter = rng.chance(this.weather.eviction);
    const told: Hint[] = [];
    const commits = this.#transactions.runTogether(group, this.#requestDispatch(), told, diesBefore);
    if (!commits) return null;
    if (diesBefore) return [this.#die("host died before the commit")];
    for (const commit of commits) this.#transactions.onCommit(commit);
    this.#dispatchAtOnce(told);
    this.alarm.arm();
    if (diesAfter) return [this.#die("host died after the commit")];
    for (const hint of told) this.#tell(hint);
    return commits.map(({ result }) => result);
  }

  /** [QU12] Every other request leaves it to the queue, as one does whose dispatch failed. */
  #requestDispatch(): (() => void) | null {
    this.#needsDispatch = false;
    this.#requests += 1;
    if (!this.#bugs.dispatchesAtOnce || this.#requests % 2 === 1) return null;
    return () => void (this.#needsDispatch = true);
  }

  #dispatchAtOnce(told: Hint[]): void {
    if (!this.#needsDispatch) return;
    this.#sim.count("dispatch at once");
    this.#transactions.run(null, (tx) => ok(dispatch.assignAtOnce(tx)), told, false);
  }

  /** What is due is done. @returns what went wrong */
  sweep(): string[] {
    this.#start();
    const told: Hint[] = [];
    const work = (tx: Tx): Result<string[], Refusal> =>
      ok(due.sweep(tx, (part) => this.#transactions.atomically(part), this.weather.sweepLimit));
    const reply = this.#transactions.run(null, work, told, false);
    if (this.#sim.rng.chance(this.weather.eviction)) this.#die("host died after the commit");
    else for (const hint of told) this.#tell(hint);
    return reply.ok ? reply.value : [];
  }

  /** A token has come. @returns whether the queue may forget it */
  dispatch(): boolean {
    this.#start();
    const { rng } = this.#sim;
    const diesBefore = rng.chance(this.weather.crash);
    const diesAfter = rng.chance(this.weather.eviction);
    const told: Hint[] = [];
    this.#transactions.run(null, (tx) => ok(dispatch.assignQueued(tx)), told, diesBefore);
    this.alarm.arm();
    if (diesBefore || diesAfter) {
      this.#die(diesBefore ? "host died before the commit" : "host died after the commit");
      return false;
    }
    for (const hint of told) this.#tell(hint);
    return true;
  }

  lostToken(): void {
    this.#start();
    this.#sim.count("token given up");
    const detail = { count: 1 };
    this.#transactions.run(
      null,
      (tx) => ok(audit.append(tx, { kind: "queue.lost", subject: "sim", detail })),
      [],
      false,
    );
    this.alarm.arm();
  }

  nextDue(): number | null {
    return due.nextDue(this.#transactions.tx(() => undefined));
  }

  /** A socket was closed, and the host has seen it. */
  closed(connection: Connection): void {
    if (!this.connections.close(connection)) return;
    this.#start();
    const { chat, lastSeen } = connection;
    this.onLost(chat, false);
    this.#transactions.run(null, (tx) => ok(liveness.markDisconnected(tx, chat, lastSeen)), [], false);
    this.alarm.arm();
  }

  /** All sockets are gone, and nobody saw them close. */
  deploy(): void {
    this.#sim.count("deploy");
    for (const { chat } of this.connections.open()) this.#lost.add(chat);
    this.connections.loseAll();
    this.queue.forget();
    this.#isFresh = true;
  }

  /** Somebody puts an older state in the place of the present one. */
  restore(image: Buffer): void {
    this.deploy();
    this.#lost.clear();
    this.sql.restore(image);
    this.alarm.lose();
  }

  /** Sometimes it hibernates only, sometimes it takes its sockets with it. */
  #die(label: string): null {
    this.#sim.count(label);
    this.#isAsleep = true;
    if (this.#sim.rng.chance(0.3)) this.deploy();
    return null;
  }

  /** What a constructor does. */
  #start(): void {
    if (this.#isFresh) {
      this.#isFresh = false;
      for (const chat of this.#lost) this.onLost(chat, true);
      this.#lost.clear();
      this.#transactions.run(null, (tx) => ok(liveness.markLostConnections(tx, mostLost)), [], false);
      this.alarm.arm();
    }
    // [DO14] After a start watches are compared again.
    if (this.#isAsleep) this.onHint({ kind: "changes" });
    this.#isAsleep = false;
    this.alarm.watch();
  }

  #answer(tx: Tx, { name, input, actor, connection }: Request): Reply {
    const requestDispatch = this.#requestDispatch();
    const reply: Reply = run({ ...tx, requestDispatch }, actor, name, this.#mangled(input) as never);
    if (reply.ok && name === "chats.register") {
      const { chat, incarnation } = reply.value as { chat: string; incarnation: number };
      if (connection || this.connections.has(chat, incarnation)) liveness.markConnected(tx, chat);
    }
    return reply;
  }

  /** [TA5] What is kept of a refusal. */
  #keep({ input }: Request, refusal: Refusal): void {
    const note = followUpOf(input, refusal);
    if (note) this.#transactions.run(null, (tx) => ok(note(tx)), [], false);
  }

  #mangled(input: object): object {
    const { losesConditions, losesGuards, takesAnyClaim } = this.#bugs;
    if (takesAnyClaim && "claim" in input) return { ...input, claim: this.#claimOf(input) };
    if (losesConditions && "ifVersion" in input) return { ...input, ifVersion: undefined };
    if (losesGuards && "guard" in input) return { ...input, guard: undefined };
    return input;
  }

  #claimOf(input: object): number {
    const { task } = input as { task: number };
    return this.sql.peek<{ claim: number }>("SELECT claim FROM tasks WHERE task = ?", task)[0]?.claim ?? 0;
  }

  #bind({ connection }: Request, { chat, incarnation }: { chat: string; incarnation: number }): void {
    this.connections.bind(chat, incarnation, connection ?? null);
  }

  #tell(hint: Hint): void {
    if (hint.kind === "offline" && this.#isOffline(hint.chat)) this.connections.end(hint.chat, "chat.offline");
    if (hint.kind === "dispatch") this.queue.send();
    this.onHint(hint);
  }

  /** It may be back by now: gone and come again in one transaction. */
  #isOffline(chat: string): boolean {
    return this.sql.peek<{ status: string }>("SELECT status FROM chats WHERE chat = ?", chat)[0]?.status === "offline";
  }
}
