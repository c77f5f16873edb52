import { chmodSync, existsSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { git } from "./git-project.ts";

/** What someone does with a path of a folder of the project. */
export interface Change {
  readonly folder: number;
  readonly path: string;
  readonly to: string;
}

export function pathOf({ folder, path }: Pick<Change, "folder" | "path">): string {
  return `${folder}/${path}`;
}

export function isContent(to: string): boolean {
  return !["gone", "rights", "moved", "folder moved", "repository", "init", "commit", "checkout"].includes(to);
}

export function make(project: string, change: Change, isGit: boolean): void {
  const { folder, path, to } = change;
  if (to === "commit" || to === "checkout") return isGit ? runGit(project, to, String(folder)) : undefined;
  if (!isGit && (path === ".gitignore" || path === "x.log")) return;
  const [from, there] = [join(project, `${folder}/d`), join(project, `${folder}/e`)];
  if (to === "folder moved") return existsSync(from) && !existsSync(there) ? renameSync(from, there) : undefined;
  if (to === "init") return existsSync(join(project, ".git")) ? undefined : void git(project, "init", "-q");
  if (to === "repository") return makeRepository(join(project, `${folder}/n`));
  write(join(project, pathOf(change)), path === ".gitignore" && to === "one" ? "b*\n" : to);
}

function makeRepository(top: string): void {
  if (!existsSync(top) || existsSync(join(top, ".git"))) return;
  git(top, "init", "-q");
  git(top, "commit", "-q", "--allow-empty", "-m", "its first");
}

function runGit(project: string, to: "commit" | "checkout", folder: string): void {
  if (to === "checkout") return void git(project, "checkout", "-q", "HEAD", "--", folder);
  git(project, "add", "-A");
  git(project, "commit", "-q", "--allow-empty", "-m", "more");
}

function write(file: string, to: string): void {
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (to === "moved") return stats ? renameSync(file, `${file}.moved`) : undefined;
  if (to === "rights") return stats?.isFile() ? chmodSync(file, 0o600) : undefined;
  if (to !== "in place" || !stats?.isFile()) rmSync(file, { force: true });
  if (to === "gone") return;
  mkdirSync(dirname(file), { recursive: true });
  if (to === "link") return symlinkSync("a", file);
  writeFileSync(file, to);
  if (to === "program") chmodSync(file, 0o755);
  if (to === "private") chmodSync(file, 0o600);
}
