import { array, assert, asyncProperty, boolean, integer, record } from "fast-check";
import { expect, it } from "vitest";
import { aCandidate, aFinding, aMeasurement } from "#harness/evolution/measured.ts";
import { err, ok } from "#src/shared/result.ts";
import { tryInParts, type Attempt, type PartTrial, type Standing } from "#src/evolution/try-parts.ts";

interface Kind {
  /** Its change breaks a test. */
  readonly isBad: boolean;
  readonly isConfirmed: boolean;
}

const others = [{ tool: "fallow", version: null, rule: "unused-export" }];

function lines(all: readonly { readonly range: { readonly line: number } | null }[]): number[] {
  return all.map(({ range }) => range?.line ?? 0);
}

/** Every attempt names its findings; a bad one among them rejects it. */
async function tried(kinds: readonly Kind[], maxRejected: number, overAfter = Infinity) {
  const findings = kinds.map(({ isConfirmed }, at) =>
    aFinding({ tool: "knip", rule: "exports", range: { line: at + 1 }, ...(isConfirmed ? { others } : {}) }),
  );
  const attempts: number[][] = [];
  const trial: PartTrial = {
    attempt: async (candidate, { commit, measured }): Promise<Attempt> => {
      const own = lines(candidate.findings);
      attempts.push(own);
      if (own.some((line) => kinds[line - 1]?.isBad)) return { kind: "rejected", why: `tests of ${own.join()}` };
      const left = measured.findings.filter(({ range }) => !own.includes(range?.line ?? 0));
      return {
        kind: "kept",
        standing: { commit: `${commit}+${own.join()}`, measured: { ...measured, findings: left } },
      };
    },
    cascadeOf: async () => ok([]),
    whyOver: async () => (attempts.length >= overAfter ? "its time is over" : null),
  };
  const start: Standing = { commit: "base", measured: aMeasurement({ findings }) };
  const whole = aCandidate({ fixer: "unused", subject: "dead code", findings });
  const result = await tryInParts(whole, start, maxRejected, trial);
  if (!result.ok) throw new Error("it was judged");
  const { at, left } = result.value;
  const parts = left.map(({ candidate, isTried }) => ({ lines: lines(candidate.findings), isTried }));
  return { attempts, remaining: lines(at.measured.findings), parts };
}

const good = { isBad: false, isConfirmed: false };
const bad = { isBad: true, isConfirmed: false };
const confirmed = { isBad: false, isConfirmed: true };

it("[EV211] what several tools confirm is tried first, apart from the rest, then halves", async () => {
  const { attempts, parts } = await tried([good, confirmed, bad, confirmed, good], 3);
  expect(attempts).toEqual([[1, 2, 3, 4, 5], [2, 4], [1, 3, 5], [1, 3], [1], [3], [5]]);
  expect(parts).toEqual([{ lines: [3], isTried: true }]);
});

it("[EV211] [EV212] all but what is rejected alone is kept, in a bounded number of attempts", async () => {
  const kind = record({ isBad: boolean(), isConfirmed: boolean() });
  await assert(
    asyncProperty(array(kind, { minLength: 1, maxLength: 50 }), integer({ min: 1, max: 5 }), async (kinds, most) => {
      const { attempts, remaining, parts } = await tried(kinds, most);
      const alone = parts.filter(({ isTried }) => isTried).flatMap((part) => part.lines);
      expect(alone.every((line) => kinds[line - 1]?.isBad)).toBe(true);
      expect(alone.length).toBe(Math.min(most, kinds.filter(({ isBad }) => isBad).length));
      expect(parts.flatMap((part) => part.lines).toSorted((a, b) => a - b)).toEqual(remaining);
      if (alone.length < most) expect(remaining).toEqual(alone.toSorted((a, b) => a - b));
      expect(attempts.length).toBeLessThanOrEqual(1 + 2 * most * (1 + Math.ceil(Math.log2(kinds.length))));
    }),
  );
});

it("[EV211] a part removes what it makes unused in turn, and no more; one that cannot be removed is rejected", async () => {
  const findings = [1, 2, 3].map((line) => aFinding({ tool: "knip", rule: "exports", range: { line } }));
  const inTurn = [7, 8].map((line) => aFinding({ tool: "knip", rule: "exports", range: { line } }));
  const attempts: number[][] = [];
  const whole = aCandidate({ fixer: "unused", subject: "dead code", findings, cascade: inTurn });
  const result = await tryInParts(whole, { commit: "base", measured: aMeasurement({ findings }) }, 3, {
    attempt: async (candidate, { commit, measured }) => {
      attempts.push(lines([...candidate.findings, ...candidate.cascade]));
      if (candidate.findings.length === 3) return { kind: "rejected", why: "a test fails" };
      return { kind: "kept", standing: { commit: `${commit}+`, measured } };
    },
    cascadeOf: async (own) => (lines(own).includes(3) ? err("it stays") : ok(inTurn.slice(1))),
    whyOver: async () => null,
  });
  expect(attempts).toEqual([
    [1, 2, 3, 7, 8],
    [1, 2, 8],
  ]);
  expect(result).toMatchObject({ ok: true, value: { left: [{ why: "it stays", isTried: true }] } });
});

it("[EV212] once the run is over the rest is left, and what was kept stays", async () => {
  const { remaining, parts } = await tried([good, good, bad, good], 3, 2);
  expect(remaining).toEqual([3, 4]);
  expect(parts).toEqual([{ lines: [3, 4], isTried: false }]);
});
