import { expect } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import { recount } from "./state-model.ts";
import {
  ask,
  happened,
  hour,
  listed,
  minute,
  refusal,
  revision,
  set,
  waitForFullHour,
} from "#harness/coordinator/state-calls.ts";
import type { RuleTest, RowTest } from "./rule-test.ts";

/** Rules of how long changes are kept, that hold behind any host. */
export function stateCompactionRules(it: RuleTest): void {
  it("old changes are compacted in whole groups; readers below get compacted", async ({ host }) => {
    waitForFullHour(host);
    await ask(host, "state.update", { writes: both(1) });
    host.wait(30 * minute);
    await ask(host, "state.update", { writes: both(2) });
    host.wait(hour);
    await host.ring();
    const { code, details } = await refusal(host, "state.changes", { after: 0 });
    expect({ code, details }).toEqual({ code: "compacted", details: { floor: 2, revision: 4 } });
    expect((await refusal(host, "state.changes", { after: 1 })).code).toBe("compacted");
    expect((await happened(host, "", 2)).map(({ value }) => value)).toEqual([2, 2]);
    expect((await listed(host)).revision).toBe(4);
  });

  it("a change as old as keepChangesMs is compacted at the full hour", async ({ host }) => {
    waitForFullHour(host);
    await set(host, "a", 1);
    host.wait(1);
    await set(host, "a", 2);
    host.wait(hour - 1);
    expect(await host.ring()).toBeNull();
    expect((await refusal(host, "state.changes", { after: 0 })).details).toEqual({ floor: 1, revision: 2 });
  });

  it("updates of a hundred keys are compacted, too", async ({ host }) => {
    for (let round = 0; round < 3; round++) {
      const writes = Array.from({ length: 100 }, (_, at) => ({ op: "set" as const, key: `k${at}`, value: round }));
      await ask(host, "state.update", { writes });
    }
    host.wait(3 * hour);
    expect(await host.ring()).toBeNull();
    expect((await refusal(host, "state.changes", { after: 0 })).details).toEqual({ floor: 200, revision: 300 });
    expect(await happened(host, "", 200)).toHaveLength(100);
  });

  it("a reader begins at 0 while nothing was compacted, in any epoch", async ({ host }) => {
    await ask(host, "epoch.raise", { reason: "made anew" });
    await set(host, "a", 1);
    const newest = await set(host, "a", 2);
    expect((await happened(host, "", 0)).map(({ value }) => value)).toEqual([1, 2]);
    host.wait(3 * hour);
    await host.ring();
    const floor = newest - 1;
    expect((await refusal(host, "state.changes", { after: 0 })).details).toEqual({ floor, revision: newest });
    expect((await happened(host, "", floor)).map(({ value }) => value)).toEqual([2]);
  });

  it("a longer keepChangesMs keeps them longer", async ({ host }) => {
    await ask(host, "settings.set", { settings: { keepChangesMs: 24 * hour } });
    await set(host, "a", 1);
    await set(host, "a", 2);
    host.wait(23 * hour);
    await host.ring();
    expect(await happened(host)).toHaveLength(2);
    host.wait(2 * hour);
    await host.ring();
    expect((await refusal(host, "state.changes", { after: 0 })).code).toBe("compacted");
  });

  it("a raised epoch makes none of the changes before it surplus", async ({ host }) => {
    waitForFullHour(host);
    host.wait(50 * minute);
    await set(host, "a", 1);
    await set(host, "a", 2);
    await ask(host, "epoch.raise", { reason: "restored" });
    await set(host, "a", 3);
    host.wait(10 * minute);
    await host.ring();
    expect(await happened(host)).toHaveLength(3);
    host.wait(hour);
    await host.ring();
    expect((await refusal(host, "state.changes", { after: 0 })).details).toMatchObject({ floor: 2 });
  });

  it("a reader ahead of the newest revision gets compacted, as after a restore", async ({ host }) => {
    await set(host, "a", 1);
    const seen = await set(host, "a", 2);
    expect((await refusal(host, "state.changes", { after: seen + 5 })).code).toBe("compacted");
    await ask(host, "epoch.raise", { reason: "restored" });
    const newest = await set(host, "a", 3);
    for (const lost of [seen + 1, seen + 5, newest - 1, newest + 1]) {
      const { code, details } = await refusal(host, "state.changes", { after: lost });
      expect({ code, details }).toEqual({ code: "compacted", details: { floor: 0, revision: newest } });
    }
    expect((await happened(host, "", seen)).map(({ value }) => value)).toEqual([3]);
  });
}

function both(value: number): InputOf<"state.update">["writes"] {
  return [
    { op: "set", key: "a", value },
    { op: "set", key: "b", value },
  ];
}

/** The same where it can only be seen in rows. */
export function stateCompactionRowRules(it: RowTest): void {
  it("above 100,000 the oldest changes go, in whole groups", async ({ host }) => {
    await host.run(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100010)
       INSERT INTO changes (revision, grp, key, op, at, totalKeys, totalChars)
       SELECT i, 4 * ((i - 1) / 4) + 1, 'k', 'delete', ?, 0, 0 FROM n`,
      host.now(),
    );
    waitForFullHour(host);
    await host.ring();
    // The eleventh stands in the group 9 to 12.
    const [kept] = await host.rows<{ n: number; first: number }>(
      "SELECT count(*) AS n, min(revision) AS first FROM changes",
    );
    expect(kept).toEqual({ n: 99_998, first: 13 });
  });

  it("the newest change stays, whatever its age, and with it the totals", async ({ host }) => {
    await set(host, "a", "x".repeat(8));
    for (let round = 0; round < 3; round++) {
      host.wait(100 * hour);
      expect(await host.ring()).toBeNull();
    }
    expect(await revision(host)).toBe(1);
    await recount(host);
    expect(await set(host, "b", 1)).toBe(2);
  });
}
