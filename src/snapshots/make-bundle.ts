import { copyFileSync, existsSync, mkdtempSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { GitError, repositoryGit, lines, run, withAuthor, withTimeLimit, text, type Git } from "./git.ts";
import { prepareScratch } from "./repository.ts";
import { discover, type WorkTree } from "./work-tree.ts";

/** Files of a project as a snapshot has them. */
export interface SavedCommit {
  /** The repository of the snapshot. */
  readonly repository: string;
  readonly commit: string;
  readonly head: string | null;
  readonly project: string;
}

export interface BundleInput extends SavedCommit {
  readonly env: NodeJS.ProcessEnv;
  readonly snapshots: string;
  readonly maxBytes: number;
  readonly now: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export type BundleResult =
  | {
      readonly state: "made";
      readonly bytes: Buffer;
      readonly needs: readonly string[];
    }
  | { readonly state: "too_large" }
  | { readonly state: "failed"; readonly reason: string };

const scratchPrefix = "bundle-";
const filesRef = "refs/shim/files";
const ontoRef = "refs/shim/onto";

/** Commit of the files on what its reader has. */
export function receivedCommit(bundle: Buffer): string {
  const header = bundle.toString("latin1", 0, bundle.indexOf("\n\n"));
  return (
    header
      .split("\n")
      .find((line) => line.endsWith(` ${ontoRef}`))
      ?.split(" ")[0] ?? ""
  );
}

/**
 * Bundles a snapshot without what a clone has: thin against its base commit where a
 * remote-tracking branch has that, else against its newest ancestors that one has. Needs no
 * repository lock, so that no snapshot waits.
 */
export async function makeBundle(input: BundleInput): Promise<BundleResult> {
  return withTimeLimit<BundleResult>(
    input,
    async (signal) => {
      // One process of a machine sends, so leftovers belong to a killed one.
      const leftovers = readdirSync(input.snapshots).filter((name) => name.startsWith(scratchPrefix));
      for (const name of leftovers) await rm(join(input.snapshots, name), { recursive: true, force: true });
      const scratch = mkdtempSync(join(input.snapshots, scratchPrefix));
      try {
        const tree = await discover(input.env, input.project, signal);
        if ("skipped" in tree) return { state: "failed", reason: tree.skipped };
        return await createBundle(scratch, input, tree.found, signal);
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    },
    (reason) => ({ state: "failed", reason }),
  );
}

async function createBundle(
  scratch: string,
  { env, repository, commit, head, maxBytes, now }: BundleInput,
  tree: WorkTree,
  signal: AbortSignal,
): Promise<BundleResult> {
  prepareScratch(repository, scratch);
  const shallow = join(tree.commonDir, "shallow");
  if (existsSync(shallow)) copyFileSync(shallow, join(scratch, "shallow"));
  const alternates = [join(repository, "objects"), tree.objects];
  const git = withAuthor(
    repositoryGit(env, { gitDir: scratch, alternates, config: ["pack.compression=6"] }, signal),
    now,
  );
  const needs = await findBases(repositoryGit(env, { gitDir: tree.gitDir }, signal), head);
  const bytes = await writeBundle({ ...git, maxOutputBytes: maxBytes }, commit, needs);
  return bytes ? { state: "made", bytes, needs } : { state: "too_large" };
}

async function findBases(project: Git, head: string | null): Promise<string[]> {
  if (head === null) return [];
  const [unpushed] = await lines(project, ["rev-list", "--max-count=1", head, "--not", "--remotes"]);
  if (unpushed === undefined) return [head];
  const boundaryLines = await lines(project, ["rev-list", "--boundary", head, "--not", "--remotes"]);
  return boundaryLines.filter((line) => line.startsWith("-")).map((line) => line.slice(1));
}

async function writeBundle(git: Git, commit: string, needs: readonly string[]): Promise<Buffer | null> {
  const parents = needs.flatMap((parent) => ["-p", parent]);
  const message = "The files of a snapshot, on what its reader has";
  const baseCommit = await text(git, ["commit-tree", `${commit}^{tree}`, ...parents, "-m", message]);
  await run(git, ["update-ref", "--stdin"], `update ${filesRef} ${commit}\nupdate ${ontoRef} ${baseCommit}\n`);
  try {
    const args = ["bundle", "create", "--quiet", "-", filesRef, ontoRef, ...needs.map((id) => `^${id}`)];
    return (await run(git, args)).stdout;
  } catch (error) {
    if (error instanceof GitError && error.fault === "too_large") return null;
    throw error;
  }
}
