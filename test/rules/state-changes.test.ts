import { expect } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import {
  ask,
  Correspondent,
  happened,
  hour,
  listed,
  minute,
  refusal,
  revision,
  set,
  waitForFullHour,
} from "#harness/coordinator/state-calls.ts";
import { it, rowTest } from "./rule-test.ts";

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

function both(value: number): InputOf<"state.update">["writes"] {
  return [
    { op: "set", key: "a", value },
    { op: "set", key: "b", value },
  ];
}

rowTest("the newest change stays, whatever its age, and with it the totals", async ({ host }) => {
  await set(host, "a", "x".repeat(8));
  for (let round = 0; round < 3; round++) {
    host.wait(100 * hour);
    expect(await host.ring()).toBeNull();
  }
  expect(await revision(host)).toBe(1);
  const [totals] = await host.rows("SELECT totalKeys, totalChars FROM changes ORDER BY revision DESC LIMIT 1");
  expect(totals).toEqual({ totalKeys: 1, totalChars: 10 });
  expect(await set(host, "b", 1)).toBe(2);
});
