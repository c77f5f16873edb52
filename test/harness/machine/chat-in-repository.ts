import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { aChat, anotherClaude, type Claude } from "./claude.ts";
import { git, temporaryFolder } from "./git-project.ts";
import { T0, type TempRuntime } from "./temp-runtime.ts";

/** A chat in a real repository with one commit, made before the session. */
export function aChatInRepository(now = T0): { runtime: TempRuntime; claude: Claude; path: (name: string) => string } {
  const cwd = aRepository();
  return { ...aChat({ now, cwd }), path: (name) => join(cwd, name) };
}

export function aRepository(): string {
  const cwd = temporaryFolder();
  git(cwd, "init", "-q", "-b", "main");
  const writeBefore = (name: string): void => {
    writeFileSync(join(cwd, name), "one\n");
    utimesSync(join(cwd, name), T0 / 1_000 - 3_600, T0 / 1_000 - 3_600);
  };
  writeBefore("old.txt");
  writeBefore("kept.txt");
  git(cwd, "add", ".");
  git(cwd, "commit", "-q", "-m", "one");
  writeBefore("before.txt");
  return cwd;
}

/** The brief that the next chat of the project gets. */
export function briefAfter(runtime: TempRuntime, dead: Claude): string {
  dead.kill();
  runtime.wait(120_000);
  return anotherClaude(runtime, dead).start();
}
