import * as fc from "fast-check";
import { expect } from "vitest";
import type { Json } from "#src/contract/json.ts";
import { type RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, Correspondent, happened, hour, listed, minute, set } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";
import { step } from "./steps.ts";

/** Rules of the record of changes, which watches read, that hold behind any host. */
export function stateChangeRules(it: RuleTest): void {
  it("a reader whose prefix fits nothing moves on, and gets what comes later", async ({ host }) => {
    for (let round = 0; round < 42; round++) {
      const writes = Array.from({ length: 100 }, (_, at) => ({ op: "set" as const, key: `other/${at}`, value: round }));
      await ask(host, "state.update", { writes });
    }
    await set(host, "mine", "at last", { by: "c1" });
    const empty = await ask(host, "state.changes", { prefix: "mine", after: 0 });
    expect(empty).toMatchObject({ changes: [], isMore: true });
    expect(empty.revision).toBeGreaterThan(0);
    expect(await happened(host, "mine")).toEqual([
      { revision: 4_201, group: 4_201, key: "mine", op: "set", value: "at last", by: "c1" },
    ]);
  });

  it("at the newest revision nothing more is told, and asking again tells nothing twice", async ({ host }) => {
    expect(await ask(host, "state.changes", { after: 0 })).toEqual({ changes: [], revision: 0, isMore: false });
    const version = await set(host, "a", 1);
    const nothing = { changes: [], revision: version, isMore: false };
    expect(await ask(host, "state.changes", { after: version })).toEqual(nothing);
    await set(host, "b", 1);
    const next = await ask(host, "state.changes", { after: version });
    expect(next.changes.map(({ key }) => key)).toEqual(["b"]);
    expect(await ask(host, "state.changes", { after: version })).toEqual(next);
  });

  it("chats and leaders are told in the same order, under keys that begin with $", async ({ host }) => {
    await set(host, "before", 1);
    const chat = await Correspondent.join(host, "c1");
    await ask(host, "elections.campaign", { self: chat.self, name: "boss", requestId: "r" });
    await set(host, "after", 1);
    await chat.leave();
    const keys = (await happened(host)).map(({ key }) => key);
    expect(keys).toEqual(["before", "$chat/c1", "$leader/boss", "after", "$leader/boss", "$chat/c1"]);
    expect(await happened(host, "$leader/")).toMatchObject([{ op: "set", value: { leader: "c1" } }, { op: "delete" }]);
    expect((await listed(host)).entries.map(({ key }) => key)).toEqual(["after", "before"]);
  });

  it("an update is told in one answer, also where it is larger than the answer may be", async ({ host }) => {
    await set(host, "first", 1);
    const writes = Array.from({ length: 100 }, (_, at) => ({ op: "set" as const, key: `many/${at}`, value: at }));
    await ask(host, "state.update", { writes });
    await set(host, "last", 1);
    const pages: number[] = [];
    for (let [after, isMore] = [0, true]; isMore;) {
      const page = await ask(host, "state.changes", { after, limit: 10 });
      pages.push(page.changes.length);
      ({ revision: after, isMore } = page);
    }
    expect(pages).toEqual([1, 100, 1]);
    const some = await ask(host, "state.changes", { after: 1, prefix: "many/9", limit: 1 });
    expect(some.changes).toHaveLength(11);
  });

  it("an update stays whole also where one answer has looked at thousands of changes", async ({ host }) => {
    for (let round = 0; round < 50; round++) {
      const writes = Array.from({ length: 97 }, (_, at) => ({ op: "set" as const, key: `k${at}`, value: round }));
      await ask(host, "state.update", { writes });
    }
    const sizes = new Set<number>();
    let pages = 0;
    for (let [after, isMore] = [0, true]; isMore; pages++) {
      // k9 stands in the middle of its update, k90 to k96 at the end.
      const page = await ask(host, "state.changes", { after, prefix: "k9", limit: 500 });
      const groups = Object.groupBy(page.changes, ({ group }) => group);
      for (const told of Object.values(groups)) sizes.add(told?.length ?? 0);
      ({ revision: after, isMore } = page);
    }
    expect(pages).toBeGreaterThan(1);
    expect([...sizes]).toEqual([8]);
  });

  it("an answer has at most a million characters of values, or one update", async ({ host }) => {
    const value = "x".repeat(120_000);
    for (let at = 10; at < 40; at++) await set(host, `k${at}`, value);
    // More than an answer, and less than a request, may have.
    const part = "x".repeat(115_000);
    const writes = Array.from({ length: 9 }, (_, at) => ({ op: "set" as const, key: `k${at + 10}`, value: part }));
    await ask(host, "state.update", { writes });
    const pages: number[] = [];
    for (let [after, isMore] = [0, true]; isMore;) {
      const page = await ask(host, "state.changes", { after, limit: 500 });
      pages.push(page.changes.length);
      ({ revision: after, isMore } = page);
    }
    expect(pages).toEqual([8, 8, 8, 6, 9]);
    const first = await ask(host, "state.list", { limit: 500 });
    expect(first.entries).toHaveLength(8);
    expect((await listed(host)).entries.map(({ key }) => key)).toEqual(
      Array.from({ length: 30 }, (_, at) => `k${at + 10}`),
    );
  });

  it("a watch that lists, reads on and lists again when compacted has all keys", async ({ open, runs }) => {
    const word = fc.oneof(
      step(6, "write", {
        key: fc.constantFrom("a", "b", "c", "d"),
        ttlMs: fc.constantFrom(undefined, 1_000, 2 * hour),
      }),
      step(2, "delete", { key: fc.constantFrom("a", "b", "c", "d") }),
      step(2, "wait", { ms: fc.constantFrom(1_000, 10 * minute, 2 * hour) }),
      step(3, "look", { limit: fc.integer({ min: 1, max: 4 }) }),
    );
    const write = { kind: "write", key: "a", ttlMs: undefined } as const;
    const look = { kind: "look", limit: 1 } as const;
    const compacted = [write, look, write, write, { kind: "wait", ms: 2 * hour } as const, look];
    let compactions = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 40 }), async (words) => {
        const host = await open();
        await ask(host, "settings.set", { settings: { keepChangesMs: minute } });
        const watch = new Watch(host);
        let count = 0;
        for (const one of words) {
          if (one.kind === "write") {
            await set(host, one.key, (count += 1), one.ttlMs === undefined ? {} : { ttlMs: one.ttlMs });
          }
          if (one.kind === "delete") await ask(host, "state.delete", { key: one.key });
          if (one.kind === "wait") {
            host.wait(one.ms);
            await host.ring();
          }
          if (one.kind === "look") await watch.look(one.limit);
        }
        while (await watch.look(2));
        const { entries } = await listed(host);
        expect(new Map(watch.held)).toEqual(new Map(entries.map(({ key, value }) => [key, value])));
        compactions += watch.compactions;
      }),
      { ...runs(80), examples: [[compacted]] },
    );
    // Else the property has not seen what it is about.
    expect(compactions).toBeGreaterThan(0);
  });
}

/** A client that keeps a copy of all keys. */
class Watch {
  readonly held = new Map<string, Json>();
  compactions = 0;
  readonly #host: RuleHost;
  #at = 0;

  constructor(host: RuleHost) {
    this.#host = host;
  }

  /** @returns whether there is more */
  async look(limit: number): Promise<boolean> {
    const page = await this.#host.call("state.changes", { after: this.#at, limit });
    if (!page.ok) {
      expect(page.error.code).toBe("compacted");
      this.compactions += 1;
      const { entries, revision } = await listed(this.#host, "", 1);
      this.held.clear();
      for (const { key, value } of entries) this.held.set(key, value);
      this.#at = revision;
      return true;
    }
    for (const { key, op, value } of page.value.changes) {
      if (op === "set") this.held.set(key, value);
      else this.held.delete(key);
    }
    this.#at = page.value.revision;
    return page.value.isMore;
  }
}
