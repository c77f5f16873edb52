import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { firstLine, repositoryGit, lines, run, withTimeLimit, type Git } from "./git.ts";
import { readingGit } from "./object-store.ts";
import { repositoryFor, withRepository, type OpenRepository } from "./repository.ts";
import { isCommitId, putBack, refuse, type RestoreInput, type RestoreOutcome } from "./restore-files.ts";
import { discover, type WorkTree } from "./work-tree.ts";

export interface RestoreReceivedInput extends Omit<RestoreInput, "repository"> {
  readonly project: string;
  readonly snapshots: string;
  readonly bundle: Buffer;
  readonly needs: readonly string[];
}

/**
 * [GS61] Restores like `restoreFiles`, from a bundle verified against the local clone and unpacked
 * into a scratch, of which nothing is kept. [GS62] Refuses a bundle without its base commits.
 */
export async function restoreReceived(input: RestoreReceivedInput): Promise<RestoreOutcome> {
  if (![input.commit, ...input.needs].every(isCommitId))
    return refuse("bundle_unusable", "the files name invalid commit ids");
  return withTimeLimit(
    input,
    async (signal) => {
      const tree = await discover(input.env, input.project, signal);
      if ("skipped" in tree) return refuse("not_a_work_tree", tree.skipped);
      const { found } = tree;
      return withRepository(input, repositoryFor(input.snapshots, found), found, signal, async (opened) => {
        return (await unpack(opened, found, input)) ?? putBack(opened, input);
      });
    },
    (reason) => refuse("restore_failed", reason),
  );
}

async function unpack(
  opened: OpenRepository,
  tree: WorkTree,
  { env, bundle, needs, project: folder }: RestoreReceivedInput,
): Promise<RestoreOutcome | null> {
  const project = repositoryGit(env, { gitDir: tree.gitDir }, opened.signal);
  const missing = await findMissing(project, needs);
  if (missing.length > 0)
    return refuse(
      "commit_missing",
      `the files are based on commit ${missing.join(", ")}, which is not in ${folder}: \`git fetch\` there, or push it from the machine that has it, then try again`,
    );
  const file = join(opened.scratch, "files.bundle");
  writeFileSync(file, bundle, { mode: 0o600 });
  const verified = await run(project, ["bundle", "verify", "--quiet", file], "", [0, 1, 128]);
  if (verified.code !== 0)
    return refuse(
      "bundle_unusable",
      `git does not accept the files: ${firstLine(verified.stderr) || "they are damaged"}`,
    );
  const pack = bundle.subarray(bundle.indexOf("\n\n") + 2);
  await run(readingGit(opened, [tree.objects]), ["unpack-objects", "-q", "--strict"], pack);
  return null;
}

export async function findMissing(project: Git, needs: readonly string[]): Promise<string[]> {
  const queries = needs.map((id) => `${id}^{commit}\n`).join("");
  const answer = await lines(project, ["cat-file", "--batch-check=%(objecttype)"], queries);
  return needs.filter((_id, at) => answer[at] !== "commit");
}
