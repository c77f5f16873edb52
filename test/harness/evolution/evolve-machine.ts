import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { MachineHome } from "#harness/machine/real-machine.ts";
import { branches, extraWorktrees, writeSample } from "./sample-project.ts";

/** A machine whose project is the sample with these files. */
export function aMachine(files: Readonly<Record<string, string>>, tools: readonly "fallow"[] = []): MachineHome {
  const machine = new MachineHome();
  writeSample(machine.project, files, tools);
  return machine;
}

/** Neither worktrees nor branches but those that are offered. */
export function expectClean({ project, paths }: MachineHome, kept: number, message?: string): void {
  expect(extraWorktrees(project), message).toBe(0);
  expect(branches(project), message).toHaveLength(kept);
  const left = readdirSync(join(paths.home, "work")).filter((name) => /^(?:task|transform)-/.test(name));
  expect(left, message).toEqual([]);
}
