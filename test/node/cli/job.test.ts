import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { aCliHome } from "#harness/machine/cli-home.ts";

const job = `title: migrate the stores
text: |
  - rename the tables
  - then test it
files:
${Array.from({ length: 40 }, (_, n) => `  - path: m${n % 8}/f${n}.ts`).join("\n")}
`;

it("[CL55] a complex job is estimated, and submitted as parts with their join", async () => {
  const home = aCliHome();
  writeFileSync(join(home.project, "job.yaml"), job);
  const estimated = await home.shim("job estimate job.yaml");
  expect(estimated.out).toMatch(/^Complexity \d+ of 10 \(split above 8\): files 40 \(\+3\.0\)/);
  expect(estimated.out).toContain("part-8");
  const made = await home.shim("job submit job.yaml --type code --join collect --tag t --json");
  const { task, parts } = made.json() as OutputOf<"plans.submit">;
  expect(parts).toHaveLength(8);
  expect(await home.json("task show", String(task))).toMatchObject({
    state: "blocked",
    joinRule: "collect",
    tags: ["t"],
    dependsOn: parts.map((part) => part.task),
  });
  expect(await home.json("task list --parent", String(task))).toMatchObject({
    tasks: parts.map((part) => ({ task: part.task, ref: part.name, type: "code", state: "queued" })),
  });
});

it("[CL55] a simple one is one task; where it is asked for it is split; the same key is the same job", async () => {
  const home = aCliHome();
  writeFileSync(join(home.project, "job.json"), JSON.stringify({ title: "a typing error", files: [{ path: "a.md" }] }));
  const one = await home.shim("job submit job.json --type docs --key k");
  expect(one.out).toContain("Complexity 1 of 10");
  expect(one.out).toContain("one task");
  expect((await home.shim("job submit job.json --type docs --key k")).out).toContain("key already");
  const split = await home.shim("job submit job.json --type docs --split --by phase --join-type review");
  expect(split.out).toContain("it joins 4 parts (analyse");
});

it("[CL163] an error in the file is reported with its line, and wrong options are not sent", async () => {
  const home = aCliHome();
  const said = async (text: string, ...options: string[]): Promise<string> => {
    writeFileSync(join(home.project, "job.yaml"), text);
    const run = await home.shim("job submit job.yaml --type x", ...options);
    expect(run.code).toBe(2);
    return run.err;
  };
  expect(await said("title: a\nfiles:\n  - path: ../b\n")).toContain("line 3: files.0.path: a path is relative");
  expect(await said("title: a\ncolour: red\n")).toContain("line 2: no such field");
  expect(await said("- a\n")).toContain("job.yaml holds no job.");
  expect(await said("text: a\n")).toContain("title: is missing");
  expect(await said("title: a\n", "--max-parts", "9")).toContain("2 to 8");
  expect(await said("title: a\n", "--split", "--by", "file")).toContain("two or more are needed");
});
