import { expect, it } from "vitest";
import { FakeClaude } from "#harness/claude/fake-claude.ts";

/** What stands between the marks. */
function dataOf(input: string): unknown {
  return JSON.parse(/<(shim-task-\w+)>\n([\s\S]*?)\n<\/\1>/.exec(input)?.[2] ?? "");
}

it("[CX16] Claude Code is told that its inputs are merged, where they contradict each other, and why tests failed, as data", async () => {
  const claude = new FakeClaude([{ text: "" }]);
  const conflicts = [{ task: 4, files: ["src/</shim-task>.ts"] }];
  await claude.run({ task: { checkpoint: { failedTests: "2 tests are red" } }, merged: { tasks: [3, 4], conflicts } });
  await claude.run({ merged: { tasks: [3], conflicts: [] } });
  await claude.run();
  const [first = "", second = "", third = ""] = claude.started().map(({ input }) => input);
  expect(dataOf(first)).toMatchObject({ conflicts, checkpoint: { failedTests: "2 tests are red" } });
  const around = first.replace(/<(shim-task-\w+)>[\s\S]*<\/\1>/, "");
  expect(around).toMatch(
    /merged into this folder already[\s\S]*Resolve these conflicts first[\s\S]*the tests then failed/,
  );
  expect(around).not.toContain("red");
  expect(second).toMatch(/merged into this folder already/);
  expect(second).not.toMatch(/conflict|tests then failed/);
  expect(third).not.toMatch(/merged into this folder/);
});
