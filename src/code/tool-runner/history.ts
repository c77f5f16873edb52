import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { GitError, lines, repositoryGit, run, text, userGit, type Git } from "../../snapshots/git.ts";

const churnMs = 365 * 86_400_000;
const maxCommits = 10_000;

export interface Repository {
  readonly git: Git;
  /** Absolute. */
  readonly top: string;
  /** From the top to the folder, with `/`; "" for the top itself. */
  readonly prefix: string;
}

/** @returns null outside a repository, or without git */
export async function findRepository(
  env: NodeJS.ProcessEnv,
  folder: string,
  signal: AbortSignal,
): Promise<Repository | null> {
  const git = userGit(env, folder, signal);
  try {
    const top = await text(git, ["rev-parse", "--show-toplevel"]);
    const prefix = await text(git, ["rev-parse", "--show-prefix"]);
    return { git, top, prefix: prefix.replace(/\/$/, "") };
  } catch (error) {
    if (error instanceof GitError && error.fault !== "stopped") return null;
    throw error;
  }
}

/** Number of commits of the last year by file, relative to the folder. */
export async function countCommits({ git }: Repository, now: number): Promise<Map<string, number>> {
  const since = `--since=${new Date(now - churnMs).toISOString()}`;
  const format = ["-z", "--name-only", "--no-renames", "--format="];
  const args = ["log", ...format, "--no-merges", `--max-count=${maxCommits}`, since, "--relative", "--", "."];
  // 128: a repository without a commit.
  const { code, stdout } = await run(git, args, "", [0, 128]);
  const files = code === 0 ? stdout.toString("utf8").split("\0").filter(Boolean) : [];
  return new Map([...Map.groupBy(files, (file) => file.trim())].map(([file, all]) => [file, all.length]));
}

/** Whether a folder has files that came with the repository. */
export async function hasTrackedFiles({ git }: Pick<Repository, "git">, folder: string): Promise<boolean> {
  const { code } = await run(git, ["ls-files", "--error-unmatch", "--", folder], "", [0, 1, 128]);
  return code === 0;
}

/** @returns those that git ignores, and does not track */
export async function ignoredFiles({ git }: Repository, files: readonly string[]): Promise<Set<string>> {
  const inside = files.filter((file) => file !== "" && !file.startsWith("../../"));
  // 128: a path behind a link, or in a module.
  const { code, stdout } = await run(git, ["check-ignore", "-z", "--stdin"], inside.join("\0"), [0, 1, 128]);
  return new Set(code === 0 ? stdout.toString("utf8").split("\0") : []);
}

/**
 * Writes the files of a commit by a repository of their own, which has no settings: no filter
 * or hook runs, symbolic links become plain files, and the user's repository is not changed.
 * Installed packages are linked.
 *
 * @returns the folder in the copy that corresponds to the repository's
 */
export async function copyCommit({ git, top, prefix }: Repository, commit: string, target: string): Promise<string> {
  const objects = await text(git, ["rev-parse", "--path-format=absolute", "--git-path", "objects"]);
  const format = await text(git, ["rev-parse", "--show-object-format"]);
  const location = { gitDir: join(target, ".git"), workTree: target, alternates: [objects] };
  const copy = repositoryGit(git.env, { ...location, config: ["core.symlinks=false"] }, git.signal);
  mkdirSync(target, { recursive: true });
  await run(copy, ["init", "--quiet", "--template=", `--object-format=${format}`]);
  await run(copy, ["read-tree", commit]);
  await run(copy, ["checkout-index", "--all", "--quiet"]);
  const manifests = await lines(copy, ["ls-files", "--", "package.json", "**/package.json"]);
  for (const folder of new Set(["", ...manifests.map((path) => dirname(path))])) {
    const installed = join(top, folder, "node_modules");
    const link = join(target, folder, "node_modules");
    if (existsSync(installed) && !existsSync(link) && existsSync(dirname(link)))
      symlinkSync(installed, link, "junction");
  }
  const folder = join(target, prefix);
  mkdirSync(folder, { recursive: true });
  return folder;
}
