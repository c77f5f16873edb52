import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, dirname } from "node:path";
import { parseArgs } from "node:util";
import { defaults } from "../../src/contract/config.ts";
import { jobsOf } from "../../src/local-mcp/host/job-process.ts";
import { systemProcesses } from "../../src/platform/processes.ts";
import { runApart } from "../../src/runtime/runtime.ts";
import { foreseeConflicts, type Forecast, type MadeSide } from "../../src/snapshots/foresee-conflicts.ts";
import { Random, scaled } from "../measure.ts";

/** The text of a file after each of its edits; null: the file is not there. */
interface Edit {
  readonly path: string;
  readonly text: string | null;
}

/** Two chats that begin at one commit. */
interface Pair {
  readonly name: string;
  readonly edits: readonly [readonly Edit[], readonly Edit[]];
}

interface Task {
  /** Git folder that has the commit. */
  readonly repository: string;
  readonly base: string;
  readonly pairs: readonly Pair[];
}

function git(folder: string, ...args: string[]): string {
  const identity = ["-c", "user.name=Bench", "-c", "user.email=bench@localhost"];
  return execFileSync("git", ["-C", folder, ...identity, ...args], {
    encoding: "utf8",
    maxBuffer: 268_435_456,
    stdio: ["ignore", "pipe", "ignore"],
  });
}

/** Tasks of a clone of CooperBench, for whose base commits a repository is in the folder of clones. */
function* readTasks(dataset: string, clones: string): Generator<Task> {
  const files = git(dataset, "ls-tree", "-r", "--name-only", "HEAD", "dataset/").split("\n");
  const repositories = readdirSync(clones)
    .flatMap((name) => [join(clones, name), join(clones, name, "repo")])
    .filter((path) => existsSync(join(path, "HEAD")) || existsSync(join(path, ".git")));
  for (const setUp of files.filter((path) => path.endsWith("/setup.sh"))) {
    const folder = setUp.slice(0, -"/setup.sh".length);
    const base = /BASE_COMMIT="?([0-9a-f]{40})/.exec(git(dataset, "show", `HEAD:${setUp}`))?.[1] ?? "";
    const repository = repositories.find((path) => has(path, base));
    if (repository === undefined) continue;
    const patches = files.filter((path) => path.startsWith(`${folder}/`) && path.endsWith("/feature.patch"));
    const features = patches.map((path) => readEdits(git(dataset, "show", `HEAD:${path}`), repository, base));
    const pairs = features.flatMap((one, at) =>
      features.slice(at + 1).flatMap((two, more) => {
        const name = `${folder.slice("dataset/".length)} ${at + 1} ${at + more + 2}`;
        return one && two ? { name, edits: [one, two] as const } : [];
      }),
    );
    yield { repository, base, pairs };
  }
}

function has(repository: string, commit: string): boolean {
  try {
    git(repository, "cat-file", "-e", `${commit}^{tree}`);
    return true;
  } catch {
    return false;
  }
}

/** Each hunk of a patch is an edit. @returns null where it does not fit */
function readEdits(patch: string, repository: string, base: string): Edit[] | null {
  const edits: Edit[] = [];
  for (const part of patch.split(/^diff --git /m).slice(1)) {
    const [head = "", ...hunks] = part.split(/^(?=@@ )/m);
    const [, before] = /^--- a\/(.*)$/m.exec(head) ?? [];
    const [, path = before] = /^\+\+\+ b\/(.*)$/m.exec(head) ?? [];
    if (path === undefined || /^(rename|copy|GIT binary)/m.test(head)) return null;
    if (head.includes("\ndeleted file")) edits.push({ path, text: null });
    else {
      const texts = applied(before === undefined ? "" : textAt(repository, base, before), hunks);
      if (texts === null) return null;
      edits.push(...texts.map((text) => ({ path, text })));
    }
  }
  return edits;
}

function textAt(repository: string, commit: string, path: string): string {
  return git(repository, "cat-file", "blob", `${commit}:${path}`);
}

/** The text after each hunk; null where one does not fit. */
function applied(text: string, hunks: readonly string[]): string[] | null {
  let lines = text.split("\n");
  let shift = 0;
  const texts: string[] = [];
  for (const hunk of hunks) {
    const [header = "", ...body] = hunk.replace(/\n$/, "").split("\n");
    const [, start = "0", count = "1"] = /^@@ -(\d+)(?:,(\d+))? /.exec(header) ?? [];
    const changes = body.filter((line) => /^[ +-]/.test(line) || line === "");
    const kept = changes.filter((line) => !line.startsWith("+")).map((line) => line.slice(1));
    const made = changes.filter((line) => !line.startsWith("-")).map((line) => line.slice(1));
    const at = (count === "0" ? Number(start) : Number(start) - 1) + shift;
    const found = lines.slice(at, at + Number(count));
    if (found.join("\n") !== kept.slice(0, Number(count)).join("\n")) return null;
    const written = made.slice(0, made.length - (kept.length - Number(count)));
    lines = [...lines.slice(0, at), ...written, ...lines.slice(at + Number(count))];
    shift += written.length - Number(count);
    texts.push(lines.join("\n"));
  }
  return texts;
}

const [files, linesOfFile, edits] = [4, 40, scaled(6, 2)];

/** Pairs of chats that change drawn lines of drawn files; about half of them meet. */
function generatePairs(repository: string, count: number, random: Random): Task {
  const base = git(repository, "rev-parse", "HEAD").trim();
  const chat = (name: string): Edit[] => {
    const texts = new Map<string, string[]>();
    return Array.from({ length: edits }, (_, at) => {
      const path = `file${random.between(0, files - 1)}.txt`;
      const lines = texts.get(path) ?? textAt(repository, base, path).split("\n");
      texts.set(path, lines);
      lines[random.between(0, linesOfFile - 1)] = `${name} ${at}`;
      return { path, text: lines.join("\n") };
    });
  };
  const pairs = Array.from({ length: count }, (_, at) => ({
    name: `pair ${at}`,
    edits: [chat("a"), chat("b")] as const,
  }));
  return { repository, base, pairs };
}

function generatedFiles(): Record<string, string> {
  const text = Array.from({ length: linesOfFile }, (_, at) => `line ${at}\n`).join("");
  return Object.fromEntries(Array.from({ length: files }, (_, at) => [`file${at}.txt`, text]));
}

const startJob = jobsOf(join(import.meta.dirname, "..", "..", "dist", "mcp-jobs.cjs"));

/** What came of a pair; edits are counted over both chats. */
interface Played {
  /** Files that `git merge` of the final commits cannot merge. */
  readonly truth: ReadonlySet<string>;
  /** Number of edits after which a file was first foreseen. */
  readonly foreseen: ReadonlyMap<string, number>;
  /** Edits before the first of the two commits. */
  readonly firstCommit: number;
}

/** As the host does after an edit in one work tree: the other one is as it was. */
async function foresee(
  root: string,
  trees: readonly [string, string],
  edited: string,
  made: Map<string, MadeSide>,
): Promise<Forecast> {
  const input = {
    env: { ...process.env },
    sides: trees.map((name) => ({ name, last: made.get(name) ?? null, isSame: name !== edited })),
    keep: [...made.values()].map(({ scratch }) => scratch),
    snapshots: join(root, "snapshots"),
    limits: defaults.snapshots,
    timeoutMs: 60_000,
    now: Date.now(),
  };
  const found = await runApart({ startJob, processes: systemProcesses }, "foreseeConflicts", foreseeConflicts, input);
  for (const side of found.sides) made.set(side.name, side);
  return found;
}

function put(tree: string, { path, text }: Edit): void {
  const file = join(tree, path);
  if (text === null) return rmSync(file, { force: true });
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

async function play(
  root: string,
  { edits: [ofA, ofB] }: Pair,
  [a, b]: readonly [string, string],
  base: string,
): Promise<Played> {
  const foreseen = new Map<string, number>();
  const made = new Map<string, MadeSide>();
  let count = 0;
  for (let turn = 0; turn < Math.max(ofA.length, ofB.length); turn++)
    for (const [tree, edit] of [
      [a, ofA[turn]],
      [b, ofB[turn]],
    ] as const) {
      if (edit === undefined) continue;
      put(tree, edit);
      count += 1;
      const { pairs, problems } = await foresee(root, [a, b], tree, made);
      if (problems.length > 0) throw new Error(problems.join("; "));
      for (const { path } of pairs[0]?.conflicts ?? []) if (!foreseen.has(path)) foreseen.set(path, count);
    }
  const truth = mergeFinal(a, b);
  for (const tree of [a, b]) {
    git(tree, "reset", "--quiet", "--hard", base);
    git(tree, "clean", "-qfd");
  }
  const [shorter, longer] = [ofA.length, ofB.length].toSorted((one, two) => one - two) as [number, number];
  const firstCommit = ofA.length <= ofB.length ? Math.max(1, 2 * shorter - 1) : 2 * shorter;
  return { truth, foreseen, firstCommit: Math.min(firstCommit, shorter + longer) };
}

function mergeFinal(a: string, b: string): Set<string> {
  for (const tree of [a, b]) {
    git(tree, "add", "-A", "-f");
    git(tree, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", "final");
  }
  try {
    git(a, "merge", "--quiet", "--no-edit", git(b, "rev-parse", "HEAD").trim());
    return new Set();
  } catch {
    const files = git(a, "diff", "--name-only", "--diff-filter=U", "-z").split("\0").filter(Boolean);
    git(a, "merge", "--abort");
    return new Set(files);
  }
}

/** The commit without the files that a clone lacks. */
function wholeCommit(clone: string, commit: string): string {
  git(clone, "read-tree", commit);
  const objects = git(clone, "rev-list", "--objects", "--missing=print", "--no-object-names", `${commit}^{tree}`);
  const missing = new Set(objects.split("\n").flatMap((id) => (id.startsWith("?") ? id.slice(1) : [])));
  for (const entry of git(clone, "ls-files", "--stage", "-z").split("\0"))
    if (missing.has(entry.split(" ")[1] ?? ""))
      git(clone, "update-index", "--force-remove", entry.split("\t")[1] ?? "");
  return git(clone, "commit-tree", git(clone, "write-tree").trim(), "-m", "base").trim();
}

function generated(root: string, count: number, random: Random): Task[] {
  const repository = join(root, "generated");
  mkdirSync(repository);
  git(repository, "init", "--quiet");
  for (const [path, text] of Object.entries(generatedFiles())) put(repository, { path, text });
  git(repository, "add", "-A");
  git(repository, "commit", "--quiet", "-m", "first");
  return [generatePairs(repository, count, random)];
}

/**
 * `npm run bench -- conflicts [<clone of CooperBench> <folder of clones> [--pairs N]]`: pairs of chats edit two work trees
 * in turns, and conflicts are foreseen after each edit. Without a data set the pairs are generated.
 */
export async function conflicts(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { pairs: { type: "string", default: String(scaled(60, 4)) }, seed: { type: "string", default: "1" } },
  });
  const [dataset, clones] = positionals;
  const count = Number(values.pairs);
  const random = new Random(Number(values.seed));
  const root = mkdtempSync(join(tmpdir(), "conflicts-"));
  const isGiven = dataset !== undefined && clones !== undefined;
  const tasks = isGiven ? [...readTasks(dataset, clones)] : generated(root, count, random);
  const all = tasks.flatMap(({ pairs }) => pairs.map((pair) => ({ pair, order: random.share() })));
  const drawn = all.toSorted((one, two) => one.order - two.order).slice(0, count);
  const chosen = new Set(drawn.map(({ pair }) => pair));
  const played: Played[] = [];
  for (const [at, task] of tasks.entries()) {
    const pairs = task.pairs.filter((pair) => chosen.has(pair));
    if (pairs.length === 0) continue;
    const [a, b] = [join(root, `${at}a`), join(root, `${at}b`)];
    git(root, "clone", "--quiet", "--shared", "--no-checkout", task.repository, a);
    const base = wholeCommit(a, task.base);
    git(a, "checkout", "--quiet", "--detach", base);
    git(a, "worktree", "add", "--quiet", "--detach", b, base);
    for (const pair of pairs) played.push(await play(root, pair, [a, b], base));
    for (const tree of [a, b]) rmSync(tree, { recursive: true, force: true });
  }
  rmSync(root, { recursive: true, force: true });
  return resultOf(played);
}

/** Files and pairs that `git merge` of the final commits cannot merge, and those of them that were foreseen before a commit. */
function resultOf(played: readonly Played[]) {
  const meeting = played.filter(({ truth }) => truth.size > 0);
  const filesOf = (pick: (one: Played, path: string) => boolean): number =>
    meeting.reduce((sum, one) => sum + [...one.truth].filter((path) => pick(one, path)).length, 0);
  const isEarly = ({ foreseen, firstCommit }: Played, path: string): boolean =>
    (foreseen.get(path) ?? Infinity) <= firstCommit;
  const falseFiles = played.flatMap(({ foreseen, truth }) => [...foreseen.keys()].filter((path) => !truth.has(path)));
  return {
    pairs: meeting.length,
    pairsBeforeFirst: meeting.filter((one) => [...one.truth].some((path) => isEarly(one, path))).length,
    files: filesOf(() => true),
    filesBeforeSecond: filesOf(({ foreseen }, path) => foreseen.has(path)),
    falseFiles: falseFiles.length,
  };
}
