import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import type { Change } from "#src/contract/state.ts";
import { numbersPerEpoch } from "#src/coordination/kernel/tx.ts";
import type { ChangeFact } from "../host/facts.ts";
import type { Commit, Reply } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import type { PutBack } from "./keep.ts";

/** Rows that the engine keeps at most; older ones may go whatever their age. */
const mostKept = 100_000;

/** Every change in its order, and what the watches get of it. */
export class ChangeLog {
  readonly #sim: Sim;
  readonly #keepMs: () => number;
  #log: ChangeFact[] = [];
  /** The newest revision that was compacted. */
  #floor = 0;
  /** Over all histories. */
  #highest = 0;

  constructor(sim: Sim, keepMs: () => number) {
    this.#sim = sim;
    this.#keepMs = keepMs;
  }

  newestBelow(prefix: string): number {
    return this.#log.findLast(({ key }) => key.startsWith(prefix))?.revision ?? 0;
  }

  committed({ request, result, facts }: Commit): void {
    for (const fact of facts) {
      if (fact.kind === "changed") this.#append(fact.change);
      if (fact.kind === "compacted") this.#compacted(fact.before);
    }
    if (request?.name === "state.changes") this.#pulled(request.input as CheckedInputOf<"state.changes">, result);
  }

  keep(): PutBack {
    const [log, floor] = [[...this.#log], this.#floor];
    return () => {
      this.#log = [...log];
      this.#floor = floor;
    };
  }

  /** Drops what no watch can ask for any more. */
  trim(): void {
    if (this.#log.length > 3 * mostKept) this.#log = this.#log.slice(-2 * mostKept);
  }

  /** Revisions are consecutive, except for the first one of an epoch. */
  #append(change: ChangeFact): void {
    const { revision } = change;
    const newest = this.#newest;
    const isFirstOfEpoch = revision > newest && revision % numbersPerEpoch === 1;
    if (revision <= this.#highest) this.#sim.fail("watch", `revision ${revision} was given a second time`);
    this.#highest = revision;
    if (revision !== newest + 1 && !isFirstOfEpoch) this.#sim.fail("watch", `revision ${revision} follows ${newest}`);
    this.#log.push(change);
  }

  get #newest(): number {
    return this.#log.at(-1)?.revision ?? 0;
  }

  /** The index of the first change after a revision. */
  #after(revision: number): number {
    let [low, high] = [0, this.#log.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#log[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** A watch gets each change once, and whole updates. */
  #pulled({ prefix, after, limit }: CheckedInputOf<"state.changes">, reply: Reply): void {
    if (!reply.ok) return this.#refused(after);
    const { changes, revision, isMore } = reply.value as OutputOf<"state.changes">;
    const sim: Sim = this.#sim;
    sim.count("watch read");
    const [from, to] = [this.#after(after), this.#after(revision)];
    const expected = this.#log.slice(from, to).filter(({ key }) => key.startsWith(prefix));
    const where = (): string => `a watch of "${prefix}" after ${after} up to ${revision}`;
    const [want, got] = [expected.length, changes.length];
    sim.must(want === got, "watch", () => `${where()} got ${got} changes of ${want}`);
    const wrong = expected.find((change, index) => !isSame(change, changes[index]));
    sim.must(!wrong, "watch", () => `${where()} got something else than ${JSON.stringify(wrong)}`);
    if (this.#isCutAt(to)) sim.fail("watch", `an update was cut at revision ${revision}`);
    if (changes.length > limit && changes.some(({ group }) => group !== changes[0]?.group))
      sim.fail("watch", `${where()} got ${changes.length} changes, with a limit of ${limit}`);
    if (isMore !== revision < this.#newest) sim.fail("watch", `${where()} got isMore ${isMore} at ${this.#newest}`);
  }

  #isCutAt(index: number): boolean {
    const [last, next] = [this.#log[index - 1], this.#log[index]];
    return last !== undefined && last.grp === next?.grp;
  }

  /** Only old changes may go, and never a part of an update. */
  #compacted(before: number): void {
    const index = this.#after(before - 1);
    const last = this.#log[index - 1];
    if (!last) return;
    this.#floor = last.revision;
    if (index === this.#log.length) return;
    const ageMs = this.#sim.hostNow - last.at;
    const isOld = ageMs >= this.#keepMs() || this.#log.length - index >= mostKept;
    if (!isOld) this.#sim.fail("watch", `revision ${last.revision} is gone after ${ageMs} ms`);
    if (this.#isCutAt(index)) this.#sim.fail("watch", `an update was cut by the compaction before ${before}`);
  }

  #refused(after: number): void {
    this.#sim.count("watch compacted");
    const isKnown =
      after === this.#floor || (after > this.#floor && this.#log[this.#after(after) - 1]?.revision === after);
    if (isKnown) this.#sim.fail("watch", `a watch after ${after} was refused, though all after ${this.#floor} is kept`);
  }
}

function isSame({ revision, key, op, value }: ChangeFact, got: Change | undefined): boolean {
  const isChange = got?.revision === revision && got.key === key && got.op === op;
  return isChange && JSON.stringify(got.value) === (value ?? "null");
}
