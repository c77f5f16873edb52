import * as fc from "fast-check";
import { expect } from "vitest";
import { overlap } from "#src/contract/resource-paths.ts";
import { check, codeOf, holders, second, toldBelow } from "#harness/coordinator/peers.ts";
import { filesOf, isWithin, meet, resources } from "#harness/coordinator/lease-model.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

const anyResource = fc.constantFrom(...resources);

/** Leases on files, all files of a folder, and all below a folder. */
export function leasePathRules(it: RuleTest): void {
  it("two paths overlap when there may be a file that both stand for", () => {
    // Every pair, against the files themselves.
    const wrong = resources.flatMap((one) =>
      resources.filter((other) => overlap(one, other) !== meet(one, other)).map((other) => `${one} ${other}`),
    );
    expect(wrong).toEqual([]);
    expect(resources.length).toBeGreaterThan(100);
  });

  it("names that are no paths overlap only themselves", () => {
    for (const [one, other] of [
      ["a/*", "a/b"],
      ["a/**", "a/b"],
      ["file", "file:a"],
      ["files:a/**", "files:a/b"],
      ["File:a/**", "file:a/b"],
      ["*", "x"],
    ] as const) {
      expect([overlap(one, other), overlap(other, one), overlap(one, one)]).toEqual([false, false, true]);
    }
  });

  it("a file and all below its name do not overlap, nor do a folder's own files and those deeper down", () => {
    expect(overlap("file:p/a", "file:p/a/**")).toBe(false);
    expect(overlap("file:p/*", "file:p/a/**")).toBe(false);
    expect(overlap("file:p/*", "file:p/a/b")).toBe(false);
    expect(overlap("file:p/a/*", "file:p/a/*")).toBe(true);
    expect(overlap("file:p/**", "file:p/a/*")).toBe(true);
    expect(overlap("file:p/a/**", "file:p/a0/x")).toBe(false);
    expect(overlap("file:p/**", "file:p0/a")).toBe(false);
  });

  it("a lease is granted unless a held one overlaps it", async ({ runs, host, crew: { a, b } }) => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(anyResource, anyResource, async (held, wanted) => {
        const requestId = `r${(run += 1)}`;
        const lease = await a.hold(held, { requestId });
        const answer = await b.acquire(wanted, { requestId });
        expect(codeOf(answer)).toBe(meet(held, wanted) ? "lease_held" : "ok");
        if (answer.ok) await b.release(await b.hold(wanted, { requestId }));
        await a.release(lease);
      }),
      runs(150),
    );
    expect(await holders(host)).toEqual({});
  });

  it("no two of many held leases overlap; each refusal has a reason", async ({ runs, host, crew: { a, b } }) => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyResource, { minLength: 2, maxLength: 12 }), async (wanted) => {
        const requestId = `r${(run += 1)}`;
        for (const [at, resource] of wanted.entries()) {
          const before = Object.keys(await holders(host));
          const isFree = !before.some((held) => meet(held, resource));
          expect(codeOf(await (at % 2 ? a : b).acquire(resource, { requestId: `${requestId}.${at}` }))).toBe(
            isFree ? "ok" : "lease_held",
          );
        }
        for (const peer of [a, b]) {
          await peer.leave();
          await peer.back();
        }
      }),
      runs(25),
    );
  });

  it("a request waits only for earlier ones that overlap it", async ({ runs, host, crew: { a, b, c } }) => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(anyResource, anyResource, anyResource, async (held, first, next) => {
        const requestId = `r${(run += 1)}`;
        const request = { requestId, waitMs: 60 * second };
        const lease = await a.hold(held, { requestId });
        const earlier = given(await b.acquire(first, request));
        const later = given(await c.acquire(next, request));
        const mustWait = meet(next, held) || meet(next, first);
        expect(earlier.state).toBe(meet(first, held) ? "waiting" : "granted");
        expect(later.state).toBe(mustWait ? "waiting" : "granted");
        await a.release(lease);
        expect(Object.values(await holders(host)).toSorted()).toEqual(meet(first, next) ? ["b"] : ["b", "c"]);
        await b.release(await b.hold(first, request));
        expect(await holders(host)).toEqual({ [next]: "c" });
        await c.release(await c.hold(next, request));
      }),
      runs(60),
    );
  });

  it("a token is valid only for what its lease covers, file or pattern", async ({ runs, host, crew: { a } }) => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(anyResource, anyResource, async (held, asked) => {
        const lease = await a.hold(held, { requestId: `r${(run += 1)}` });
        expect((await check(host, asked, lease.token)).isValid).toBe(isWithin(asked, held));
        await a.release(lease);
        expect((await check(host, asked, lease.token)).isValid).toBe(false);
      }),
      runs(150),
    );
  });

  it("of several leases that cover a file each has its own token", async ({ host, crew: { a, b } }) => {
    const folder = await a.hold("file:p/a/*");
    const other = await b.hold("file:p/b/**");
    expect(await check(host, "file:p/a/x", folder.token)).toMatchObject({ isValid: true, holder: "a" });
    expect(await check(host, "file:p/a/x", other.token)).toMatchObject({ isValid: false, holder: "a" });
    expect(await check(host, "file:p/c/x", other.token)).toMatchObject({ isValid: false, holder: null });
  });

  it("a path may be as deep as its name can be long", async ({ host, crew: { a, b } }) => {
    const deep = `file:p${"/d".repeat(250)}`;
    const lease = await a.hold("file:p/**");
    expect((await check(host, deep, lease.token)).isValid).toBe(true);
    expect(codeOf(await b.acquire(deep))).toBe("lease_held");
    await a.release(lease);
    await b.hold(deep);
    for (const above of ["file:p/**", `file:p${"/d".repeat(120)}/**`]) {
      expect(codeOf(await a.acquire(above))).toBe("lease_held");
    }
  });

  it("the small world of these tests is what it says", () => {
    expect(filesOf("file:p/a")).toEqual(new Set(["p/a"]));
    expect([...filesOf("file:p/*")]).toEqual(["p/a", "p/b", "p/b.", "p/b0", "p/ü"]);
    expect(filesOf("file:p/b/**").size).toBe(5 + 25 + 125);
    expect([...filesOf("file:p/b/**")].every((file) => file.startsWith("p/b/"))).toBe(true);
  });

  it("names of elections and ambiguous paths are refused", async ({ a }) => {
    const bad = ["", "leader:boss", "a\nb", "x".repeat(513), "file:", "file:/a", "file:a//b", "file:a/", "file:a/./b"];
    const worse = [
      "file:a/../b",
      "file:..",
      "file:a/*/b",
      "file:a/b*",
      "file:a/**/*",
      "file:*",
      "file:**",
      "file:a/***",
    ];
    for (const resource of [...bad, ...worse]) expect(codeOf(await a.acquire(resource))).toBe("bad_input");
    for (const resource of ["a*b", "file:a", "file:a/..b", "file:c/*", "file:b/**", "x/../y", "x".repeat(512)]) {
      expect(codeOf(await a.acquire(resource))).toBe("ok");
    }
  });

  it("watches of $file/ receive grants and ends, also after a wait", async ({ host, crew: { a, b } }) => {
    const { token: first } = await a.hold("file:p/src/**");
    const wait = given(await b.acquire("file:p/src/a.ts", { waitMs: 60 * second }));
    await a.hold("name");
    expect(wait.state).toBe("waiting");
    await a.release({ resource: "file:p/src/**", token: first });
    const [lease] = given(await host.call("leases.list", { prefix: "file:" })).leases;
    expect(await toldBelow(host, "$file/")).toEqual([
      { key: "$file/p/src/**", op: "set", value: { holder: "a", incarnation: 1, token: first } },
      { key: "$file/p/src/**", op: "delete", value: null },
      { key: "$file/p/src/a.ts", op: "set", value: { holder: "b", incarnation: 1, token: lease?.token } },
    ]);
  });
}
