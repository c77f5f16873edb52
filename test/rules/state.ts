import { expect } from "vitest";
import { ask, get, happened, hour, listed, refusal, revision, set } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

/** Rules of versioned keys that hold behind any host. */
export function stateRules(it: RuleTest): void {
  conditionRules(it);
  versionRules(it);
  expiryRules(it);
}

function conditionRules(it: RuleTest): void {
  it("[SV1] of two writers of one version one succeeds; the other gets the present version", async ({ host }) => {
    const seen = await set(host, "plan", "first");
    const won = await set(host, "plan", "second", { ifVersion: seen });
    const { code, details } = await refusal(host, "state.set", { key: "plan", value: "third", ifVersion: seen });
    expect(code).toBe("version_mismatch");
    expect(details).toEqual({ key: "plan", version: won });
    expect(await get(host, "plan")).toMatchObject({ value: "second", version: won });
  });

  it("[SV1] a loop of read and conditional write counts every increment of two writers", async ({ host }) => {
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

  it("[SV1] ifVersion 0 means that the key is not there: never set, deleted, or expired", async ({ host }) => {
    await set(host, "never", 1, { ifVersion: 0 });
    expect((await refusal(host, "state.set", { key: "never", value: 2, ifVersion: 0 })).code).toBe("version_mismatch");
    await ask(host, "state.delete", { key: "never" });
    await set(host, "never", 3, { ifVersion: 0, ttlMs: 1_000 });
    host.wait(1_000);
    await set(host, "never", 4, { ifVersion: 0 });
    expect((await get(host, "never"))?.value).toBe(4);
  });

  it("[SV1] a deletion obeys its condition", async ({ host }) => {
    const version = await set(host, "a", 1);
    const wrong = await refusal(host, "state.delete", { key: "a", ifVersion: version + 1 });
    expect(wrong.code).toBe("version_mismatch");
    expect((await refusal(host, "state.delete", { key: "a", ifVersion: 0 })).code).toBe("version_mismatch");
    expect(await ask(host, "state.delete", { key: "a", ifVersion: version })).toMatchObject({ isDeleted: true });
    expect((await refusal(host, "state.delete", { key: "a", ifVersion: version })).details).toMatchObject({
      version: 0,
    });
  });

  it("[SV15] deleting what is not there, or is over, is no error and changes nothing", async ({ host }) => {
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
}

function versionRules(it: RuleTest): void {
  it("[SV9] a version never comes twice, also after a deletion or an expiry", async ({ host }) => {
    const versions: number[] = [];
    for (let round = 0; round < 3; round++) {
      versions.push(await set(host, "a", round));
      versions.push((await ask(host, "state.delete", { key: "a" })).version);
      versions.push(await set(host, "a", round, { ttlMs: 1_000 }));
      host.wait(1_000);
      await host.ring();
    }
    expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
    expect((await refusal(host, "state.set", { key: "a", value: 9, ifVersion: versions[0] })).code).toBe(
      "version_mismatch",
    );
  });

  it("[SV9] a version is the revision of the change that made it", async ({ host }) => {
    const version = await set(host, "a", 1);
    const { versions } = await ask(host, "state.update", {
      writes: [
        { op: "set", key: "b", value: 2 },
        { op: "delete", key: "a" },
      ],
    });
    const changes = await happened(host);
    expect(changes.map((change) => ({ key: change.key, version: change.revision }))).toEqual([
      { key: "a", version },
      ...versions,
    ]);
    expect((await get(host, "b"))?.version).toBe(versions[0]?.version);
  });

  it("[SV9] after a restore a raised epoch puts every version above all that were lost", async ({ host }) => {
    const before = await set(host, "a", 1);
    await ask(host, "epoch.raise", { reason: "restored" });
    const after = await set(host, "a", 2);
    // Whatever the lost hours have issued: a change for each millisecond of a day.
    expect(after).toBeGreaterThan(before + 86_400_000);
    await ask(host, "epoch.raise", { reason: "restored again" });
    expect(await set(host, "a", 3)).toBeGreaterThan(after + 86_400_000);
    expect((await happened(host)).map(({ value }) => value)).toEqual([1, 2, 3]);
  });
}

function expiryRules(it: RuleTest): void {
  it("[SV6] at its last instant a key is not there, before any sweep has seen it", async ({ host }) => {
    await set(host, "short", 1, { ttlMs: 5_000 });
    host.wait(4_999);
    expect(await get(host, "short")).toMatchObject({ ttlMs: 1, ageMs: 4_999 });
    host.wait(1);
    expect(await get(host, "short")).toBeNull();
    expect((await listed(host)).entries).toEqual([]);
    expect(await happened(host)).toHaveLength(1);
  });

  it("[SV6] the sweep tells the end of a key as a change", async ({ host }) => {
    const version = await set(host, "short", 1, { ttlMs: 5_000, by: "c1" });
    expect(await host.ring()).toBe(host.now() + 5_000);
    host.wait(5_000);
    await host.ring();
    const [expiry] = await happened(host, "", version);
    expect(expiry).toMatchObject({ key: "short", op: "expire", value: null, by: null });
  });

  it("[SV6] keys that have ended are told in the order of their ends", async ({ host }) => {
    for (const [key, ttlMs] of [
      ["b", 3_000],
      ["c", 1_000],
      ["a", 2_000],
    ] as const)
      await set(host, key, 1, { ttlMs });
    host.wait(5_000);
    await host.ring();
    expect((await happened(host, "", 3)).map(({ key }) => key)).toEqual(["c", "a", "b"]);
  });

  it("[SV6] many keys that end at once are all told", async ({ host }) => {
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

  it("[SV10] keys below session/ live an hour, others for ever; a ttl that is given counts", async ({ host }) => {
    await set(host, "session/a", 1);
    await set(host, "session/b", 1, { ttlMs: 2 * hour });
    await set(host, "sessions", 1);
    expect((await get(host, "session/a"))?.ttlMs).toBe(hour);
    expect((await get(host, "session/b"))?.ttlMs).toBe(2 * hour);
    expect((await get(host, "sessions"))?.ttlMs).toBeNull();
    host.wait(hour);
    expect((await listed(host)).entries.map(({ key }) => key)).toEqual(["session/b", "sessions"]);
  });

  it("[SV10] each write sets the time anew, and one without a ttl takes it away", async ({ host }) => {
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
