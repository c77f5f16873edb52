import { expect, it } from "vitest";
import { StallDetector } from "#src/learning/routing/stall-detector.ts";

/** Calls in order; those in capitals fail. @returns the reasons */
function play(...names: readonly string[]): (string | null)[] {
  const detector = new StallDetector();
  return names.map((name, at) => {
    const called = detector.call({ id: `t${at}`, name: "Bash", input: { command: name.toLowerCase() } });
    return called ?? detector.result(`t${at}`, name === name.toUpperCase());
  });
}

it("the newest call's pattern three times in six calls", () => {
  expect(play("a", "b", "a", "c", "d", "a").at(-1)).toContain("3 times");
  expect(play("a", "b", "a", "c", "d", "e", "a").at(-1)).toBeNull();
  expect(play("a", "a", "b", "c", "d").every((reason) => reason === null)).toBe(true);
});

it("three failed calls in six, the newest among them", () => {
  expect(play("A", "b", "C", "d", "e", "F").at(-1)).toContain("3 of the last 6");
  expect(play("A", "b", "C", "d", "e", "f", "G").at(-1)).toBeNull();
  // It has recovered: the newest call is good.
  expect(play("A", "B", "c", "d", "e").every((reason) => reason === null)).toBe(true);
});

it("the order of arguments is none of a pattern; other values and tools are", () => {
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

it("a call that is reported again, and waiting for work in the background, is no repeat", () => {
  const detector = new StallDetector();
  for (let round = 0; round < 5; round++) {
    expect(detector.call({ id: "same", name: "Bash", input: {} })).toBeNull();
    expect(detector.call({ id: `t${round}`, name: "TaskOutput", input: { id: 1 } })).toBeNull();
    expect(detector.result(`t${round}`, true)).toBeNull();
  }
  expect(detector.result("unknown", true)).toBeNull();
});

const test = ["Bash", { command: "npm test" }] as const;
const edit = (text: string) => ["Edit", { file_path: "a.ts", new_string: text }] as const;

/** Calls in order, by tool and arguments. @returns the first reason */
function firstReason(calls: readonly (readonly [string, object])[], failing: string | null = null): string | null {
  const detector = new StallDetector();
  for (const [at, [name, input]] of calls.entries()) {
    const reason = detector.call({ id: `t${at}`, name, input }) ?? detector.result(`t${at}`, name === failing);
    if (reason !== null) return reason;
  }
  return null;
}

it("the same tests after each change of a file are no stall, whether they fail or not", () => {
  const work = ["1", "2", "3", "4"].flatMap((text) => [edit(text), test]);
  expect(firstReason(work)).toBeNull();
  expect(firstReason(work, "Bash")).toBeNull();
  for (const command of [
    "sed -i 's/a/b/' a.ts",
    "cat > a.ts <<'EOF'\nlet a;\nEOF",
    "echo 1 >> a.ts",
    "git checkout -- a.ts",
    "npx oxlint --fix",
    "git apply fix.patch",
  ]) {
    const steps = ["1", "2", "3"].flatMap((text) => [["Bash", { command, description: text }] as const, test]);
    expect(firstReason(steps), command).toBeNull();
  }
  expect(firstReason(["a", "b", "c"].flatMap((path) => [["mcp__fs__write_file", { path }] as const, test]))).toBeNull();
  // The output of the tests goes to a file, and an edit stands in between all the same.
  const piped = ["Bash", { command: "npm test > out.txt" }] as const;
  expect(firstReason(["1", "2", "3"].flatMap((text) => [edit(text), piped]))).toBeNull();
});

it("a change that is only read about, that fails, or that goes back and forth is none", () => {
  const reads = ["git diff", "npm run lint 2>&1 | tail -3", "grep -n '=>' a.ts", "ls 2>/dev/null"];
  for (const command of reads) {
    const steps = ["1", "2", "3"].flatMap((text) => [["Bash", { command, description: text }] as const, test]);
    expect(firstReason(steps), command).toContain("3 times");
  }
  const lists = ["1", "2", "3"].flatMap((text) => [["TodoWrite", { todos: [text] }] as const, test]);
  expect(firstReason(lists)).toContain("3 times");
  expect(firstReason([edit("1"), test, edit("2"), test, edit("3")], "Edit")).toContain("tool calls failed");
  const toAndFro = ["1", "2", "1", "2", "1"].flatMap((text) => [edit(text), test]);
  expect(firstReason(toAndFro)).toBe("Edit was called 3 times with the same arguments");
  expect(firstReason([edit("1"), test, test, test])).toContain("Bash was called 3 times");
});
