import { expect } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import { defaultSettings } from "#src/contract/workspaces.ts";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import {
  ask,
  Correspondent,
  day,
  hour,
  minute,
  refusal,
  set,
  waitForFullHour,
} from "#harness/coordinator/state-calls.ts";
import type { RuleTest, RowTest } from "./rule-test.ts";

/** Rules of the settings and the audit log that hold behind any host. */
export function auditRules(it: RuleTest): void {
  it("settings have defaults; each change holds from the next operation on", async ({ host }) => {
    expect(await stored(host)).toEqual(defaultSettings);
    const first = await ask(host, "settings.set", { settings: { maxKeys: 1 } });
    expect(first.settings).toEqual({ ...defaultSettings, maxKeys: 1 });
    await ask(host, "settings.set", { settings: { chatTtlMs: 60_000, maxConcurrentChats: 1 } });
    expect(await stored(host)).toEqual({ ...defaultSettings, maxKeys: 1, chatTtlMs: 60_000, maxConcurrentChats: 1 });
    await set(host, "a", 1);
    expect((await refusal(host, "state.set", { key: "b", value: 1 })).code).toBe("quota_exceeded");
    const chat = { session: "s", process: "p", machine: "m1", client: "test" };
    expect((await ask(host, "chats.register", { chat: "c1", ...chat })).ttlMs).toBe(60_000);
    const full = await refusal(host, "chats.register", { chat: "c2", ...chat, session: "s2" });
    expect(full.code).toBe("too_many_chats");
    await ask(host, "settings.set", { settings: { maxKeys: 2 } });
    await set(host, "b", 1);
  });

  it("a change of settings stands in the audit log, with who made it and what was changed", async ({ host }) => {
    await ask(host, "settings.set", { settings: { maxKeys: 7, maxMessages: 70 } });
    const { entries } = await ask(host, "audit.list", { kind: "settings.changed" });
    expect(entries).toMatchObject([{ actor: "m1", subject: "maxKeys maxMessages" }]);
  });

  it("unknown names and values out of bounds are refused, and nothing is changed", async ({ host }) => {
    const wrong = [
      { maxKey: 1 },
      { maxKeys: 5, more: 1 },
      { maxKeys: 0 },
      { maxKeys: 1.5 },
      { maxKeys: "5" },
      { maxKeys: null },
      { chatTtlMs: 4_999 },
      { maxMessages: 9 },
      { maxKeys: 5, keepChangesMs: 59_999 },
    ];
    for (const settings of wrong) {
      const result = await host.call("settings.set", { settings: settings as never }, admin);
      expect(result.ok ? settings : result.error.code).toBe("bad_input");
    }
    expect(await stored(host)).toEqual(defaultSettings);
    expect((await ask(host, "audit.list", {})).entries).toEqual([]);
  });

  it("the reason of a change is in its entry", async ({ host }) => {
    await ask(host, "settings.set", { settings: { maxKeys: 9 }, reason: "a trial" });
    const { entries } = await ask(host, "audit.list", { kind: "settings.changed" });
    expect(entries).toMatchObject([{ subject: "maxKeys", detail: { reason: "a trial" } }]);
  });

  const names = ["maxKeys", "maxMessages"] as const;

  it("the audit log is told newest first, by kind, page by page", async ({ host }) => {
    for (let at = 0; at < 9; at++) {
      const chat = await Correspondent.join(host, `c${at}`);
      await chat.leave();
      host.wait(10);
    }
    const all = (await ask(host, "audit.list", { limit: 500 })).entries;
    expect(all).toHaveLength(18);
    expect(all.map(({ seq }) => seq)).toEqual(all.map(({ seq }) => seq).toSorted((a, b) => b - a));
    expect(all.map(({ ageMs }) => ageMs).slice(0, 3)).toEqual([10, 10, 20]);
    for (const kind of [undefined, "chat.offline", "chat.registered"]) {
      const told: unknown[] = [];
      for (let cursor: string | null | undefined; cursor !== null;) {
        const asked = { limit: 4, ...(kind ? { kind } : {}), ...(cursor === undefined ? {} : { cursor }) };
        const page = await ask(host, "audit.list", asked);
        told.push(...page.entries);
        ({ cursor } = page);
      }
      expect(told).toEqual(all.filter((entry) => kind === undefined || entry.kind === kind));
    }
    const found = async (input: InputOf<"audit.list">): Promise<number> =>
      (await ask(host, "audit.list", { limit: 500, ...input })).entries.length;
    expect(await found({ kind: "none" })).toBe(0);
    expect(await found({ subject: "c" })).toBe(18);
    expect([await found({ subject: "c3" }), await found({ subject: "3" })]).toEqual([2, 0]);
    expect(await found({ actor: "nobody" })).toBe(0);
    expect([await found({ maxAgeMs: 10 }), await found({ maxAgeMs: 9 })]).toEqual([2, 0]);
  });

  it("after 30 days an entry goes, and never the newest, so that no number comes twice", async ({ host }) => {
    waitForFullHour(host);
    for (const name of names) {
      await ask(host, "settings.set", { settings: { [name]: 50 } });
      host.wait(1);
    }
    host.wait(30 * day - 3);
    await host.ring();
    expect((await ask(host, "audit.list", {})).entries).toHaveLength(2);
    host.wait(1);
    expect(await host.ring()).toBeNull();
    const [newest, ...others] = (await ask(host, "audit.list", {})).entries;
    expect(newest?.subject).toBe("maxMessages");
    expect(others).toEqual([]);
    host.wait(100 * day);
    expect(await host.ring()).toBeNull();
    await ask(host, "settings.set", { settings: {} });
    const seqs = (await ask(host, "audit.list", {})).entries.map(({ seq }) => seq);
    expect(seqs).toEqual([(newest?.seq ?? 0) + 1, newest?.seq]);
  });
}

/** Rules of the audit log that can only be seen in rows. */
export function auditRowRules(it: RowTest): void {
  it("above 20,000 the oldest entries of the audit log go at the full hour", async ({ host }) => {
    await host.run(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20251)
       INSERT INTO audit (seq, at, kind, subject, detail) SELECT i, ?, 'k', 's', '{}' FROM n`,
      host.now(),
    );
    expect(await host.ring()).toBe(Math.ceil(host.now() / hour) * hour);
    waitForFullHour(host);
    await host.ring();
    expect(await host.rows("SELECT 1 FROM audit")).toHaveLength(20_001);
    host.wait(20 * minute);
    await ask(host, "settings.set", { settings: {} });
    expect(await host.ring()).toBe(Math.ceil(host.now() / hour) * hour);
  });
}

async function stored(host: RuleHost): Promise<unknown> {
  return (await ask(host, "settings.get", {})).settings;
}
