import * as fc from "fast-check";
import { expect } from "vitest";
import { maxValueChars } from "#src/contract/state.ts";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, refusal, set } from "#harness/coordinator/peers.ts";
import { hour, minute, waitForFullHour, later } from "#harness/coordinator/times.ts";
import { get, happened, listed, pagesAfter, revision } from "#harness/coordinator/views.ts";
import { it } from "./rule-test.ts";
import type { InputOf } from "#src/contract/operations.ts";
it("of two writers of one version one succeeds; the other gets the present version", async ({ host }) => {
  const seen = await set(host, "plan", "first");
  const won = await set(host, "plan", "second", { ifVersion: seen });
  const { code, details } = await refusal(host, "state.set", { key: "plan", value: "third", ifVersion: seen });
  expect(code).toBe("version_mismatch");
  expect(details).toEqual({ key: "plan", version: won });
  expect(await get(host, "plan")).toMatchObject({ value: "second", version: won });
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
  expect((await refusal(host, "state.delete", { key: "a", ifVersion: version })).details).toMatchObject({ version: 0 });
});

it("deleting what is not there, or is over, is no error and changes nothing", async ({ host }) => {
  await set(host, "short", 1, { ttlMs: 1_000 });
  host.wait(1_000);
  const before = await revision(host);
  for (const key of ["short", "never"])
    expect(await ask(host, "state.delete", { key })).toEqual({ isDeleted: false, version: 0 });
  const { versions } = await ask(host, "state.update", { writes: [{ op: "delete", key: "short" }] });
  expect(versions).toEqual([{ key: "short", version: 0 }]);
  expect(await revision(host)).toBe(before);
  await host.ring();
  expect((await happened(host)).map(({ op }) => op)).toEqual(["set", "expire"]);
});

it("at its last instant a key is not there, before any sweep has seen it", async ({ host }) => {
  await set(host, "short", 1, { ttlMs: 5_000 });
  host.wait(4_999);
  expect(await get(host, "short")).toMatchObject({ ttlMs: 1, ageMs: 4_999 });
  host.wait(1);
  expect(await get(host, "short")).toBeNull();
  expect((await listed(host)).entries).toEqual([]);
  expect(await happened(host)).toHaveLength(1);
  for (const key of ["session/a", "sessions"]) await set(host, key, 1);
  expect((await listed(host)).entries.map(({ ttlMs }) => ttlMs)).toEqual([hour, null]);
});

it("several keys are written under all conditions at once, and a check writes nothing", async ({ host }) => {
  const seen = await set(host, "a", 1);
  const checks = ["a", "none"].map((key, at) => ({ op: "check" as const, key, ifVersion: at === 0 ? seen : 0 }));
  const writes = [...checks, { op: "set" as const, key: "b", value: 2, ifVersion: 0 }];
  const { versions } = await ask(host, "state.update", { writes });
  expect(versions.map(({ key, version }) => `${key} ${version}`)).toEqual([`a ${seen}`, "none 0", `b ${seen + 1}`]);
  expect(await revision(host)).toBe(seen + 1);
});

it("no key appears twice in one update", async ({ host }) => {
  const twice = (["delete", "delete"] as const).map((op) => ({ op, key: "a" }));
  const message: unknown = expect.stringContaining("a appears twice");
  expect(await refusal(host, "state.update", { writes: twice })).toMatchObject({ code: "bad_input", message });
  expect(await revision(host)).toBe(0);
});

const short = { ttlMs: 5_000 };

it("a guarded write with an old token fails and writes nothing", async ({ host, c1: first, c2: second }) => {
  const old = (await first.hold("deploy", short)).token;
  await set(host, "deployed", "by first", { guard: { resource: "deploy", token: old } });
  host.wait(5_000);
  const late = { key: "deployed", value: "late", guard: { resource: "deploy", token: old } };
  expect((await refusal(host, "state.set", late)).code).toBe("stale_token");
  const token = (await second.hold("deploy", short)).token;
  const stale = await refusal(host, "state.set", late);
  expect(stale).toMatchObject({ code: "stale_token", details: { resource: "deploy" } });
  expect((await refusal(host, "state.delete", { key: "deployed", guard: late.guard })).code).toBe("stale_token");
  expect(await get(host, "deployed")).toMatchObject({ value: "by first" });
  await set(host, "deployed", "by second", { guard: { resource: "deploy", token } });
  expect(await happened(host, "deployed")).toHaveLength(2);
  const folder = (await second.hold("file:p/src/**", short)).token;
  await set(host, "a", 1, { guard: { resource: "file:p/src/deep/x.ts", token: folder } });
  for (const resource of ["file:p/test/x.ts", "leader:boss"]) {
    const beside = { key: "a", value: 2, guard: { resource, token: folder } };
    expect((await refusal(host, "state.set", beside)).code).toBe("stale_token");
  }
});

it("an update with one stale guard among valid ones writes nothing", async ({ host, c1: chat }) => {
  const [one, other] = [(await chat.hold("one", short)).token, (await chat.hold("other", { ttlMs: hour })).token];
  const guards = Object.entries({ other, one }).map(([resource, token]) => ({ resource, token }));
  const writes = [{ op: "set" as const, key: "a", value: 1 }];
  await ask(host, "state.update", { writes, guards });
  await later(host, 5_000, chat);
  for (const stale of [guards, [{ resource: "none", token: 0 }]])
    expect((await refusal(host, "state.update", { writes, guards: stale })).code).toBe("stale_token");
  expect(await happened(host, "a")).toHaveLength(1);
});

it("more than maxKeys is refused as a whole; deletions never are", async ({ host }) => {
  await limited(host, { maxKeys: 2 });
  await set(host, "a", 1);
  await set(host, "b", 1);
  const full = await refusal(host, "state.set", { key: "c", value: 1 });
  expect(full).toMatchObject({ code: "quota_exceeded", message: expect.stringContaining("maxKeys") as string });
  const gone = { op: "delete" as const, key: "a" };
  const [one, two] = ["c", "d"].map((key) => ({ op: "set" as const, key, value: 1 })) as [never, never];
  const check = { op: "check" as const, key: "b", ifVersion: 2 };
  for (const writes of [
    [gone, one, two],
    [check, one],
  ])
    expect((await refusal(host, "state.update", { writes })).code).toBe("quota_exceeded");
  await set(host, "a", 2);
  await ask(host, "state.update", { writes: [one, gone] });
  expect((await listed(host)).entries.map(({ key }) => key)).toEqual(["b", "c"]);
  await limited(host, { maxKeys: 1 });
  await set(host, "b", 3);
  await ask(host, "state.delete", { key: "b" });
  expect((await refusal(host, "state.set", { key: "b", value: 1, ifVersion: 0 })).code).toBe("quota_exceeded");
});

it("characters are those of the values as JSON", async ({ host }) => {
  await limited(host, { maxStateChars: 1_000 });
  await set(host, "a", "x".repeat(498));
  await set(host, "b", "😀".repeat(249));
  expect((await refusal(host, "state.set", { key: "c", value: 1 })).code).toBe("quota_exceeded");
  await set(host, "a", "x".repeat(497));
  await set(host, "c", 1);
  expect((await refusal(host, "state.set", { key: "c", value: 10 })).code).toBe("quota_exceeded");
  await limited(host, { maxStateChars: 3_000 });
  await set(host, "a", "x".repeat(2_000));
  await limited(host, { maxStateChars: 1_000 });
  await set(host, "a", "x".repeat(1_999));
  expect((await refusal(host, "state.set", { key: "a", value: "x".repeat(2_000) })).code).toBe("quota_exceeded");
});

it("expired keys take no room, swept or not, and end before their successor", async ({ open }) => {
  for (const isSwept of [false, true]) {
    const host = await open();
    await limited(host, { maxKeys: 1, maxStateChars: 1_000 });
    await set(host, "short", "x".repeat(998), { ttlMs: 1_000 });
    const early = { key: "next", value: "x".repeat(998) };
    expect((await refusal(host, "state.set", early)).code).toBe("quota_exceeded");
    host.wait(1_000);
    if (isSwept) await host.ring();
    expect((await refusal(host, "state.set", { ...early, value: "x".repeat(999) })).code).toBe("quota_exceeded");
    const [gone, next] = [{ op: "delete", key: "short" } as const, { op: "set", ...early } as const];
    await ask(host, "state.update", { writes: [gone, next] });
    const told = (await happened(host)).map(({ key, op, group }) => `${key} ${op} ${group}`);
    expect(told).toEqual(["short set 1", "short expire 2", "next set 3"]);
  }
});

it("a value has at most 131,072 characters as JSON", async ({ host }) => {
  const most = "x".repeat(maxValueChars - 2);
  const version = await set(host, "a", most);
  const tooLarge = { code: "too_large", message: expect.stringContaining(String(maxValueChars)) as string };
  expect(await refusal(host, "state.set", { key: "a", value: `${most}x` })).toMatchObject(tooLarge);
  const small = { op: "set" as const, key: "b", value: 1 };
  const large = { op: "set" as const, key: "c", value: ["\n".repeat(maxValueChars / 2)] };
  expect((await refusal(host, "state.update", { writes: [small, large] })).code).toBe("too_large");
  expect(await revision(host)).toBe(version);
  expect((await get(host, "a"))?.value).toBe(most);
});

it("a key is one line of at most 512 characters that does not begin with $", async ({ host }) => {
  for (const key of ["", "a\nb", "a\u0000", "x".repeat(513), "$chat/c1", "$", "a\uD83D"]) {
    const result = await host.call("state.set", { key, value: 1 }, admin);
    expect(result.ok ? key : result.error.code).toBe("bad_input");
    const update = await host.call("state.update", { writes: [{ op: "delete", key }] }, admin);
    expect(update.ok ? key : update.error.code).toBe("bad_input");
  }
  expect(await revision(host)).toBe(0);
  const longest = ["x".repeat(512), "😀".repeat(512)];
  for (const key of [...longest, "a$", " ", "%_*"]) {
    await set(host, key, key);
    expect((await get(host, key))?.value).toBe(key);
  }
  expect((await listed(host, "😀".repeat(500), 1)).entries).toHaveLength(1);
  expect((await listed(host, "", 1)).entries).toHaveLength(5);
});

it("a list is what begins with the prefix, in order, in any page size", async ({ open, runs }) => {
  const drawn = fc.record({
    keys: fc.uniqueArray(oddKey, { maxLength: 25 }),
    prefix: fc.oneof(fc.constant(""), oddKey),
    limit: fc.integer({ min: 1, max: 7 }),
  });
  await fc.assert(
    fc.asyncProperty(drawn, async ({ keys, prefix, limit }) => {
      const host = await open();
      for (const key of keys) await set(host, key, key);
      const wanted = keys.filter((key) => key.startsWith(prefix));
      const found = (await listed(host, prefix, limit)).entries;
      expect(found.map(({ key }) => key)).toEqual(wanted.toSorted((a, b) => (codesOf(a) < codesOf(b) ? -1 : 1)));
      expect(found.every(({ key, value }) => key === value)).toBe(true);
    }),
    runs(30),
  );
});

async function limited(host: RuleHost, settings: { maxKeys?: number; maxStateChars?: number }): Promise<void> {
  await ask(host, "settings.set", { settings });
}

/** Signs that a LIKE, a range or an encoding would trip over. */
const oddSigns = ["a", "b", "/", "%", "_", "*", "'", "é", "e\u0301", "\uFEFF", "\uFFFF", "😀", "\u{10FFFF}", "~", " "];
const oddKey = fc.array(fc.constantFrom(...oddSigns), { minLength: 1, maxLength: 4 }).map((signs) => signs.join(""));

/** The order of UTF-8 is that of code points, which is not JavaScript's own. */
function codesOf(text: string): string {
  return Array.from(text, (sign) => (sign.codePointAt(0) ?? 0).toString(16).padStart(6, "0")).join("");
}

it("an update is told in one answer, also where it is larger than the answer may be", async ({ host }) => {
  await set(host, "first", 1);
  const writes = Array.from({ length: 100 }, (_, at) => ({ op: "set" as const, key: `many/${at}`, value: at }));
  await ask(host, "state.update", { writes });
  await set(host, "last", 1);
  const pages = await pagesAfter((after) => ask(host, "state.changes", { after, limit: 10 }));
  expect(pages.map(({ changes }) => changes.length)).toEqual([1, 100, 1]);
  const some = await ask(host, "state.changes", { after: 1, prefix: "many/9", limit: 1 });
  expect(some.changes).toHaveLength(11);
  // The twentieth begins within the 2,000 changes that an answer reads, and ends behind them.
  for (let times = 1; times < 20; times++) await ask(host, "state.update", { writes });
  const found = await pagesAfter((after) => ask(host, "state.changes", { after, prefix: "many/9", limit: 500 }));
  expect(found.map(({ changes }) => changes.length)).toEqual([19 * 11, 11]);
});

it("an answer has at most a million characters of values, or one update", async ({ host }) => {
  const value = "x".repeat(120_000);
  for (let at = 10; at < 40; at++) await set(host, `k${at}`, value);
  // More than an answer, and less than a request, may have.
  const part = "x".repeat(115_000);
  const writes = Array.from({ length: 9 }, (_, at) => ({ op: "set" as const, key: `k${at + 10}`, value: part }));
  await ask(host, "state.update", { writes });
  const pages = await pagesAfter((after) => ask(host, "state.changes", { after, limit: 500 }));
  expect(pages.map(({ changes }) => changes.length)).toEqual([8, 8, 8, 6, 9]);
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
  return ["a", "b"].map((key) => ({ op: "set", key, value }));
}

it("the newest change stays, whatever its age, and with it the totals", async ({ host }) => {
  await set(host, "a", "x".repeat(8));
  for (let round = 0; round < 3; round++) {
    host.wait(100 * hour);
    expect(await host.ring()).toBeNull();
  }
  expect(await revision(host)).toBe(1);
  await limited(host, { maxKeys: 1 });
  expect((await refusal(host, "state.set", { key: "b", value: 1 })).code).toBe("quota_exceeded");
  await limited(host, { maxKeys: 2 });
  expect(await set(host, "b", 1)).toBe(2);
});
