import { createHash } from "node:crypto";
import { lstatSync, readFileSync } from "node:fs";
import { isAbsolute, join, relative, sep } from "node:path";
import { answerSync, displayPath, repositoryGit, splitRaw } from "./git.ts";
import type { FileComparison } from "./file-state.ts";

export interface SnapshotOfProject {
  readonly repository: string;
  readonly commit: string;
  readonly project: string;
}

const timeoutMs = 1_500;
const maxFiles = 100;
const maxFileBytes = 5_000_000;
/** A file's time may be coarser than the clock. */
const slackMs = 2_000;

/**
 * [RE232] Compares files with a snapshot, byte by byte.
 * @param paths absolute; those outside of the project have no answer
 * @param until epoch ms of the session's last event: what changed later was not its work
 * @returns "same" where the bytes are those of the snapshot, "changed" where they are others and
 * the file was written later, "unknown" otherwise; null: git gave no answer
 */
export function compareWithSnapshot(
  env: NodeJS.ProcessEnv,
  { repository, commit, project }: SnapshotOfProject,
  paths: readonly string[],
  until: number,
): ReadonlyMap<string, FileComparison> | null {
  const inside = paths
    .map((path) => relative(project, path))
    .filter((path) => path !== "" && !path.startsWith("..") && !isAbsolute(path))
    .map((path) => path.split(sep).join("/"))
    .slice(0, maxFiles);
  if (inside.length === 0) return new Map();
  const git = repositoryGit(env, { gitDir: repository }, AbortSignal.timeout(timeoutMs));
  const answer = answerSync(git, ["--literal-pathspecs", "ls-tree", "-z", commit, "--", ...inside], timeoutMs);
  if (answer === null) return null;
  const found = splitRaw(answer).map((line) => /^\d+ blob ([0-9a-f]+)\t([\s\S]*)$/.exec(displayPath(line)));
  return new Map(
    found.flatMap((match): [string, FileComparison][] => {
      const [, id = "", name = ""] = match ?? [];
      const path = join(project, name);
      return id === "" ? [] : [[path, compare(path, id, until)]];
    }),
  );
}

/** @param id of the blob; a project may convert line ends, so other bytes alone prove no change */
function compare(path: string, id: string, until: number): FileComparison {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (!stats?.isFile() || stats.size > maxFileBytes) return "unknown";
  const content = readFileSync(path);
  // Git's object id (gitformat-loose: "blob", the size, a zero byte, the content).
  const hash = createHash(id.length === 64 ? "sha256" : "sha1")
    .update(`blob ${content.length}\0`)
    .update(content);
  if (hash.digest("hex") === id) return "same";
  return stats.mtimeMs > until + slackMs ? "changed" : "unknown";
}
