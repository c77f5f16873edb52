import * as fc from "fast-check";
import { expect } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import type { Json } from "#src/contract/json.ts";
import { admin, type RuleHost, type OpenHost, type RowHost } from "#harness/coordinator/engine-host.ts";
import { ask, happened, hour, listed, type Changes } from "#harness/coordinator/state-calls.ts";
import type { RuleTest, RowTest } from "./rule-test.ts";
import { step } from "./steps.ts";

/** Versioned keys and their changes against a model, behind any host. */
export function stateModelRules(it: RuleTest): void {
  it("writes do what a model says; readers see each change once", ({ open, runs }) =>
    randomWrites(open, () => Promise.resolve(), runs(60)));
}

/** The same with a look at the rows. */
export function stateModelRowRules(it: RowTest): void {
  it("the running totals equal the recounted rows after any writes", ({ open, runs }) =>
    randomWrites(open, recount, runs(30)));
}

/** The totals against the rows. */
export async function recount(host: RowHost): Promise<void> {
  const rows = await host.rows<{ value: string; chars: number }>("SELECT value, chars FROM state");
  for (const { value, chars } of rows) expect(chars).toBe(value.length);
  const [totals = { keys: 0, chars: 0 }] = await host.rows<{ keys: number; chars: number }>(
    "SELECT totalKeys AS keys, totalChars AS chars FROM changes ORDER BY revision DESC LIMIT 1",
  );
  expect(totals).toEqual({ keys: rows.length, chars: rows.reduce((sum, { chars }) => sum + chars, 0) });
}

const keys = ["a", "a/b", "a/b/c", "ab", "A", "session/s", "😀", "😀b"];

const write = fc.record({
  op: fc.constantFrom("set" as const, "set" as const, "delete" as const, "check" as const),
  key: fc.constantFrom(...keys),
  condition: fc.constantFrom("none" as const, "none" as const, "right" as const, "absent" as const, "old" as const),
  ttlMs: fc.constantFrom(undefined, undefined, 1_000, 3_000),
  value: fc.constantFrom<Json>(1, null, "😀\u0001\n", { é: ["x".repeat(50), false] }, "y".repeat(300)),
});
type Write = typeof write extends fc.Arbitrary<infer T> ? T : never;

const anyStep = fc.oneof(
  step(8, "write", { writes: fc.array(write, { minLength: 1, maxLength: 5 }) }),
  step(2, "wait", { ms: fc.constantFrom(1, 500, 1_000, 2_500) }),
  step(2, "ring"),
  step(4, "read", { reader: fc.nat(4), limit: fc.integer({ min: 1, max: 6 }) }),
);
type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never;

/** A low one, so that some updates are refused for it. */
const maxStateChars = 1_500;

async function randomWrites<Host extends RuleHost>(
  open: OpenHost<Host>,
  check: (host: Host) => Promise<void>,
  runs: { readonly numRuns: number },
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 40 }), async (steps) => {
      const host = await open();
      await ask(host, "settings.set", { settings: { maxStateChars } });
      const model = new Model(host);
      const readers = ["", "a", "a/b/", "😀", "none"].map((prefix) => new Reader(host, prefix));
      for (const one of steps) {
        await take(one, model, readers);
        await check(host);
      }
      await model.compare();
      for (const reader of readers) {
        for (let isMore = true; isMore;) isMore = await reader.read(3);
        expect(reader.seen).toEqual(model.log.filter(({ key }) => key.startsWith(reader.prefix)));
      }
    }),
    runs,
  );
}

async function take(one: Step, model: Model, readers: readonly Reader[]): Promise<void> {
  switch (one.kind) {
    case "write":
      return model.write(one.writes);
    case "wait":
      return model.host.wait(one.ms);
    case "ring":
      return model.ring();
    case "read":
      await readers[one.reader]?.read(one.limit);
  }
}

type Writes = InputOf<"state.update">["writes"];

interface Held {
  readonly value: Json;
  readonly version: number;
  readonly until: number;
}

function sizeOf(held: ReadonlyMap<string, Held>): number {
  return [...held.values()].reduce((sum, { value }) => sum + JSON.stringify(value).length, 0);
}

/** What the coordinator has to hold and to tell, by the rules alone. */
class Model {
  readonly host: RuleHost;
  readonly log: Changes = [];
  /** With those that have expired and that no sweep has seen. */
  readonly #held = new Map<string, Held>();

  constructor(host: RuleHost) {
    this.host = host;
  }

  async write(drawn: readonly Write[]): Promise<void> {
    if (this.host.sweepsFirst) this.#expire();
    const writes = drawn.map((one) => this.#condition(one));
    const expected = this.#expected(writes);
    expect(await this.#answered(writes)).toEqual(expected);
    if (Array.isArray(expected)) this.#apply(writes);
  }

  /** The code of the refusal, or the versions. A single write goes by its own operation. */
  async #answered(writes: Writes): Promise<string | number[]> {
    const [first] = writes;
    if (writes.length > 1 || !first || first.op === "check") {
      const updated = await this.host.call("state.update", { writes }, admin);
      return updated.ok ? updated.value.versions.map(({ version }) => version) : updated.error.code;
    }
    if (first.op === "set") {
      const { op: _, ...input } = first;
      const written = await this.host.call("state.set", input, admin);
      return written.ok ? [written.value.version] : written.error.code;
    }
    const { op: _, ...input } = first;
    const deleted = await this.host.call("state.delete", input, admin);
    if (deleted.ok) expect(deleted.value.isDeleted).toBe(deleted.value.version > 0);
    return deleted.ok ? [deleted.value.version] : deleted.error.code;
  }

  #condition({ op, key, condition, ttlMs, value }: Write): Writes[number] {
    const version = this.#alive(key)?.version ?? 0;
    const ifVersion = { none: undefined, right: version, absent: 0, old: Math.max(0, version - 1) }[condition];
    const conditioned = ifVersion === undefined ? {} : { ifVersion };
    if (op === "check") return { op, key, ifVersion: ifVersion ?? version };
    if (op === "delete") return { op, key, ...conditioned };
    return { op, key, value, ...conditioned, ...(ttlMs === undefined ? {} : { ttlMs }) };
  }

  #alive(key: string): Held | null {
    const held = this.#held.get(key);
    return held && held.until > this.host.now() ? held : null;
  }

  /** The code of the refusal, or the versions. */
  #expected(writes: Writes): string | number[] {
    if (new Set(writes.map(({ key }) => key)).size < writes.length) return "bad_input";
    const fails = writes.some(
      ({ key, ifVersion }) => ifVersion !== undefined && ifVersion !== (this.#alive(key)?.version ?? 0),
    );
    if (fails) return "version_mismatch";
    if (!this.#hasRoom(writes, [...this.#held])) {
      if (
        !this.#hasRoom(
          writes,
          [...this.#held].filter(([key]) => this.#alive(key)),
        )
      )
        return "quota_exceeded";
      this.#expire();
    }
    let revision = this.log.length;
    return writes.map((one) => {
      if (one.op === "check") return one.ifVersion;
      return one.op === "set" || this.#alive(one.key) ? (revision += 1) : 0;
    });
  }

  #hasRoom(writes: Writes, held: readonly (readonly [string, Held])[]): boolean {
    const after = new Map(held);
    for (const one of writes) {
      if (one.op === "set") after.set(one.key, { value: one.value, version: 0, until: 0 });
      if (one.op === "delete" && this.#alive(one.key)) after.delete(one.key);
    }
    return sizeOf(after) <= Math.max(maxStateChars, sizeOf(new Map(held)));
  }

  /** What has run out goes, in the order of its time. */
  #expire(): void {
    const over = [...this.#held].filter(([key]) => !this.#alive(key));
    for (const [key] of over.toSorted(([a, one], [b, other]) => one.until - other.until || (a < b ? -1 : 1))) {
      const revision = this.log.length + 1;
      this.#held.delete(key);
      this.log.push({ revision, group: revision, key, op: "expire", value: null, by: null });
    }
  }

  #apply(writes: Writes): void {
    const group = this.log.length + 1;
    for (const one of writes) {
      const revision = this.log.length + 1;
      const told = { revision, group, key: one.key, by: null };
      if (one.op === "set") {
        const ttlMs = one.ttlMs ?? (one.key.startsWith("session/") ? hour : Number.POSITIVE_INFINITY);
        this.#held.set(one.key, { value: one.value, version: revision, until: this.host.now() + ttlMs });
        this.log.push({ ...told, op: "set", value: one.value });
      } else if (one.op === "delete" && this.#alive(one.key)) {
        this.#held.delete(one.key);
        this.log.push({ ...told, op: "delete", value: null });
      }
    }
  }

  async ring(): Promise<void> {
    const before = this.log.length;
    this.#expire();
    await this.host.ring();
    expect(await happened(this.host, "", before)).toEqual(this.log.slice(before));
  }

  async compare(): Promise<void> {
    await this.ring();
    expect(await happened(this.host, "", 0, 2)).toEqual(this.log);
    const { entries } = await listed(this.host);
    const expected = [...this.#held].map(([key, { value, version }]) => ({ key, value, version }));
    expect(new Set(entries.map(({ key, value, version }) => ({ key, value, version })))).toEqual(new Set(expected));
    expect(entries).toHaveLength(expected.length);
  }
}

/** Reads on from where it stopped. */
class Reader {
  readonly prefix: string;
  readonly seen: Changes = [];
  readonly #host: RuleHost;
  #at = 0;

  constructor(host: RuleHost, prefix: string) {
    this.#host = host;
    this.prefix = prefix;
  }

  /** One page. No group goes on behind it, and it is larger than asked for only for one group. @returns whether there is more */
  async read(limit: number): Promise<boolean> {
    const page = await ask(this.#host, "state.changes", { prefix: this.prefix, after: this.#at, limit });
    const groups = new Set(page.changes.map(({ group }) => group));
    expect(page.changes.length <= limit || groups.size === 1).toBe(true);
    expect(this.seen.some(({ group }) => groups.has(group))).toBe(false);
    if (page.isMore) expect(page.revision).toBeGreaterThan(this.#at);
    this.seen.push(...page.changes);
    this.#at = page.revision;
    return page.isMore;
  }
}
