import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import type { CliHome } from "#harness/machine/cli-home.ts";
import { aWorkerHome } from "#harness/worker/cli-worker.ts";
import { branches, extraWorktrees, writeSample } from "./sample-project.ts";

/** A home whose project is the sample with these files; its commands run in this process. */
export function aProject(files: Readonly<Record<string, string>>): CliHome {
  const home = aWorkerHome();
  Object.assign(home.runtime.env, { PATH: `${dirname(process.execPath)}:${home.runtime.env["PATH"]}` });
  writeSample(home.project, files);
  return home;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

/** Nobody presses Ctrl-C. */
export function evolve(home: CliHome, ...args: string[]): ReturnType<CliHome["shim"]> {
  return home.shimWith({ interrupted: () => new AbortController().signal, wait }, "code evolve --trust", ...args);
}

/** Neither worktrees nor branches but those that are offered. */
export function expectClean({ project, paths }: CliHome, kept: number): void {
  expect([extraWorktrees(project), branches(project).length]).toEqual([0, kept]);
  const left = readdirSync(join(paths.home, "work")).filter((name) => /^(?:task|transform)-/.test(name));
  expect(left).toEqual([]);
}
