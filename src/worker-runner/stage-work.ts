import { setImmediate as breathe } from "node:timers/promises";
import { changesSince, type FileChange } from "../snapshots/work-tree-changes.ts";
import { type Git, joinRaw, diskPath, run, displayPath } from "../snapshots/git.ts";
import { SecretContent, secretIn } from "../snapshots/secret-content.ts";
import { isSecretName, secretName } from "../snapshots/secret-names.ts";
import { ownRepository, readStats, type ExcludedFile } from "../snapshots/selection.ts";

/** Yields to other work of this process after each turn. */
const filesPerTurn = 50;

/** [WK44] Leaves out files and changes with secrets, and repositories in the worktree. */
export async function stageWork(git: Git, tree: string): Promise<ExcludedFile[]> {
  await run(git, ["add", "--update", "."]);
  const { changes } = await changesSince(git, "HEAD");
  const content = new SecretContent();
  const leftOut: (ExcludedFile & { readonly change: FileChange })[] = [];
  const isNew: FileChange[] = [];
  for (const [index, change] of changes.entries()) {
    if (index % filesPerTurn === filesPerTurn - 1) await breathe();
    const reason = await findReason(git, tree, content, change);
    if (reason !== null) leftOut.push({ path: displayPath(change.path), reason, change });
    else if (!change.isTracked && readStats(tree, change.path)) isNew.push(change);
  }
  await stagePaths(git, ["add"], isNew);
  await stagePaths(
    git,
    ["reset", "--quiet"],
    leftOut.map(({ change }) => change).filter(({ isTracked }) => isTracked),
  );
  return leftOut.map(({ path, reason }) => ({ path, reason }));
}

async function findReason(git: Git, tree: string, content: SecretContent, change: FileChange): Promise<string | null> {
  const { path, before } = change;
  if (path.endsWith("/")) return ownRepository;
  if (readStats(tree, path)?.isFile() !== true) return null;
  if (before === null && isSecretName(path)) return secretName;
  const reason = content.reason(diskPath(tree, path), path);
  if (reason === null || before === null) return reason;
  const { stdout } = await run(git, ["cat-file", "blob", before.id]);
  return secretIn(stdout, path) === null ? `${reason}; the last commit's version is kept` : null;
}

async function stagePaths(git: Git, command: readonly string[], changes: readonly FileChange[]): Promise<void> {
  if (changes.length === 0) return;
  const literal = { ...git, before: [...git.before, "--literal-pathspecs"] };
  const paths = joinRaw(changes.map(({ path }) => path));
  await run(literal, [...command, "--pathspec-from-file=-", "--pathspec-file-nul"], paths);
}
