import { expect, it } from "vitest";
import { StallDetector } from "#src/routing/stall-detector.ts";

/** Calls in order; those in capitals fail. @returns the reasons */
function play(...names: readonly string[]): (string | null)[] {
  const detector = new StallDetector();
  return names.map((name, at) => {
    const called = detector.call({ id: `t${at}`, name: "Bash", input: { command: name.toLowerCase() } });
    return called ?? detector.result(`t${at}`, name === name.toUpperCase());
  });
}

it("[RT14] the newest call's pattern three times in six calls", () => {
  expect(play("a", "b", "a", "c", "d", "a").at(-1)).toContain("3 times");
  expect(play("a", "b", "a", "c", "d", "e", "a").at(-1)).toBeNull();
  expect(play("a", "a", "b", "c", "d").every((reason) => reason === null)).toBe(true);
});

it("[RT14] three failed calls in six, the newest among them", () => {
  expect(play("A", "b", "C", "d", "e", "F").at(-1)).toContain("3 of the last 6");
  expect(play("A", "b", "C", "d", "e", "f", "G").at(-1)).toBeNull();
  // It has recovered: the newest call is good.
  expect(play("A", "B", "c", "d", "e").every((reason) => reason === null)).toBe(true);
});

it("[RT14] the order of arguments is none of a pattern; other values and tools are", () => {
  const detector = new StallDetector();
  const call = (id: string, input: object, name = "Grep"): string | null => detector.call({ id, name, input });
  expect(call("1", { pattern: "x", path: { a: 1, b: [1, 2] } })).toBeNull();
  expect(call("2", { path: { b: [1, 2], a: 1 }, pattern: "x" })).toBeNull();
  expect(call("3", { pattern: "x", path: { a: 1, b: [2, 1] } })).toBeNull();
  expect(call("4", { pattern: "x", path: { a: 1, b: [1, 2] } }, "Glob")).toBeNull();
  expect(call("5", { pattern: "x", path: { a: 1, b: [1, 2] } })).toBe(
    "Grep was called 3 times with the same arguments",
  );
});

it("[RT14] a call that is reported again, and waiting for work in the background, is no repeat", () => {
  const detector = new StallDetector();
  for (let round = 0; round < 5; round++) {
    expect(detector.call({ id: "same", name: "Bash", input: {} })).toBeNull();
    expect(detector.call({ id: `t${round}`, name: "TaskOutput", input: { id: 1 } })).toBeNull();
    expect(detector.result(`t${round}`, true)).toBeNull();
  }
  expect(detector.result("unknown", true)).toBeNull();
});
