import { existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createPrivateFolder } from "../platform/private-files.ts";
import {
  displayPath,
  run,
  splitRaw,
  type Git,
  GitError,
  repositoryGit,
  text,
  userGit,
  withAuthor,
  withTimeLimit,
} from "./git.ts";
import { receivedCommit } from "./make-bundle.ts";
import { prepareScratch, repositoryFor, type OpenRepository, type SnapshotDeps } from "./repository.ts";
import { unpack } from "./restore-files.ts";
import type { SnapshotLimits } from "./selection.ts";
import { stageTree } from "./take-snapshot.ts";
import { submoduleMode, discover, gitNumber, type WorkTree } from "./work-tree.ts";

export interface FileConflict {
  readonly path: string;
  /** Changes of the first and of the second tree. */
  readonly did: readonly [SideChange, SideChange];
  /** Lines in the version of each that meet, such as `3-5, 9`; null: the whole file. */
  readonly lines: readonly [string | null, string | null];
}

export type SideChange = "changed" | "added" | "deleted";

interface Stages {
  readonly path: string;
  readonly isText: boolean;
  /** Blobs of the base and the two sides. */
  readonly blobs: readonly (string | undefined)[];
}

/** Files of a pair whose lines are found; of the others only the name is said. */
const maxWithLines = 20;

/** Reads what `git merge-tree -z --no-messages` answers: a tree, then `mode id stage TAB path`. */
async function readAnswer(git: Git, stdout: Buffer): Promise<FileConflict[]> {
  const files = new Map<string, { isText: boolean; blobs: (string | undefined)[] }>();
  for (const record of splitRaw(stdout).slice(1)) {
    const [mode = "", id = "", stage = ""] = record.slice(0, record.indexOf("\t")).split(" ");
    if (stage === "") break;
    const path = displayPath(record.slice(record.indexOf("\t") + 1));
    const file = files.get(path) ?? { isText: true, blobs: [] };
    file.isText &&= mode !== submoduleMode;
    file.blobs[Number(stage) - 1] = id;
    files.set(path, file);
  }
  const conflicts: FileConflict[] = [];
  for (const [path, file] of files)
    conflicts.push(await describe(git, { path, ...file }, conflicts.length < maxWithLines));
  return conflicts;
}

async function describe(git: Git, { path, isText, blobs }: Stages, hasLines: boolean): Promise<FileConflict> {
  const [base, a, b] = blobs;
  const side = (own: string | undefined): SideChange =>
    own === undefined ? "deleted" : base === undefined ? "added" : "changed";
  const did = [side(a), side(b)] as const;
  const isLined = hasLines && isText && base !== undefined && a !== undefined && b !== undefined;
  return { path, did, lines: isLined ? await meetingLines(git, base, a, b) : [null, null] };
}

interface Hunk {
  /** First line of the base, from 0, and how many; the same of the side's version. */
  readonly from: number;
  readonly count: number;
  readonly ownFrom: number;
  readonly ownCount: number;
  readonly text: string;
}

/** Changes meet as in git's merge: they overlap, or no line of the base is between them. */
async function meetingLines(git: Git, base: string, a: string, b: string): Promise<[string | null, string | null]> {
  const [ofA, ofB] = [await hunks(git, base, a), await hunks(git, base, b)];
  return [ranges(ofA.filter((one) => meets(one, ofB))), ranges(ofB.filter((one) => meets(one, ofA)))];
}

function meets(one: Hunk, others: readonly Hunk[]): boolean {
  return others.some(
    (other) => one.from + one.count >= other.from && other.from + other.count >= one.from && !isSameChange(one, other),
  );
}

function isSameChange(one: Hunk, other: Hunk): boolean {
  return one.from === other.from && one.count === other.count && one.text === other.text;
}

/** None for a binary file. */
async function hunks(git: Git, base: string, own: string): Promise<Hunk[]> {
  const flags = [
    "-U0",
    "--ignore-cr-at-eol",
    "--diff-algorithm=histogram",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
  ];
  const { stdout } = await run(git, ["diff", ...flags, base, own], "", [0, 1]);
  const [, ...parts] = stdout.toString("latin1").split(/^@@ /m);
  return parts.flatMap((part) => {
    const header = /^-(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(part);
    if (header === null) return [];
    const numbers = header.slice(1).map((digits: string | undefined) => Number(digits ?? 1));
    const [start = 0, count = 0, ownFrom = 0, ownCount = 0] = numbers;
    const text = part.slice(part.indexOf("\n") + 1);
    // Git names the line before a place without lines.
    return [{ from: count === 0 ? start : start - 1, count, ownFrom, ownCount, text }];
  });
}

const maxRanges = 4;

/** Lines that were deleted are named by the one before them. */
function ranges(meeting: readonly Hunk[]): string | null {
  const texts = meeting.map(({ ownFrom, ownCount }) =>
    ownCount < 2 ? String(Math.max(1, ownFrom)) : `${ownFrom}-${ownFrom + ownCount - 1}`,
  );
  if (texts.length === 0) return null;
  return texts.length > maxRanges ? `${texts.slice(0, maxRanges).join(", ")} and more` : texts.join(", ");
}

/** A work tree here, or the files of a chat of another machine. */
export interface Side {
  /** Root of the work tree, or the id of the files. */
  readonly name: string;
  /** The side as it was made last; null: it was not. */
  readonly last: MadeSide | null;
  /** Whether nothing followed, so that it is not read again. */
  readonly isSame: boolean;
  /** Files of another machine, with a work tree here of the same repository. */
  readonly received?: { readonly bundle: Buffer; readonly needs: readonly string[]; readonly clone: string };
}

/** A side as a commit, whose own objects are in a scratch folder. */
export interface MadeSide {
  readonly name: string;
  /** Digest of what is merged. */
  readonly state: string;
  readonly commit: string;
  readonly isReceived: boolean;
  readonly scratch: string;
  readonly objects: readonly string[];
  readonly tree: WorkTree;
}

export interface ForeseeInput extends SnapshotDeps {
  /** All of one repository. */
  readonly sides: readonly Side[];
  /** Scratch folders of earlier looks that stay. */
  readonly keep: readonly string[];
  readonly snapshots: string;
  readonly limits: SnapshotLimits;
  readonly timeoutMs: number;
  readonly now: number;
  readonly signal?: AbortSignal;
}

export interface Forecast {
  readonly sides: readonly MadeSide[];
  /** Pairs of which a side has changed. */
  readonly pairs: readonly ForeseenPair[];
  /** Why sides or pairs were left out, for the log. */
  readonly problems: readonly string[];
}

export interface ForeseenPair {
  readonly names: readonly [string, string];
  /** Files that cannot be merged. */
  readonly conflicts: readonly FileConflict[];
}

/** `git merge-tree --write-tree` came with 2.38 (October 2022). */
const minMergeTree = 2_038;

/** Whether this git can merge without a work tree. @param versionText what `git version` prints */
export function canForesee(versionText: string): boolean {
  return gitNumber(versionText) >= minMergeTree;
}

/**
 * Merges the sides pair by pair, in scratch folders beside SHIM's repository: the project and
 * that repository are only read. Needs no repository lock, so that no snapshot waits.
 */
export async function foreseeConflicts(input: ForeseeInput): Promise<Forecast> {
  const problems: string[] = [];
  return withTimeLimit<Forecast>(
    input,
    async (signal) => {
      const folder = await clearForeseen(input.snapshots, input.keep);
      if (input.sides.every(({ last }) => last === null)) await expectMergeTree(userGit(input.env, folder, signal));
      const sides: MadeSide[] = [];
      const same = new Set<MadeSide>();
      for (const side of input.sides) {
        const last = side.last !== null && existsSync(side.last.scratch) ? side.last : null;
        const made = last && side.isSame ? last : await make(input, side, mkdtempSync(join(folder, "side-")), signal);
        if (typeof made === "string") {
          problems.push(`${side.name}: ${made}`);
          continue;
        }
        const isSame = made.state === last?.state;
        if (isSame) same.add(last);
        sides.push(isSame ? last : made);
      }
      return { sides, pairs: await mergePairs(input, sides, same, join(folder, "merge"), problems, signal), problems };
    },
    (reason) => ({ sides: [], pairs: [], problems: [...problems, reason] }),
  );
}

async function expectMergeTree(git: Git): Promise<void> {
  const version = await text(git, ["version"]);
  if (!canForesee(version)) throw new GitError("failed", `${version} is too old: to foresee conflicts takes 2.38`);
}

/** Deletes what earlier looks have left. @returns the folder of all */
export async function clearForeseen(snapshots: string, keep: readonly string[]): Promise<string> {
  const folder = join(snapshots, "foreseen.work");
  createPrivateFolder(folder);
  const left = readdirSync(folder).map((name) => join(folder, name));
  for (const path of left) if (!keep.includes(path)) await rm(path, { recursive: true, force: true });
  return folder;
}

/** @returns why it is left out */
async function make(
  input: ForeseeInput,
  { name, received }: Side,
  scratch: string,
  signal: AbortSignal,
): Promise<MadeSide | string> {
  const found = await discover(input.env, received?.clone ?? name, signal);
  if ("skipped" in found) return found.skipped;
  const tree = found.found;
  if (tree.head === null) return "it has no commit yet";
  const repository = repositoryFor(input.snapshots, tree);
  const owned = join(repository, "objects");
  prepare(scratch, tree);
  const opened: OpenRepository = { host: input, signal, repository, owned, scratch, earlier: [] };
  const objects = [join(scratch, "objects"), tree.objects, ...(existsSync(owned) ? [owned] : [])];
  const side = { name, isReceived: received !== undefined, scratch, objects, tree };
  if (received) {
    const unpacked = await unpack(opened, tree, { env: input.env, project: received.clone, ...received });
    if (!unpacked.ok) return unpacked.error.message;
    const commit = receivedCommit(received.bundle);
    return { ...side, commit, state: commit };
  }
  const { root, reader } = await stageTree(opened, tree, input, true);
  // A commit on HEAD: the base is that of the two HEADs, as `git merge` would choose it.
  const args = ["commit-tree", root, "-p", tree.head, "-m", "A work tree"];
  return { ...side, commit: await text(withAuthor(reader, input.now), args), state: `${root} ${tree.head}` };
}

function prepare(scratch: string, { format }: WorkTree): void {
  prepareScratch(scratch, scratch);
  writeFileSync(join(scratch, "HEAD"), "ref: refs/heads/none\n");
  const core = "[core]\n\trepositoryformatversion = 1\n\tbare = true\n";
  writeFileSync(join(scratch, "config"), `${core}[extensions]\n\tobjectformat = ${format}\n`);
}

async function mergePairs(
  input: ForeseeInput,
  sides: readonly MadeSide[],
  same: ReadonlySet<MadeSide>,
  scratch: string,
  problems: string[],
  signal: AbortSignal,
): Promise<ForeseenPair[]> {
  const pairs: ForeseenPair[] = [];
  for (const [at, a] of sides.entries())
    for (const b of sides.slice(at + 1)) {
      // Each machine tells its own chats.
      if ((a.isReceived && b.isReceived) || (same.has(a) && same.has(b))) continue;
      const names = [a.name, b.name] as const;
      try {
        prepare(scratch, a.tree);
        pairs.push({ names, conflicts: await merge(input, a, b, scratch, signal) });
      } catch (error) {
        // Histories without a common commit, and objects that are gone.
        if (!(error instanceof GitError) || error.fault !== "failed") throw error;
        problems.push(`${names.join(", ")}: ${error.message}`);
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    }
  return pairs;
}

async function merge(
  { env }: ForeseeInput,
  a: MadeSide,
  b: MadeSide,
  scratch: string,
  signal: AbortSignal,
): Promise<FileConflict[]> {
  if (a.state === b.state) return [];
  const { top, config } = a.tree;
  const alternates = [...new Set([...a.objects, ...b.objects])];
  // The attributes of a work tree say how its files are merged; settings of the user's do not.
  const settings = [...config, "merge.renormalize=true"];
  const git = repositoryGit(env, { gitDir: scratch, workTree: top, alternates, config: settings }, signal);
  const args = ["merge-tree", "--write-tree", "-z", "--no-messages", a.commit, b.commit];
  const answer = await run(git, args, "", [0, 1]);
  return answer.code === 0 ? [] : readAnswer(git, answer.stdout);
}
