import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { objectIn } from "./file-entry.ts";
import { displayPath, joinRaw, pathInside, run, text, type Git, type RawPath } from "./git.ts";
import { removedFirst } from "./replace-files.ts";
import { describe, readingGit, type OpenRepository } from "./repository.ts";
import type { ExcludedFile } from "./selection.ts";
import type { UndoneFile } from "./undo-history.ts";

/** A file that is to change, as people see it. */
export interface FileChange {
  /** Relative to the project. */
  readonly path: string;
  /** missing: the project has no such file now; created: it alone has it. */
  readonly now: "changed" | "missing" | "created";
}

export function toFileChange({ path, before, after }: UndoneFile): FileChange {
  return { path: displayPath(path), now: after === null ? "created" : before === null ? "missing" : "changed" };
}

/** @param chosen paths of files and folders, relative to the project; empty: all */
export function isChosen(chosen: readonly string[], path: RawPath): boolean {
  const shown = displayPath(path);
  return chosen.length === 0 || chosen.some((one) => shown === one || shown.startsWith(`${one}/`));
}

/** Files whose content is stored no more cannot come back. */
export async function splitLost(
  git: Git,
  wanted: readonly UndoneFile[],
): Promise<{ readonly ready: UndoneFile[]; readonly lost: ExcludedFile[] }> {
  const ids = wanted.flatMap(({ after }) => (after === null ? [] : objectIn(after)));
  const missing = (await describe(git, ids)).filter(({ type }) => type === "missing");
  const lostIds = new Set(missing.map(({ id }) => id));
  const isLost = ({ after }: UndoneFile): boolean => lostIds.has(objectIn(after));
  const reason = "its earlier content is stored no more";
  return {
    ready: wanted.filter((one) => !isLost(one)),
    lost: wanted.filter(isLost).map(({ path }) => ({ path: displayPath(path), reason })),
  };
}

/** Writes the files as they are to be into a new folder. */
export async function checkOut(
  opened: OpenRepository,
  { objects, settings }: { readonly objects: readonly string[]; readonly settings: readonly string[] },
  changes: readonly UndoneFile[],
  folder: string,
): Promise<void> {
  mkdirSync(folder);
  const back = changes.filter(({ after }) => after !== null);
  const git = besideIndex(opened, readingGit(opened, objects, folder, settings));
  await putEntries(git, back);
  // Exit 1: some could not be written; they are found by their absence.
  const paths = joinRaw(back.map(({ path }) => pathInside(path)));
  await run(git, ["checkout-index", "-q", "-z", "--stdin"], paths, [0, 1, 128]);
}

/** @returns git with a copy of the scratch's index */
export function besideIndex({ scratch }: OpenRepository, git: Git): Git {
  const [index, copy] = [join(scratch, "index"), join(scratch, "copied-index")];
  if (existsSync(index)) copyFileSync(index, copy);
  return { ...git, env: { ...git.env, GIT_INDEX_FILE: copy } };
}

async function putEntries(git: Git, changes: readonly UndoneFile[]): Promise<void> {
  const lines = changes
    .toSorted(removedFirst)
    .map(({ path, after, before }) => `${after ?? before?.replace(/\w+/, "0")}\t${pathInside(path)}`);
  await run(git, ["update-index", "--replace", "-z", "--index-info"], joinRaw(lines));
}

/** Tree of the scratch's index with these changes. */
export async function treeAfter(opened: OpenRepository, reader: Git, changes: readonly UndoneFile[]): Promise<string> {
  const git = besideIndex(opened, reader);
  await putEntries(git, changes);
  return text(git, ["write-tree", "--missing-ok"]);
}

/** Text as `git diff` prints it. */
export async function diffTrees(git: Git, now: string, then: string): Promise<string> {
  const flags = ["-r", "-p", "-M", "--no-ext-diff", "--no-textconv", "--no-color"];
  const prefixes = ["--src-prefix=now/", "--dst-prefix=then/"];
  return (await run(git, ["diff-tree", ...flags, ...prefixes, now, then])).stdout.toString("utf8");
}
