import * as z from "zod";
import type { OutputOf } from "../src/contract/operations.ts";
import type { LocalEdge } from "../scripts/local-edge.ts";
import { formatVerdicts, type Check, type Paint } from "./scene.ts";
import type { TeamResult } from "./team-demo.ts";
import type { TeamScene } from "./team-worker.ts";

/** What the story has seen on its way. */
export interface Facts {
  /** The project's tests before all work. */
  readonly before: { readonly passed: number; readonly failed: number };
  readonly killed: {
    readonly chat: string;
    readonly queuedAgainMs: number;
    readonly graceMs: number;
    readonly ttlMs: number;
  };
  readonly rescued: { readonly task: number; readonly chat: string };
  readonly runtime: { readonly killed: number; readonly backMs: number };
  /** Batches at which the consumer has thrown. */
  readonly failed: number;
  readonly codes: readonly (number | null)[];
  /** Processes that outlived their worker. */
  readonly left: readonly number[];
}

type Known = OutputOf<"tasks.get"> & OutputOf<"tasks.history">;

/** What `shim worker` gives as result of a task with a worktree; `output` is what the task's program has said. */
const Result = z.object({
  branch: z.string().nullable(),
  commit: z.string(),
  tests: z.object({ command: z.string() }).optional(),
  output: z.object({ began: z.number().optional(), edits: z.number().optional() }),
});

/** Judged by what the coordinator answers and the repository holds. @param tasks the three refactorings first, the test of all last */
export async function checksOf(
  edge: LocalEdge,
  scene: TeamScene,
  node: string,
  tasks: readonly number[],
  facts: Facts,
): Promise<Check[]> {
  const known = await Promise.all(tasks.map((task) => knownOf(edge, task)));
  return [...ofFailures(facts, known), ...ofWork(known), ...ofRepository(scene, node, facts, known), ...ofEnd(facts)];
}

async function knownOf(edge: LocalEdge, task: number): Promise<Known> {
  const found = await edge.call("tasks.get", { task });
  return { ...found, ...(await edge.call("tasks.history", { task })) };
}

function ofFailures({ killed, rescued, runtime, failed }: Facts, known: readonly Known[]): Check[] {
  const task = known.find((one) => one.task === rescued.task);
  const ends = task?.attempts.map(({ end, chat }) => ({ end, chat })) ?? [];
  const { began = 0, edits } = Result.parse(task?.result).output;
  const isByOther = ends.some(({ end, chat }) => end === "done" && chat === rescued.chat && chat !== killed.chat);
  return [
    {
      what: "dead worker",
      holds: killed.queuedAgainMs < killed.ttlMs,
      detail: `its task was queued again after ${killed.queuedAgainMs} ms; the grace is ${killed.graceMs} ms, that of a chat which only falls silent ${killed.ttlMs} ms`,
    },
    {
      what: "taken over",
      holds: isByOther && began > 1,
      detail: `another worker began with edit ${began} of ${edits}`,
    },
    {
      what: "dead runtime",
      holds: runtime.killed > 0,
      detail: `${runtime.killed} workerd killed, and back after ${Math.round(runtime.backMs)} ms`,
    },
    { what: "failing queue", holds: failed > 0, detail: `its consumer has thrown ${failed} times` },
  ];
}

function ofWork(known: readonly Known[]): Check[] {
  const done = known.filter(({ state }) => state === "done");
  const dones = known.map(({ attempts }) => attempts.filter(({ end }) => end === "done"));
  const late = dones.flat().reduce((sum, { lateCalls }) => sum + lateCalls, 0);
  return [
    { what: "all done", holds: done.length === known.length, detail: `${done.length} of ${known.length} tasks` },
    {
      what: "each once",
      holds: dones.every(({ length }) => length === 1) && late === 0,
      detail: `results by task: ${dones.map(({ length }) => length).join(", ")}; ${late} calls came after one`,
    },
  ];
}

function ofRepository(scene: TeamScene, node: string, { before }: Facts, known: readonly Known[]): Check[] {
  const last = Result.parse(known.at(-1)?.result);
  const commits = scene.git("log", "--format=%s", "--no-merges", `main..${last.commit}`).split("\n").sort();
  const refactorings = known.filter(({ type }) => type === "refactor").map(({ task }) => task);
  const isOnce = commits.length === refactorings.length && refactorings.every((task, n) => isOf(task, commits[n]));
  const { passed, failed } = scene.tests(node, last.commit);
  const all = before.passed + before.failed;
  const kept = scene.git("for-each-ref", "refs/shim");
  const worktrees = scene.git("worktree", "list", "--porcelain").split("\n\n").length;
  return [
    { what: "commits", holds: isOnce, detail: commits.join("; ") },
    {
      what: "tests",
      holds: passed === all && failed === 0,
      detail: `${before.passed} of ${all} passed before, ${passed} now, on ${last.branch}`,
    },
    onOneBranch(known.at(-1)?.task, last),
    {
      what: "worktrees",
      holds: worktrees === 1 && kept === "",
      detail: worktrees === 1 ? "removed, the branches stay" : `${worktrees - 1} were left`,
    },
  ];
}

function onOneBranch(job: number | undefined, { branch, tests }: z.infer<typeof Result>): Check {
  return {
    what: "one branch",
    holds: branch === `shim/job-${job}` && tests !== undefined,
    detail: `all of it is on ${branch}, where its worker has run ${tests?.command ?? "no tests"}`,
  };
}

function isOf(task: number, subject: string | undefined): boolean {
  return subject?.startsWith(`shim: task ${task}: `) === true;
}

function ofEnd({ codes, left }: Facts): Check[] {
  return [
    {
      what: "workers ended",
      holds: codes.every((code) => code === 0) && left.length === 0,
      detail: `exit codes ${codes.join(", ")}; ${left.length} processes left`,
    },
  ];
}

/** The report for people. */
export function textOf({ checks, times, isComplete }: TeamResult, paint: Paint): string {
  const wrong = checks.filter(({ holds }) => !holds).length;
  return [
    "By the coordinator's record and the repository:",
    ...formatVerdicts(checks, paint),
    `It took ${(times.all / 1_000).toFixed(1)} s.`,
    isComplete ? "Every task was done, once." : `${wrong} of ${checks.length} are wrong.`,
    "",
  ].join("\n");
}
