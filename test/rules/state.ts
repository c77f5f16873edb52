import { expect } from "vitest";
import {
  ask,
  Correspondent,
  get,
  given,
  happened,
  hour,
  later,
  listed,
  refusal,
  revision,
  rowsWritten,
  set,
} from "#harness/coordinator/state-calls.ts";
import type { RowTest, RuleTest } from "./rule-test.ts";
import { maxValueChars } from "#src/contract/state.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";

/** Rules of versioned keys that hold behind any host. */
export function stateRules(it: RuleTest): void {
  it("of two writers of one version one succeeds; the other gets the present version", async ({ host }) => {
    const seen = await set(host, "plan", "first");
    const won = await set(host, "plan", "second", { ifVersion: seen });
    const { code, details } = await refusal(host, "state.set", { key: "plan", value: "third", ifVersion: seen });
    expect(code).toBe("version_mismatch");
    expect(details).toEqual({ key: "plan", version: won });
    expect(await get(host, "plan")).toMatchObject({ value: "second", version: won });
  });

  it("a loop of read and conditional write counts every increment of two writers", async ({ host }) => {
    await set(host, "count", 0);
    let repeats = 0;
    const increment = async (): Promise<void> => {
      for (;;) {
        const entry = await get(host, "count");
        const next = { key: "count", value: Number(entry?.value) + 1, ifVersion: entry?.version ?? 0 };
        const written = await host.call("state.set", next);
        if (written.ok) return;
        repeats += 1;
      }
    };
    await Promise.all(Array.from({ length: 20 }, increment));
    expect((await get(host, "count"))?.value).toBe(20);
    expect(repeats).toBeGreaterThan(0);
  });

  it("ifVersion 0 means that the key is not there: never set, deleted, or expired", async ({ host }) => {
    await set(host, "never", 1, { ifVersion: 0 });
    expect((await refusal(host, "state.set", { key: "never", value: 2, ifVersion: 0 })).code).toBe("version_mismatch");
    await ask(host, "state.delete", { key: "never" });
    await set(host, "never", 3, { ifVersion: 0, ttlMs: 1_000 });
    host.wait(1_000);
    await set(host, "never", 4, { ifVersion: 0 });
    expect((await get(host, "never"))?.value).toBe(4);
  });

  it("a deletion obeys its condition", async ({ host }) => {
    const version = await set(host, "a", 1);
    const wrong = await refusal(host, "state.delete", { key: "a", ifVersion: version + 1 });
    expect(wrong.code).toBe("version_mismatch");
    expect((await refusal(host, "state.delete", { key: "a", ifVersion: 0 })).code).toBe("version_mismatch");
    expect(await ask(host, "state.delete", { key: "a", ifVersion: version })).toMatchObject({ isDeleted: true });
    expect((await refusal(host, "state.delete", { key: "a", ifVersion: version })).details).toMatchObject({
      version: 0,
    });
  });

  it("deleting what is not there, or is over, is no error and changes nothing", async ({ host }) => {
    await set(host, "short", 1, { ttlMs: 1_000 });
    host.wait(1_000);
    const before = await revision(host);
    for (const key of ["short", "never"]) {
      expect(await ask(host, "state.delete", { key })).toEqual({ isDeleted: false, version: 0 });
    }
    expect(await ask(host, "state.update", { writes: [{ op: "delete", key: "short" }] })).toEqual({
      versions: [{ key: "short", version: 0 }],
    });
    expect(await revision(host)).toBe(before);
    await host.ring();
    expect((await happened(host)).map(({ op }) => op)).toEqual(["set", "expire"]);
  });

  it("after a restore a raised epoch puts every version above all that were lost", async ({ host }) => {
    const before = await set(host, "a", 1);
    await ask(host, "epoch.raise", { reason: "restored" });
    const after = await set(host, "a", 2);
    // Whatever the lost hours have issued: a change for each millisecond of a day.
    expect(after).toBeGreaterThan(before + 86_400_000);
    await ask(host, "epoch.raise", { reason: "restored again" });
    expect(await set(host, "a", 3)).toBeGreaterThan(after + 86_400_000);
    expect((await happened(host)).map(({ value }) => value)).toEqual([1, 2, 3]);
  });

  it("at its last instant a key is not there, before any sweep has seen it", async ({ host }) => {
    await set(host, "short", 1, { ttlMs: 5_000 });
    host.wait(4_999);
    expect(await get(host, "short")).toMatchObject({ ttlMs: 1, ageMs: 4_999 });
    host.wait(1);
    expect(await get(host, "short")).toBeNull();
    expect((await listed(host)).entries).toEqual([]);
    expect(await happened(host)).toHaveLength(1);
  });

  it("many keys that end at once are all told", async ({ host }) => {
    const keys = Array.from({ length: 250 }, (_, at) => `short/${String(at).padStart(3, "0")}`);
    for (let at = 0; at < keys.length; at += 50) {
      const writes = keys
        .slice(at, at + 50)
        .map((key) => ({ op: "set" as const, key, value: 1, ttlMs: 1_000 + (at % 100) }));
      await ask(host, "state.update", { writes });
    }
    const before = await revision(host);
    host.wait(2_000);
    await host.ring();
    const told = await happened(host, "short/", before);
    expect(told.map(({ key }) => key).toSorted()).toEqual(keys);
    expect(told.every(({ op }) => op === "expire")).toBe(true);
  });

  it("keys below session/ live an hour, others for ever; a ttl that is given counts", async ({ host }) => {
    await set(host, "session/a", 1);
    await set(host, "session/b", 1, { ttlMs: 2 * hour });
    await set(host, "sessions", 1);
    expect((await get(host, "session/a"))?.ttlMs).toBe(hour);
    expect((await get(host, "session/b"))?.ttlMs).toBe(2 * hour);
    expect((await get(host, "sessions"))?.ttlMs).toBeNull();
    host.wait(hour);
    expect((await listed(host)).entries.map(({ key }) => key)).toEqual(["session/b", "sessions"]);
  });

  it("each write sets the time anew, and one without a ttl takes it away", async ({ host }) => {
    await set(host, "a", 1, { ttlMs: 5_000 });
    host.wait(4_000);
    await set(host, "a", 2, { ttlMs: 5_000 });
    host.wait(4_000);
    await set(host, "a", 3);
    host.wait(10 * hour);
    await host.ring();
    expect(await get(host, "a")).toMatchObject({ value: 3, ttlMs: null });
  });
}

/** Rules of updates of several keys, and of writes under guards, that hold behind any host. */
export function stateUpdateRules(it: RuleTest): void {
  it("several keys are written under all conditions at once, and a check writes nothing", async ({ host }) => {
    const seen = await set(host, "a", 1);
    const { versions } = await ask(host, "state.update", {
      writes: [
        { op: "check", key: "a", ifVersion: seen },
        { op: "check", key: "none", ifVersion: 0 },
        { op: "set", key: "b", value: 2, ifVersion: 0 },
      ],
    });
    const told = Object.fromEntries(versions.map(({ key, version }) => [key, version]));
    expect(told).toEqual({ a: seen, none: 0, b: seen + 1 });
    expect(await revision(host)).toBe(seen + 1);
  });

  it("no key appears twice in one update", async ({ host }) => {
    const twice = [
      { op: "set", key: "a", value: 1 },
      { op: "delete", key: "a" },
    ] as const;
    const { code, message } = await refusal(host, "state.update", { writes: [...twice] });
    expect(code).toBe("bad_input");
    expect(message).toContain("a appears twice");
    expect(await revision(host)).toBe(0);
  });

  it("a guarded write with an old token fails and writes nothing", async ({ host, c1: first, c2: second }) => {
    const old = await leased(host, first, "deploy");
    await set(host, "deployed", "by first", { guard: { resource: "deploy", token: old } });
    host.wait(5_000);
    const late = { key: "deployed", value: "late", guard: { resource: "deploy", token: old } };
    expect((await refusal(host, "state.set", late)).code).toBe("stale_token");
    const token = await leased(host, second, "deploy");
    const stale = await refusal(host, "state.set", late);
    expect(stale).toMatchObject({ code: "stale_token", details: { resource: "deploy" } });
    expect((await refusal(host, "state.delete", { key: "deployed", guard: late.guard })).code).toBe("stale_token");
    expect(await get(host, "deployed")).toMatchObject({ value: "by first" });
    await set(host, "deployed", "by second", { guard: { resource: "deploy", token } });
    expect(await happened(host, "deployed")).toHaveLength(2);
  });

  it("an update with one stale guard among valid ones writes nothing", async ({ host, c1: chat }) => {
    const [one, other] = [await leased(host, chat, "one"), await leased(host, chat, "other", hour)];
    const guards = [
      { resource: "other", token: other },
      { resource: "one", token: one },
    ];
    const writes = [{ op: "set" as const, key: "a", value: 1 }];
    await ask(host, "state.update", { writes, guards });
    await later(host, 5_000, chat);
    expect((await refusal(host, "state.update", { writes, guards })).code).toBe("stale_token");
    expect((await refusal(host, "state.update", { writes, guards: [{ resource: "none", token: 0 }] })).code).toBe(
      "stale_token",
    );
    expect(await happened(host, "a")).toHaveLength(1);
  });

  it("a pattern's token guards what it covers; a leader's is its term", async ({ host, c1: chat }) => {
    const token = await leased(host, chat, "file:p/src/**");
    await set(host, "a", 1, { guard: { resource: "file:p/src/deep/x.ts", token } });
    const beside = { key: "a", value: 2, guard: { resource: "file:p/test/x.ts", token } };
    expect((await refusal(host, "state.set", beside)).code).toBe("stale_token");
    const won = await ask(host, "elections.campaign", { self: chat.self, name: "boss", requestId: "r" });
    const term = won.leader?.term ?? 0;
    await set(host, "a", 3, { guard: { resource: "leader:boss", token: term } });
    await ask(host, "elections.resign", { self: chat.self, name: "boss", term });
    const resigned = { key: "a", value: 4, guard: { resource: "leader:boss", token: term } };
    expect((await refusal(host, "state.set", resigned)).code).toBe("stale_token");
  });
}

async function leased(host: RuleHost, chat: Correspondent, resource: string, ttlMs = 5_000): Promise<number> {
  const input = { self: chat.self, resource, requestId: `r${host.now()}`, ttlMs };
  const acquired = await ask(host, "leases.acquire", input);
  if (acquired.state !== "granted") throw new Error("the lease is held");
  return acquired.lease.token;
}

/** Rules of versioned keys that can only be seen in rows. */
export function stateUpdateRowRules(it: RowTest): void {
  it("what is refused has not touched a row", async ({ host }) => {
    await set(host, "a", 1);
    await ask(host, "settings.set", { settings: { maxKeys: 2 } });
    const writes = ["b", "c", "d"].map((key) => ({ op: "set" as const, key, value: 1 }));
    const inputs = [
      {
        writes: [
          { op: "set" as const, key: "a", value: 2 },
          { op: "check" as const, key: "b", ifVersion: 1 },
        ],
      },
      { writes, guards: [{ resource: "x", token: 1 }] },
      { writes },
      { writes: [...writes, { op: "set" as const, key: "e", value: "x".repeat(maxValueChars) }] },
    ];
    for (const input of inputs) {
      expect(await rowsWritten(host, () => refusal(host, "state.update", { ...input, requestId: "r" }))).toBe(0);
    }
  });

  it("a write costs the row of the key and the row of its change, and reading costs none", async ({ host }) => {
    expect(await rowsWritten(host, () => set(host, "a", 1))).toBe(2);
    expect(await rowsWritten(host, () => set(host, "a", 2))).toBe(2);
    expect(await rowsWritten(host, () => listed(host))).toBe(0);
    expect(await rowsWritten(host, () => happened(host))).toBe(0);
    expect(await rowsWritten(host, () => get(host, "a"))).toBe(0);
    expect(await rowsWritten(host, async () => given(await host.call("state.delete", { key: "a" })))).toBe(2);
  });
}
