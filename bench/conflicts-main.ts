/**
 * `npm run bench -- conflicts [<clone of CooperBench> <folder of clones> [--pairs N]]`: pairs of chats edit two work trees
 * in turns, and conflicts are foreseen after each edit. Without a data set the pairs are generated. Prints figures only.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { jobsOf } from "../src/local-mcp/host/job-process.ts";
import { systemProcesses } from "../src/platform/processes.ts";
import { runApart } from "../src/runtime/run-apart.ts";
import { foreseeConflicts, type Forecast, type MadeSide } from "../src/snapshots/foresee-conflicts.ts";
import { defaults } from "../src/contract/config.ts";
import { generatedFiles, generatePairs, git, readTasks, type Edit, type Pair, type Task } from "./conflicts/pairs.ts";
import { mean, ms, sample, printTable, type Row } from "./figures.ts";
import { Random } from "./restore/random.ts";
import { scaled } from "./size.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { pairs: { type: "string", default: String(scaled(60, 4)) }, seed: { type: "string", default: "1" } },
});
const [dataset, clones] = positionals;
const random = new Random(Number(values.seed));
const startJob = jobsOf(join(import.meta.dirname, "..", "dist", "mcp-jobs.cjs"));
const root = mkdtempSync(join(tmpdir(), "conflicts-"));

/** What a pair came to; edits are counted over both chats. */
interface Played {
  /** Files that `git merge` of the final commits cannot merge. */
  readonly truth: ReadonlySet<string>;
  /** Number of edits after which a file was first told. */
  readonly told: ReadonlyMap<string, number>;
  /** Edits before the first of the two commits. */
  readonly firstCommit: number;
  readonly edits: number;
  readonly wallMs: readonly number[];
  readonly cpuMs: readonly number[];
}

/** Time of the processor that ended child processes took, in ms. */
function childrenMs(): number {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ") ?? [];
  const tickMs = 10;
  return (Number(fields[13]) + Number(fields[14])) * tickMs;
}

/** As the host does after an edit in one work tree: the other one is as it was. */
async function foresee(
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

async function play({ edits: [ofA, ofB] }: Pair, [a, b]: readonly [string, string], base: string): Promise<Played> {
  const told = new Map<string, number>();
  const made = new Map<string, MadeSide>();
  const [wallMs, cpuMs]: [number[], number[]] = [[], []];
  let count = 0;
  for (let turn = 0; turn < Math.max(ofA.length, ofB.length); turn++)
    for (const [tree, edit] of [
      [a, ofA[turn]],
      [b, ofB[turn]],
    ] as const) {
      if (edit === undefined) continue;
      put(tree, edit);
      count += 1;
      const [at, cpu] = [performance.now(), childrenMs()];
      const { pairs, problems } = await foresee([a, b], tree, made);
      wallMs.push(performance.now() - at);
      cpuMs.push(childrenMs() - cpu);
      if (problems.length > 0) throw new Error(problems.join("; "));
      for (const { path } of pairs[0]?.conflicts ?? []) if (!told.has(path)) told.set(path, count);
    }
  const truth = mergeFinal(a, b);
  for (const tree of [a, b]) {
    git(tree, "reset", "--quiet", "--hard", base);
    git(tree, "clean", "-qfd");
  }
  const [shorter, longer] = [ofA.length, ofB.length].toSorted((one, two) => one - two) as [number, number];
  const firstCommit = ofA.length <= ofB.length ? Math.max(1, 2 * shorter - 1) : 2 * shorter;
  return { truth, told, firstCommit: Math.min(firstCommit, shorter + longer), edits: count, wallMs, cpuMs };
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

function generated(): Task[] {
  const repository = join(root, "generated");
  mkdirSync(repository);
  git(repository, "init", "--quiet");
  for (const [path, text] of Object.entries(generatedFiles())) put(repository, { path, text });
  git(repository, "add", "-A");
  git(repository, "commit", "--quiet", "-m", "first");
  return [generatePairs(repository, Number(values.pairs), random)];
}

const tasks = dataset === undefined || clones === undefined ? generated() : [...readTasks(dataset, clones)];
const all = tasks.flatMap((task) => task.pairs.map((pair) => ({ task, pair, order: random.share() })));
const chosen = new Set(
  all
    .toSorted((one, two) => one.order - two.order)
    .slice(0, Number(values.pairs))
    .map(({ pair }) => pair),
);
const played: Played[] = [];
for (const [at, task] of tasks.entries()) {
  const pairs = task.pairs.filter((pair) => chosen.has(pair));
  if (pairs.length === 0) continue;
  const [a, b] = [join(root, `${at}a`), join(root, `${at}b`)];
  git(root, "clone", "--quiet", "--shared", "--no-checkout", task.repository, a);
  const base = wholeCommit(a, task.base);
  git(a, "checkout", "--quiet", "--detach", base);
  git(a, "worktree", "add", "--quiet", "--detach", b, base);
  for (const pair of pairs) {
    played.push(await play(pair, [a, b], base));
    console.error(`${played.length} of ${chosen.size}: ${pair.name}`);
  }
  for (const tree of [a, b]) rmSync(tree, { recursive: true, force: true });
}
rmSync(root, { recursive: true, force: true });

const meeting = played.filter(({ truth }) => truth.size > 0);
const filesOf = (pick: (one: Played, path: string) => boolean): number =>
  meeting.reduce((sum, one) => sum + [...one.truth].filter((path) => pick(one, path)).length, 0);
const truths = filesOf(() => true);
const early = ({ told, firstCommit }: Played, path: string): boolean => (told.get(path) ?? Infinity) <= firstCommit;
const leads = meeting.flatMap((one) =>
  [...one.truth].filter((path) => early(one, path)).map((path) => one.firstCommit - (one.told.get(path) ?? 0)),
);
const falseFiles = played.flatMap(({ told, truth }) => [...told.keys()].filter((path) => !truth.has(path)));
const falsePairs = played.filter(({ told, truth }) => truth.size === 0 && told.size > 0).length;
const share = (part: number, whole: number): string => `${part} of ${whole} (${((100 * part) / whole).toFixed(1)} %)`;
const leftOut = tasks.reduce((sum, one) => sum + one.leftOut, 0);
const edits = played.reduce((sum, one) => sum + one.edits, 0);
const cpu = played.flatMap(({ cpuMs }) => cpuMs);
const wall = played.flatMap(({ wallMs }) => wallMs);
const group = "conflicts";
/** @param of what it was measured on */
const row = (of: readonly unknown[], name: string, figure: string): Row => ({ group, n: of.length, name, figure });
const firstPart = meeting.filter((one) => [...one.truth].some((path) => early(one, path))).length;
const second = filesOf(({ told }, path) => told.has(path));
const metFiles = meeting.flatMap(({ truth }) => [...truth]);
const toldFiles = falseFiles.length + second;
const mergedPairs = played.filter(({ truth }) => truth.size === 0);
printTable([
  row(played, "pairs drawn, with edits", `${played.length} of ${all.length} (${leftOut} do not fit), ${edits} edits`),
  row(played, "pairs and files that git merge of the final commits cannot merge", `${meeting.length}, ${truths}`),
  row(meeting, "pairs foreseen before the first commit", share(firstPart, meeting.length)),
  row(metFiles, "files foreseen before the first commit", share(filesOf(early), truths)),
  row(metFiles, "files foreseen before the second commit", share(second, truths)),
  row(
    leads,
    "edits from the news to the first commit, median (mean)",
    `${sample(leads).p50} (${mean(leads).toFixed(1)})`,
  ),
  row(played, "files told that merge in the end", `${falseFiles.length} of ${toldFiles}`),
  row(mergedPairs, "pairs told that merge in the end", share(falsePairs, mergedPairs.length)),
  row(cpu, "processor time after an edit, mean", ms(mean(cpu))),
  row(
    wall,
    "time until both are told after an edit, p50 (p99), without the quiet time",
    `${ms(sample(wall).p50)} (${ms(sample(wall).p99)})`,
  ),
]);
