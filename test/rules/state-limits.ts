import * as fc from "fast-check";
import { expect } from "vitest";
import { maxValueChars } from "#src/contract/state.ts";
import type { Json } from "#src/contract/json.ts";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, get, happened, listed, refusal, revision, set } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

/** Rules of what keys and values may be, how many there may be, and how they are listed, that hold behind any host. */
export function stateLimitRules(it: RuleTest): void {
  it("more than maxKeys is refused as a whole; deletions never are", async ({ host }) => {
    await limited(host, { maxKeys: 2 });
    await set(host, "a", 1);
    await set(host, "b", 1);
    const full = await refusal(host, "state.set", { key: "c", value: 1 });
    expect(full).toMatchObject({ code: "quota_exceeded", message: expect.stringContaining("maxKeys") as string });
    const two = ["c", "d"].map((key) => ({ op: "set" as const, key, value: 1 }));
    expect((await refusal(host, "state.update", { writes: [{ op: "delete", key: "a" }, ...two] })).code).toBe(
      "quota_exceeded",
    );
    await set(host, "a", 2);
    await ask(host, "state.update", {
      writes: [
        { op: "set", key: "c", value: 1 },
        { op: "delete", key: "a" },
      ],
    });
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
    await ask(host, "state.delete", { key: "b" });
    await set(host, "c", "\u0001".repeat(83));
    expect((await refusal(host, "state.set", { key: "d", value: 1234 })).code).toBe("quota_exceeded");
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
      await ask(host, "state.update", {
        writes: [
          { op: "delete", key: "short" },
          { op: "set", ...early },
        ],
      });
      expect((await happened(host)).map(({ key, op, group }) => [key, op, group])).toEqual([
        ["short", "set", 1],
        ["short", "expire", 2],
        ["next", "set", 3],
      ]);
    }
  });

  it("a value has at most 131,072 characters as JSON", async ({ host }) => {
    const most = "x".repeat(maxValueChars - 2);
    const version = await set(host, "a", most);
    const { code, message } = await refusal(host, "state.set", { key: "a", value: `${most}x` });
    expect(code).toBe("too_large");
    expect(message).toContain(String(maxValueChars));
    const [small, large] = [
      { op: "set" as const, key: "b", value: 1 },
      { op: "set" as const, key: "c", value: ["\n".repeat(maxValueChars / 2)] },
    ];
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

  it("any JSON value comes back as it was", async ({ runs, host }) => {
    await fc.assert(
      fc.asyncProperty(jsonValue, async (value) => {
        await set(host, "a", value as Json);
        expect((await get(host, "a"))?.value).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      runs(50),
    );
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
        expect(found.map(({ key }) => key)).toEqual(wanted.toSorted(byCodePoint));
        expect(found.every(({ key, value }) => key === value)).toBe(true);
      }),
      runs(30),
    );
  });

  it("expired keys between the others do not end a page or a list early", async ({ host }) => {
    for (let at = 0; at < 30; at++) {
      await set(host, `k${String(at).padStart(2, "0")}`, at, at % 10 === 0 ? {} : { ttlMs: 1_000 });
    }
    host.wait(1_000);
    const page = await ask(host, "state.list", { limit: 2 });
    expect(page.entries.map(({ value }) => value)).toEqual([0, 10]);
    expect((await listed(host, "k", 1)).entries.map(({ value }) => value)).toEqual([0, 10, 20]);
  });
}

async function limited(host: RuleHost, settings: { maxKeys?: number; maxStateChars?: number }): Promise<void> {
  await ask(host, "settings.set", { settings });
}

/** fast-check's own units cost a second of preparation in each file of tests. */
const anySign = fc
  .integer({ min: 0, max: 0x10_ff_ff })
  .map((code) => String.fromCodePoint(code >= 0xd8_00 && code <= 0xdf_ff ? code - 0x8_00 : code));
/** Without a key `__proto__`, which the check of the input leaves out. */
const jsonValue = fc
  .jsonValue({ stringUnit: fc.oneof(fc.constantFrom("a", "1", " ", "\u0000", "\n"), anySign) })
  .filter((value) => !JSON.stringify(value).includes("__proto__"));

/** Signs that a LIKE, a range or an encoding would trip over. */
const oddSigns = ["a", "b", "/", "%", "_", "*", "'", "é", "e\u0301", "\uFEFF", "\uFFFF", "😀", "\u{10FFFF}", "~", " "];
const oddKey = fc.array(fc.constantFrom(...oddSigns), { minLength: 1, maxLength: 4 }).map((signs) => signs.join(""));

/** The order of UTF-8 is that of code points, which is not JavaScript's own. */
function byCodePoint(a: string, b: string): number {
  const [one, other] = [utf8(a), utf8(b)];
  const at = one.findIndex((byte, index) => byte !== other[index]);
  return at < 0 ? one.length - other.length : (one[at] ?? 0) - (other[at] ?? -1);
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
