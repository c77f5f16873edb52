import { expect, it } from "vitest";
import { otherLoad, type ProcessTime } from "../../../bench/other-load.ts";

function table(...rows: Partial<ProcessTime>[]) {
  const whole = { pid: 0, parent: 0, name: "p", ms: 0, childrenMs: 0, isOfBench: false };
  return new Map(rows.map((row) => [row.pid ?? 0, { ...whole, ...row }]));
}

/** init, the shell of the bench, the bench. */
const own = [{ pid: 1 }, { pid: 10, parent: 1 }, { pid: 11, parent: 10 }];

it("processes below the bench, and those that are marked as its own, are no other load", () => {
  const child = { pid: 12, parent: 11, ms: 900 };
  const host = { pid: 13, parent: 1, isOfBench: true, ms: 900 };
  const ofHost = { pid: 14, parent: 13, ms: 900 };
  expect(otherLoad(table(...own), table(...own, child, host, ofHost), 11, 1_000).share).toBe(0);
});

it("another process counts with what it used meanwhile, and so do its children that have ended", () => {
  const before = table(...own, { pid: 20, parent: 1, name: "make", ms: 5_000, childrenMs: 700 });
  const after = table(...own, { pid: 20, parent: 1, name: "make", ms: 5_100, childrenMs: 900 });
  expect(otherLoad(before, after, 11, 1_000)).toEqual({ share: 0.3, most: "make (20) 0.30" });
});

it("another process that has begun meanwhile counts whole", () => {
  expect(otherLoad(table(...own), table(...own, { pid: 20, parent: 1, ms: 400 }), 11, 1_000).share).toBe(0.4);
});

it("what the bench's own ended processes used is not counted as that of the processes above it", () => {
  const after = table({ pid: 1, childrenMs: 800 }, { pid: 10, parent: 1, ms: 100, childrenMs: 800 }, own[2] ?? {});
  expect(otherLoad(table(...own), after, 11, 1_000).share).toBe(0.1);
});
