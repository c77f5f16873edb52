import { displayPath, run, splitRaw, type Git } from "./git.ts";
import { submoduleMode } from "./work-tree.ts";

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
export async function readAnswer(git: Git, stdout: Buffer): Promise<FileConflict[]> {
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
