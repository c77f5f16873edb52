import { expect, it } from "vitest";
import { age } from "#src/contract/age.ts";
import * as format from "#src/web/format.ts";
import { layOut, type PlanTask } from "#src/web/plan-layout.ts";

it("characters that hide or reorder text are shown as a mark; lines and ordinary text stay", () => {
  expect(format.plain("abc\u202Etxt.exe\u2066\u200B")).toBe("abc�txt.exe��");
  expect(format.plain("a\u001B[31mb\u0000\u007F")).toBe("a [31mb  ");
  expect(format.plain("tag \u{E0041}")).toBe("tag �");
  expect(format.plain("line\n\tnext <b>äöü 中文 🙂</b>")).toBe("line\n\tnext <b>äöü 中文 🙂</b>");
});

it("figures are short, in words a person uses", () => {
  expect([0, -5, 119_999, 120_000, 7_200_000, 172_800_000].map(age)).toEqual([
    "0 s",
    "0 s",
    "119 s",
    "2 min",
    "2 h",
    "2 d",
  ]);
  expect([0, 0.004, 1.5].map(format.dollars)).toEqual(["$0.00", "< $0.01", "$1.50"]);
  expect([format.count(1, "task"), format.count(50_000, "task")]).toEqual(["1 task", "50,000 tasks"]);
  expect([format.words("contextFill"), format.words("budget_exceeded")]).toEqual(["context fill", "budget exceeded"]);
  expect([format.shortPath("/a/b"), format.shortPath("/home/ann/work/shop")]).toEqual(["/a/b", "…/work/shop"]);
  expect(format.percent(0.905)).toBe("91 %");
});

function aTask(task: number, dependsOn: number[] = []): PlanTask {
  return { task, parent: null, ref: null, type: "part", state: "queued", dependsOn };
}

it("each task of a plan is to the right of all that it depends on, whatever the numbers", () => {
  const { nodes, edges, columns, rows } = layOut([aTask(1, [2, 3, 4]), aTask(2), aTask(3), aTask(4, [2, 99])]);
  expect(nodes.map(({ task, column, row }) => [task.task, column, row])).toEqual([
    [1, 2, 0],
    [2, 0, 0],
    [3, 0, 1],
    [4, 1, 0],
  ]);
  expect(edges.map(({ from, to }) => `${from.task.task}-${to.task.task}`)).toEqual(["2-1", "3-1", "4-1", "2-4"]);
  expect([columns, rows]).toEqual([3, 2]);
  expect(layOut([])).toEqual({ nodes: [], edges: [], columns: 0, rows: 0, critical: [] });
  expect(layOut([aTask(1, [2]), aTask(2, [1])]).nodes).toHaveLength(2);
});

it("the critical path of a plan is its longest chain of tasks that have not ended", () => {
  const done = { ...aTask(1), state: "done" as const };
  const tasks = [done, aTask(2, [1]), aTask(3, [2]), aTask(4, [1]), aTask(5, [3, 4])];
  expect(layOut(tasks).critical).toEqual([2, 3, 5]);
  expect(layOut([aTask(1), aTask(2)]).critical).toEqual([]);
  expect(layOut([aTask(9, [8]), aTask(8)]).critical).toEqual([8, 9]);
});
