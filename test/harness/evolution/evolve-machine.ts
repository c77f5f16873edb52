import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { init, lines, result, writeFakeClaude, type Part } from "#harness/claude/fake-claude.ts";
import { MachineHome } from "#harness/machine/programs.ts";
import type { EvolveReport } from "#src/code/evolution/run.ts";
import { branches, extraWorktrees, grading, writeSample } from "./sample-project.ts";

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

export async function evolved(machine: MachineHome, ...args: string[]): Promise<EvolveReport> {
  return (await machine.ask("code", "evolve", "--trust", ...args)) as unknown as EvolveReport;
}

/** The complex function of this name becomes the simple one. */
export function fix(name: string): Omit<Part, "text"> {
  return { files: { [`src/${name}.ts`]: grading(name, true) } };
}

/** Where the settings of the worker are, whose Claude Code does these parts one after the other. */
export function withWorker(machine: MachineHome, parts: readonly Omit<Part, "text">[]): string {
  const done = lines(init(), result());
  const program = writeFakeClaude(
    machine.home,
    parts.map((part) => ({ text: done, ...part })),
  );
  const path = join(machine.home, "worker.json");
  const claude = { program, env: ["HOME"] };
  writeFileSync(
    path,
    JSON.stringify({ types: { evolve: { repository: machine.project, evolve: { trust: true, claude } } } }),
  );
  return path;
}
