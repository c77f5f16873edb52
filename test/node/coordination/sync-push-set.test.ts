import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { expect, it, vi } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import type * as pushSet from "#src/coordination/sync/sync-push-set.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { admin } from "#harness/coordinator/engine-host.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

/** Two engines with one clock: pushes as sets on one of them, op by op on the other. */

const numRuns = Number(process.env["SHIM_SET_RUNS"] ?? 100);
const state = vi.hoisted(() => ({ isSet: true, sets: 0, others: 0 }));

vi.mock("#src/coordination/sync/sync-push-set.ts", async (load) => {
  const actual = await load<typeof pushSet>();
  const storeSet: typeof pushSet.storeSet = (...args) => {
    if (!state.isSet) return false;
    const isStored = actual.storeSet(...args);
    state[isStored ? "sets" : "others"] += 1;
    return isStored;
  };
  return { storeSet };
});

const { constant, constantFrom, nat, oneof, record } = fc;
const rarely = <T>(usual: fc.Arbitrary<T>, rare: fc.Arbitrary<T>, weight = 30): fc.Arbitrary<T> =>
  oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: rare });

const draft = record({
  kind: rarely(
    constantFrom("session" as const, ...Array<"checkpoint">(4).fill("checkpoint")),
    constant("forget" as const),
    60,
  ),
  session: nat(7),
  /** Undefined: one that was never there, or all of the session. */
  checkpoint: rarely(constant(undefined), nat(20), 4),
  chars: nat(40),
  /** Undefined: as the others of its push. */
  ageMs: rarely(constant(undefined), constantFrom(0, 29_000, 31_000, 10 ** 15), 20),
  isEnded: rarely(constant(false), constant(true), 4),
  project: constantFrom(null, "p1", "p2"),
});
type Draft = typeof draft extends fc.Arbitrary<infer T> ? T : never;

const step = oneof(
  {
    weight: 12,
    arbitrary: record({
      act: constant("push" as const),
      life: nat(2),
      ageMs: constantFrom(0, 0, 20_000, 60_000),
      drafts: fc.array(draft, { minLength: 1, maxLength: 9 }),
    }),
  },
  { weight: 2, arbitrary: record({ act: constant("again" as const) }) },
  { weight: 2, arbitrary: record({ act: constant("begin" as const), device: nat(1) }) },
  { weight: 2, arbitrary: record({ act: constant("files" as const), life: nat(3), session: nat(7) }) },
  { weight: 2, arbitrary: record({ act: constant("take" as const), session: nat(7) }) },
  {
    weight: 2,
    arbitrary: record({
      act: constant("wait" as const),
      ms: constantFrom(10, 40_000, 3_600_000),
      rings: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: record({
      act: constant("limit" as const),
      maxSyncCheckpoints: constantFrom(1, 3, 20),
      maxSyncChars: constantFrom(1_000_000, 1_000_000, 1_200_000),
    }),
  },
  { weight: 1, arbitrary: record({ act: constant("fill" as const), chars: constantFrom(999_700, 999_900) }) },
  { weight: 1, arbitrary: record({ act: constant("purge" as const), device: nat(1) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Push = InputOf<"sync.push">;

interface Life {
  readonly device: string;
  readonly epoch: number;
  mark: number;
}

class Pair {
  readonly sets = new LocalHost(openBetterSqlite3);
  readonly singles = new LocalHost(openBetterSqlite3);
  #lives: Life[] = [];
  #last: Push | null = null;
  #made = 0;

  async both<T>(work: (host: LocalHost) => Promise<T>): Promise<T> {
    state.isSet = true;
    const one = await work(this.sets);
    state.isSet = false;
    const other = await work(this.singles);
    expect(one).toEqual(other);
    return one;
  }

  async take(one: Step): Promise<void> {
    if (one.act === "push") return this.#push(this.#life(one.life), one);
    if (one.act === "begin") return this.begin(one.device);
    const work = this.#workOf(one);
    if (work) await this.both(work);
  }

  #workOf(one: Exclude<Step, { act: "push" | "begin" }>): ((host: LocalHost) => Promise<unknown>) | null {
    switch (one.act) {
      case "again": {
        const last = this.#last;
        return last && ((host) => host.call("sync.push", last));
      }
      case "files": {
        const { device, epoch } = this.#life(one.life);
        const part = {
          bundle: `b${(this.#made += 1)}`,
          checkpoint: "c1",
          part: 0,
          parts: 1,
          ageMs: 0,
          envelope: "AAAA",
        };
        return (host) => host.call("sync.put-files", { device, epoch, session: `s${one.session}`, ...part });
      }
      case "take":
        return (host) =>
          host.run(
            "UPDATE sync_sessions SET takenChat = 'c', takenMachine = 'm', takenAt = 7 WHERE session = ?",
            `s${one.session}`,
          );
      case "wait":
        return async (host) => {
          host.wait(one.ms);
          return one.rings ? host.ring() : null;
        };
      case "limit": {
        const { maxSyncCheckpoints, maxSyncChars } = one;
        return (host) => host.call("settings.set", { settings: { maxSyncCheckpoints, maxSyncChars } }, admin);
      }
      case "fill":
        return (host) => host.run("UPDATE sync_totals SET chars = max(chars, ?)", one.chars);
      case "purge":
        return (host) => host.call("sync.purge", { device: `d${one.device}` });
    }
  }

  async begin(n: number): Promise<void> {
    const device = `d${n}`;
    const requestId = `r${(this.#made += 1)}`;
    const begun = await this.both((host) => host.call("sync.begin", { device, keyId: "0123456789abcdef", requestId }));
    if (begun.ok) this.#lives.unshift({ device, epoch: begun.value.epoch, mark: 0 });
  }

  #life(n: number): Life {
    return this.#lives[n % this.#lives.length] ?? { device: "d0", epoch: 1, mark: 0 };
  }

  async #push(life: Life, { drafts, ageMs }: Extract<Step, { act: "push" }>): Promise<void> {
    const ops = drafts.map((draft, at) => this.#op({ ...draft, ageMs: draft.ageMs ?? ageMs }, life.mark + at + 1));
    const push: Push = { device: life.device, epoch: life.epoch, ops };
    this.#last = push;
    const answer = await this.both((host) => host.call("sync.push", push));
    if (answer.ok) life.mark = answer.value.mark;
  }

  #op({ kind, session, checkpoint, chars, ageMs = 0, isEnded, project }: Draft, seq: number): Push["ops"][number] {
    const id = checkpoint === undefined ? `n${(this.#made += 1)}` : `c${checkpoint}`;
    const op = {
      seq,
      kind,
      session: `s${session}`,
      project,
      isEnded,
      ageMs,
      ...(kind === "checkpoint" || (kind === "forget" && checkpoint !== undefined) ? { checkpoint: id } : {}),
      ...(kind === "forget" ? {} : { envelope: "A".repeat(chars + 1) }),
    };
    return {
      ...op,
      hash: createHash("sha256")
        .update(JSON.stringify([op, this.#made]))
        .digest("hex"),
    };
  }

  async compare(): Promise<void> {
    for (const table of ["totals", "devices", "sessions", "checkpoints", "forgotten", "files"])
      await this.both((host) => host.rows(`SELECT * FROM sync_${table}`));
    expect(this.sets.hints).toEqual(this.singles.hints);
  }

  close(): void {
    this.sets.sql.close();
    this.singles.sql.close();
  }
}

it(
  "[SY7] [SY10] [SY13] [SY15] a push that is stored as a set leaves the answers and rows of its ops one by one @night",
  { timeout: numRuns * 3_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 30 }), async (steps) => {
        const pair = new Pair();
        try {
          await pair.begin(0);
          for (const one of steps) {
            await pair.take(one);
            await pair.compare();
          }
        } finally {
          pair.close();
        }
      }),
      { numRuns },
    );
    expect(state.sets).toBeGreaterThan(numRuns);
    expect(state.others).toBeGreaterThan(numRuns);
  },
);
