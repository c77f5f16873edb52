import { expect, it } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { playAll, type Job } from "../../../bench/real/players.ts";

it("a run that fails leaves none of its processes", async () => {
  const folder = temporaryFolder();
  const jobs = [1, 2, 3].map((session): Job => {
    return { folder, path: "missing.jsonl", client: "claude-code", session, seed: 1, mostCuts: 1 };
  });
  const before = children();
  await expect(playAll(jobs, 2, fail)).rejects.toThrow("stopped");
  await expect.poll(children, patience).toEqual(before);
});

function children(): number[] {
  return [...systemProcesses.children(process.pid).keys()];
}

function fail(): never {
  throw new Error("stopped");
}
