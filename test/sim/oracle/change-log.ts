import { numbersPerEpoch } from "#src/coordination/kernel/tx.ts";
import type { Change } from "#src/contract/state.ts";
import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import type { ChangeFact } from "../host/facts.ts";
import type { Commit, Reply } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import type { PutBack } from "./keep.ts";

/** Rows that the engine keeps at the most; older ones may be gone whatever their age. */
const mostKept = 100_000;

/** Every change in its order, and what each watch was told of it. */
export class ChangeLog {
  readonly #sim: Sim;
  readonly #keepMs: () => number;
  #log: ChangeFact[] = [];
  /** Everything up to here is gone. */
  #floor = 0;
  /** Over all histories. */
  #highest = 0;

  constructor(sim: Sim, keepMs: () => number) {
    this.#sim = sim;
    this.#keepMs = keepMs;
  }

  get newest(): number {
    return this.#log.at(-1)?.revision ?? 0;
  }

  newestBelow(prefix: string): number {
    return this.#log.findLast(({ key }) => key.startsWith(prefix))?.revision ?? 0;
  }

  committed({ request, result, facts }: Commit): void {
    for (const fact of facts) {
      if (fact.kind === "changed") this.#append(fact.change);
      if (fact.kind === "compacted") this.#compacted(fact.before);
    }
    if (request?.name === "state.changes") this.#told(request.input as CheckedInputOf<"state.changes">, result);
  }

  keep(): PutBack {
    const [log, floor] = [[...this.#log], this.#floor];
    return () => {
      this.#log = [...log];
      this.#floor = floor;
    };
  }

  /** Forgets what no watch can ask for any more. */
  trim(): void {
    if (this.#log.length > 3 * mostKept) this.#log = this.#log.slice(-2 * mostKept);
  }

  /** One follows the other, but for the first one of an epoch. */
  #append(change: ChangeFact): void {
    const { newest } = this;
    const isNext = change.revision === newest + 1;
    const isFirstOfEpoch = change.revision > newest && change.revision % numbersPerEpoch === 1;
    if (change.revision <= this.#highest) this.#sim.fail("watch", `revision ${change.revision} comes a second time`);
    this.#highest = change.revision;
    if (!isNext && !isFirstOfEpoch) this.#sim.fail("watch", `revision ${change.revision} follows ${newest}`);
    this.#log.push(change);
  }

  /** The place of the first one after a revision. */
  #after(revision: number): number {
    let [low, high] = [0, this.#log.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#log[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #told({ prefix, after, limit }: CheckedInputOf<"state.changes">, reply: Reply): void {
    if (!reply.ok) return this.#refused(after);
    const { changes, revision, isMore } = reply.value as OutputOf<"state.changes">;
    const sim: Sim = this.#sim;
    sim.count("watch told");
    const expected = this.#log
      .slice(this.#after(after), this.#after(revision))
      .filter(({ key }) => key.startsWith(prefix));
    const where = (): string => `a watch of "${prefix}" after ${after} up to ${revision}`;
    const [want, got] = [expected.length, changes.length];
    sim.must(want === got, "watch", () => `${where()} was told ${got} changes, there were ${want}`);
    const wrong = expected.find((change, place) => !isTold(change, changes[place]));
    sim.must(!wrong, "watch", () => `${where()} was told something else than ${JSON.stringify(wrong)}`);
    const groups = changes.map(({ group }) => group);
    this.#lookAtCut(revision, groups, limit);
    if (isMore !== revision < this.newest) sim.fail("watch", `${where()} was told isMore ${isMore} at ${this.newest}`);
  }

  /** Changes of one update are told together, and no more of them than were asked for but for one group. */
  #lookAtCut(revision: number, groups: readonly number[], limit: number): void {
    const place = this.#after(revision);
    const [last, next] = [this.#log[place - 1], this.#log[place]];
    if (last && next && last.grp === next.grp) this.#sim.fail("watch", `an update was cut at revision ${revision}`);
    if (groups.length > limit && groups.some((group) => group !== groups[0])) {
      this.#sim.fail("watch", `a watch was told ${groups.length} changes, asked for ${limit}`);
    }
  }

  /** Only what is old may go, and never a part of an update. */
  #compacted(before: number): void {
    const place = this.#after(before - 1);
    const [last, next] = [this.#log[place - 1], this.#log[place]];
    this.#floor = last?.revision ?? this.#floor;
    if (!last || !next) return;
    const surplus = this.#log.length - place;
    const isOld = last.at <= this.#sim.hostNow - this.#keepMs() || surplus >= mostKept;
    if (!isOld)
      this.#sim.fail("watch", `revision ${last.revision} is gone ${this.#sim.hostNow - last.at} ms after it was made`);
    if (last.grp === next.grp) this.#sim.fail("watch", `an update was cut by the compaction before ${before}`);
  }

  #refused(after: number): void {
    this.#sim.count("watch compacted");
    const isKnown =
      after === this.#floor || (after > this.#floor && this.#log[this.#after(after) - 1]?.revision === after);
    if (isKnown) this.#sim.fail("watch", `a watch from ${after} on was refused, kept is all after ${this.#floor}`);
  }
}

function isTold({ revision, key, op, value }: ChangeFact, told: Change | undefined): boolean {
  const isSame = told?.revision === revision && told.key === key && told.op === op;
  return isSame && JSON.stringify(told.value) === (value ?? "null");
}
