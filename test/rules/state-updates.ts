import { expect } from "vitest";
import { maxValueChars } from "#src/contract/state.ts";
import { type EngineHost } from "#harness/coordinator/engine-host.ts";
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
import type { RuleTest, RowTest } from "./rule-test.ts";

/** Rules of updates of several keys, and of writes under guards, that hold behind any host. */
export function stateUpdateRules(it: RuleTest): void {
  updateRules(it);
  guardRules(it);
}

function updateRules(it: RuleTest): void {
  it("[SV7] several keys are written under all conditions at once, and a check writes nothing", async ({ host }) => {
    const seen = await set(host, "a", 1);
    const { versions } = await ask(host, "state.update", {
      writes: [
        { op: "check", key: "a", ifVersion: seen },
        { op: "check", key: "none", ifVersion: 0 },
        { op: "set", key: "b", value: 2, ifVersion: 0 },
      ],
    });
    expect(versions).toEqual([
      { key: "a", version: seen },
      { key: "none", version: 0 },
      { key: "b", version: seen + 1 },
    ]);
    expect(await revision(host)).toBe(seen + 1);
  });

  it("[SV7] one condition that fails, in whatever place, leaves no key and no change", async ({ host }) => {
    await set(host, "a", 1);
    const before = await listed(host);
    const failing = [
      { op: "check", key: "a", ifVersion: 99 },
      { op: "set", key: "a", value: 2, ifVersion: 0 },
      { op: "delete", key: "c", ifVersion: 1 },
    ] as const;
    const others = [
      { op: "set", key: "b", value: 1 },
      { op: "delete", key: "d" },
    ] as const;
    for (const one of failing) {
      for (const writes of [
        [one, ...others],
        [...others, one],
      ]) {
        expect((await refusal(host, "state.update", { writes })).code).toBe("version_mismatch");
      }
    }
    expect(await listed(host)).toEqual(before);
    expect(await happened(host)).toHaveLength(1);
  });

  it("[SV7] no key appears twice in one update", async ({ host }) => {
    const twice = [
      { op: "set", key: "a", value: 1 },
      { op: "delete", key: "a" },
    ] as const;
    const { code, message } = await refusal(host, "state.update", { writes: [...twice] });
    expect(code).toBe("bad_input");
    expect(message).toContain("a appears twice");
    expect(await revision(host)).toBe(0);
  });
}

async function leased(host: EngineHost, chat: Correspondent, resource: string, ttlMs = 5_000): Promise<number> {
  const input = { self: chat.self, resource, requestId: `r${host.now()}`, ttlMs };
  const acquired = await ask(host, "leases.acquire", input);
  if (acquired.state !== "granted") throw new Error("the lease is held");
  return acquired.lease.token;
}

function guardRules(it: RuleTest): void {
  it("[SV8] a guarded write with an old token fails and writes nothing", async ({ host, c1: first, c2: second }) => {
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

  it("[SV8] an update with one stale guard among valid ones writes nothing", async ({ host, c1: chat }) => {
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

  it("[SV8] a pattern's token guards what it covers; a leader's is its term", async ({ host, c1: chat }) => {
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

/** Rules of versioned keys that can only be seen in rows. */
export function stateUpdateRowRules(it: RowTest): void {
  it("[SV7] what is refused has not touched a row", async ({ host }) => {
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

  it("[SV7] a write costs the row of the key and the row of its change, and reading costs none", async ({ host }) => {
    expect(await rowsWritten(host, () => set(host, "a", 1))).toBe(2);
    expect(await rowsWritten(host, () => set(host, "a", 2))).toBe(2);
    expect(await rowsWritten(host, () => listed(host))).toBe(0);
    expect(await rowsWritten(host, () => happened(host))).toBe(0);
    expect(await rowsWritten(host, () => get(host, "a"))).toBe(0);
    expect(await rowsWritten(host, async () => given(await host.call("state.delete", { key: "a" })))).toBe(2);
  });
}
