import { readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { machineHealth } from "#src/runner/worker/worker-automation.ts";
import { BoundedOutput, keepOutput } from "#src/runner/worker/output-files.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

it("how a machine is: its cores since the last look, its memory, and how long the worker has lived", () => {
  let now = 1_000.4;
  const times = [
    { busyMs: 100, allMs: 1_000 },
    { busyMs: 400, allMs: 2_000 },
    { busyMs: 400, allMs: 2_000 },
  ];
  const look = (): { busyMs: number; allMs: number } => times.shift() ?? { busyMs: 400, allMs: 2_000 };
  const health = machineHealth({ monotonic: () => now }, look, () => 0.5);
  now += 5_000;
  expect(health()).toEqual({ cpu: 0.3, memory: 0.5, uptimeMs: 5_000 });
  expect(health()).toEqual({ memory: 0.5, uptimeMs: 5_000 });
  const unknown = machineHealth({ monotonic: () => now }, look, () => null);
  expect(unknown()).toEqual({ uptimeMs: 0 });
});

it("the newest two hundred outputs are kept, and no file for an empty one", () => {
  const folder = join(temporaryFolder(), "output");
  for (let task = 1; task <= 205; task++) {
    keepOutput(folder, { task, claim: 1 }, `of ${task}`);
    utimesSync(join(folder, `task-${task}-1.txt`), task, task);
  }
  keepOutput(folder, { task: 300, claim: 1 }, "");
  keepOutput(folder, { task: 301, claim: 1 }, "last");
  const names = readdirSync(folder);
  expect(names).toHaveLength(200);
  expect([names.includes("task-301-1.txt"), names.includes("task-300-1.txt"), names.includes("task-5-1.txt")]).toEqual([
    true,
    false,
    false,
  ]);
});

it("millions of short lines take no longer to keep than to read", () => {
  const output = new BoundedOutput();
  for (let n = 0; n < 3_000_000; n++) output.push("y\n");
  expect(output.text).toHaveLength(2 * 32_768 + "\n[... 5934464 characters ...]\n".length);
});
