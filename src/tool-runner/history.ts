import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { oxlintConfigs } from "../analysis/adapters/oxlint.ts";
import { parseChurn, type FileChurn } from "../analysis/hotspots.ts";
import { GitError, run, text, userGit, type Git } from "../snapshots/git.ts";

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

/** Commits of the last year by file, relative to the folder. */
export async function readChurn({ git }: Repository, now: number): Promise<Map<string, FileChurn>> {
  const since = `--since=${new Date(now - churnMs).toISOString()}`;
  const format = ["-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv", "--format="];
  const args = ["log", ...format, "--no-merges", `--max-count=${maxCommits}`, since, "--relative", "--", "."];
  // 128: a repository without a commit.
  const { code, stdout } = await run(git, args, "", [0, 128]);
  return code === 0 ? parseChurn(stdout.toString("utf8")) : new Map();
}

/** Whether a folder has files that came with the repository. */
export async function hasTrackedFiles({ git }: Repository, folder: string): Promise<boolean> {
  const { code } = await run(git, ["ls-files", "--error-unmatch", "--", folder], "", [0, 1, 128]);
  return code === 0;
}

/** @returns those that git ignores, and does not track */
export async function ignoredFiles({ git }: Repository, files: readonly string[]): Promise<Set<string>> {
  const inside = files.filter((file) => file !== "" && !file.startsWith("../"));
  // 128: a path behind a link, or in a module.
  const { code, stdout } = await run(git, ["check-ignore", "-z", "--stdin"], inside.join("\0"), [0, 1, 128]);
  return new Set(code === 0 ? stdout.toString("utf8").split("\0") : []);
}

interface TreeEntry {
  readonly isExecutable: boolean;
  readonly id: string;
  readonly bytes: number;
  readonly path: string;
}

/** Larger files are data. */
const maxFileBytes = 10_000_000;
const maxBatchBytes = 64_000_000;

/**
 * Writes the files of a commit as they are stored: no filter or hook of a configuration runs, and
 * the repository is not changed. Installed packages are linked.
 *
 * @returns the folder in the copy that corresponds to the repository's
 */
export async function copyCommit(repository: Repository, commit: string, target: string): Promise<string> {
  const { git, top, prefix } = repository;
  const args = ["ls-tree", "-r", "-l", "-z", "--full-tree", commit];
  const entries = parseTree((await run(git, args)).stdout.toString("utf8"));
  for (const batch of inBatches(entries)) await writeBatch(git, batch, target);
  // Tools read .gitignore in repositories only.
  mkdirSync(join(target, ".git"), { recursive: true });
  linkModules(top, target, entries);
  const folder = join(target, prefix);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** oxlint also obeys a configuration above the repository, which is to be above the copy, too. */
export function linkConfigAbove({ top }: Repository, target: string): void {
  for (let folder = dirname(top); ; folder = dirname(folder)) {
    const name = oxlintConfigs.find((one) => existsSync(join(folder, one)));
    if (name !== undefined) return symlinkSync(join(folder, name), join(target, name));
    if (dirname(folder) === folder) return;
  }
}

function inBatches(entries: readonly TreeEntry[]): TreeEntry[][] {
  const batches: TreeEntry[][] = [];
  let bytes = Infinity;
  for (const entry of entries) {
    if (bytes + entry.bytes > maxBatchBytes) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)?.push(entry);
    bytes += entry.bytes;
  }
  return batches;
}

/** Git answers each id with a line `<id> blob <bytes>`, the content, and a line break. */
async function writeBatch(git: Git, batch: readonly TreeEntry[], target: string): Promise<void> {
  const { stdout } = await run(git, ["cat-file", "--batch"], batch.map(({ id }) => `${id}\n`).join(""));
  let offset = 0;
  for (const { isExecutable, path, bytes } of batch) {
    const start = stdout.indexOf(10, offset) + 1;
    // A clone without all objects has it elsewhere.
    const isPresent = stdout.toString("latin1", offset, start).includes(" blob ");
    offset = isPresent ? start + bytes + 1 : start;
    if (!isPresent) continue;
    const file = join(target, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, stdout.subarray(start, start + bytes), { mode: isExecutable ? 0o755 : 0o644 });
  }
}

/** Without links, repositories in the repository, and paths that lead elsewhere. */
function parseTree(listed: string): TreeEntry[] {
  return listed.split("\0").flatMap((record) => {
    const [, mode, id, size, path] = /^(100\d{3}) blob ([0-9a-f]+) +(\d+)\t([\s\S]+)$/.exec(record) ?? [];
    if (id === undefined || path === undefined || Number(size) > maxFileBytes) return [];
    const isPlain = !path.split("/").some((part) => ["", ".", "..", ".git"].includes(part.toLowerCase()));
    return isPlain ? [{ isExecutable: mode === "100755", id, bytes: Number(size), path }] : [];
  });
}

function linkModules(top: string, target: string, entries: readonly TreeEntry[]): void {
  const manifests = entries.filter(({ path }) => /(?:^|\/)package\.json$/.test(path));
  const folders = new Set(["", ...manifests.map(({ path }) => dirname(path)).filter((path) => path !== ".")]);
  for (const folder of folders) {
    const installed = join(top, folder, "node_modules");
    const link = join(target, folder, "node_modules");
    if (existsSync(installed) && !existsSync(link) && existsSync(dirname(link)))
      symlinkSync(installed, link, "junction");
  }
}
