import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome } from "#harness/machine/cli-home.ts";

const graph = [
  { ref: "api", type: "build" },
  { ref: "db", type: "build" },
  { ref: "tests", type: "test", dependsOn: ["api", "db"] },
  { ref: "docs", type: "write", dependsOn: ["tests", "api"] },
  { ref: "alone", type: "lint" },
];

it("[CL107] the tree of a task has what it waits for with states, and what several wait for once in full", async () => {
  const home = aCliHome();
  writeFileSync(join(home.project, "plan.json"), JSON.stringify(graph));
  await home.shim("task submit --graph plan.json");
  const tree = await home.shim("task tree 4");
  expect([tree.code, tree.out]).toEqual([
    0,
    [
      "4 write (docs): blocked",
      "├─ 1 build (api): queued",
      "└─ 3 test (tests): blocked",
      "   ├─ 1 build (api): queued",
      "   └─ 2 build (db): queued",
      "",
    ].join("\n"),
  ]);
  const all = await home.shim("task tree --json");
  expect(all.json()).toMatchObject({ roots: [4, 5], isMore: false });
  expect(all.json()["tasks"]).toContainEqual(expect.objectContaining({ task: 3, state: "blocked", below: [1, 2] }));
});

it("[CL107] parts of a job stand below it, and what two wait for is drawn in full only once", async () => {
  const home = aCliHome();
  const shared = [
    { ref: "base", type: "build" },
    { ref: "mid", type: "build", dependsOn: ["base"] },
    { ref: "left", type: "test", dependsOn: ["mid"] },
    { ref: "right", type: "test", dependsOn: ["mid"] },
    { ref: "top", type: "ship", dependsOn: ["left", "right"] },
    { ref: "part", type: "ship", parent: "top" },
  ];
  writeFileSync(join(home.project, "plan.json"), JSON.stringify(shared));
  expect((await home.shim("task submit --graph plan.json")).code).toBe(0);
  const { out } = await home.shim("task tree");
  expect(out.split("\n")).toEqual([
    "5 ship (top): blocked",
    "├─ 3 test (left): blocked",
    "│  └─ 2 build (mid): blocked",
    "│     └─ 1 build (base): queued",
    "├─ 4 test (right): blocked",
    "│  └─ 2 build (mid): blocked (see above)",
    "└─ 6 ship (part): queued",
    "",
  ]);
});

it("[CL107] no open task, one that is not there and one that is no number are said", async () => {
  const home = aCliHome();
  expect((await home.shim("task tree")).out).toMatch(/^No task is open/);
  expect((await home.shim("task tree 9")).code).toBe(3);
  expect((await home.shim("task tree x")).code).toBe(2);
});

it("[CL107] of more open tasks than are shown the rest is left out, and it is said", async () => {
  const home = aCliHome();
  for (const count of [600, 401]) {
    writeFileSync(
      join(home.project, "plan.json"),
      JSON.stringify(Array.from({ length: count }, () => ({ type: "build" }))),
    );
    expect((await home.shim("task submit --graph plan.json")).code).toBe(0);
  }
  const lines = (await home.shim("task tree")).out.trimEnd().split("\n");
  expect(lines).toHaveLength(1_001);
  expect(lines.slice(0, -1).every((line) => line.endsWith(" build: queued"))).toBe(true);
  expect(lines.at(-1)).toBe("There are more than 1000 tasks; the rest is left out.");
});
