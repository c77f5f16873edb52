import { lstatSync } from "node:fs";
import { isAbsolute, join, relative, sep } from "node:path";
import { answerSync, userGit, displayPath, splitRaw, type Git } from "./git.ts";

export interface ChangedFile {
  readonly path: string;
  readonly modifiedMs: number | null;
}

export interface ProjectChanges {
  readonly open: readonly ChangedFile[];
  readonly committed: ReadonlySet<string>;
  readonly clean: ReadonlySet<string>;
}

export interface ChangesQuery {
  readonly project: string;
  /** Commit at the session's start; null when unknown or absent. */
  readonly commit: string | null;
  /** Commit now, as far as it is known without git. */
  readonly knownHead: string | null;
  /** Epoch ms: earlier changes are not the session's. */
  readonly startedAt: number;
  readonly edited: readonly string[];
}

/** Time limit of one question in ms; a recovery then continues without the answer. */
const timeoutMs = 1_500;
const maxFiles = 2_000;
/** A file's time may be coarser than the clock. */
const slackMs = 2_000;
const flags = ["--name-only", "-z", "--no-renames", "--ignore-submodules=all"];
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/** [RE32] Reads only, by size and time, so that no filter of the project runs. */
export function changesIn(
  env: NodeJS.ProcessEnv,
  { project, commit, knownHead, startedAt, edited }: ChangesQuery,
): ProjectChanges | null {
  const git = userGit(env, project, AbortSignal.timeout(timeoutMs * 4));
  const head =
    knownHead ??
    (answerSync(git, ["rev-parse", "-q", "--verify", "HEAD^{commit}"], timeoutMs)?.toString("utf8").trim() || null);
  const dirty = listLines(git, ["diff-index", ...flags, head ?? emptyTree, "--"]);
  const untracked = listLines(git, ["ls-files", "--others", "--exclude-standard", "-z"]);
  if (dirty === null || untracked === null) return null;
  const openFiles = [...new Set([...dirty, ...untracked])].slice(0, maxFiles).map((name): ChangedFile => {
    const path = join(project, name);
    try {
      return { path, modifiedMs: lstatSync(path).mtimeMs };
    } catch {
      return { path, modifiedMs: null };
    }
  });
  const isMoved = commit !== null && head !== null && commit !== head;
  const committed = isMoved ? listLines(git, ["diff-tree", "-r", ...flags, commit, head, "--"]) : [];
  const isOpen = new Set(openFiles.map(({ path }) => path));
  return {
    open: openFiles
      .filter(({ modifiedMs }) => modifiedMs === null || modifiedMs >= startedAt - slackMs)
      .sort((one, other) => (other.modifiedMs ?? 0) - (one.modifiedMs ?? 0)),
    committed: new Set((committed ?? []).map((path) => join(project, path))),
    clean: new Set(trackedPaths(git, project, edited, isOpen)),
  };
}

function trackedPaths(git: Git, project: string, edited: readonly string[], isOpen: ReadonlySet<string>): string[] {
  const inside = edited
    .filter((path) => isAbsolute(path))
    .map((path) => relative(project, path))
    .filter((path) => path !== "" && !path.startsWith("..") && !isAbsolute(path))
    .filter((path) => !isOpen.has(join(project, path)))
    .map((path) => path.split(sep).join("/"));
  if (inside.length === 0) return [];
  const known = listLines(git, ["--literal-pathspecs", "ls-files", "-z", "--", ...inside.slice(-500)]) ?? [];
  return known.map((path) => join(project, path));
}

function listLines(git: Git, args: readonly string[]): string[] | null {
  const answer = answerSync(git, args, timeoutMs);
  return answer && splitRaw(answer).map(displayPath);
}
