import type { CheckedInputOf, OutputOf } from "../../contract/operations.ts";
import { type GivenPart, type Job, SplitStrategy } from "../../contract/plans.ts";
import { NewTask } from "../../contract/tasks.ts";
import { compare } from "../../shared/compare.ts";
import { complexityThreshold as threshold, estimateComplexity, folderOf } from "../../shared/complexity.ts";
import { pluralize } from "../../shared/format.ts";
import { formatIssues } from "../../shared/bad-input.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import type { Handlers } from "../kernel/handlers.ts";
import { once } from "../kernel/idempotency.ts";
import type { Tx } from "../kernel/tx.ts";
import { submitOnce, findTaskByKey } from "../tasks/submit.ts";
import * as rows from "../tasks/task-rows.ts";

/** Splits a job into parts for several chats and a join of their results. Pure. */

const joinName = "join";

/**
 * Two or more parts besides the join; a file is in one part or in successive ones.
 * Independent of the order of files. Refused with `bad_input`.
 * @param maxParts without the join, 2 or more
 */
export function split(job: Job, strategy: SplitStrategy, maxParts: number): Result<readonly GivenPart[]> {
  const parts = draftParts(job, strategy, maxParts);
  const problem = typeof parts === "string" ? parts : findProblem(job, parts, maxParts);
  if (typeof parts === "string" || problem !== null) return fail("bad_input", problem ?? "");
  return ok(
    parts.map(({ name, text, files, dependsOn }) => ({
      name,
      text,
      files: sorted(files),
      dependsOn: sorted(dependsOn),
    })),
  );
}

/** Each once. */
function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].toSorted(compare);
}

/** @returns why there are none */
function draftParts(job: Job, strategy: SplitStrategy, maxParts: number): readonly GivenPart[] | string {
  switch (strategy.by) {
    case "file":
      if (job.files.length < 2) return `the job names ${pluralize(job.files.length, "file")}; two or more are needed`;
      return packParts(
        job.files.map(({ path, weight }) => ({ key: path, weight, files: [path] })),
        maxParts,
      );
    case "module": {
      const modules = modulesOf(job, strategy.depth);
      if (modules.length > 1) return packParts(modules, maxParts);
      const where = modules[0] ? `all files of the job are in ${modules[0].key}` : "the job names no files";
      return `${where}; two modules or more are needed to split it by module`;
    }
    case "phase":
      return byPhase(job, strategy.phases);
    case "list":
      return strategy.parts;
  }
}

interface Item {
  readonly key: string;
  readonly weight: number;
  readonly files: readonly string[];
}

function modulesOf({ files }: Job, depth: number | undefined): Item[] {
  const byFolder = Map.groupBy(files, ({ path }) => folderOf(path, depth));
  return [...byFolder].map(([key, inside]) => ({
    key,
    weight: inside.reduce((sum, { weight }) => sum + weight, 0),
    files: inside.map(({ path }) => path),
  }));
}

function byPhase({ files }: Job, phases: readonly string[]): GivenPart[] {
  return phases.map((name, at) => ({
    name,
    text: `Phase ${at + 1} of ${phases.length}: ${name}`,
    files: files.map(({ path }) => path),
    dependsOn: phases.slice(Math.max(0, at - 1), at),
  }));
}

function packParts(items: readonly Item[], maxParts: number): GivenPart[] {
  const groups = pack(items, maxParts);
  return groups.map((group, at) => {
    const names = group.map(({ key }) => key).join(", ");
    const what = names.length > 2_000 ? `${group.length} of the files or modules` : names;
    const text = `Part ${at + 1} of ${groups.length}: ${what}`;
    return { name: `part-${at + 1}`, text, files: group.flatMap(({ files }) => files), dependsOn: [] };
  });
}

/**
 * Makes as many parts as are balanced: the heaviest weighs at most twice the lightest. The heaviest
 * item goes first, into the lightest part (LPT: Graham, "Bounds on Multiprocessing Timing
 * Anomalies", 1969). Two parts are balanced whenever no item exceeds two thirds of the weight; one
 * that does gets its own part.
 */
function pack(items: readonly Item[], maxParts: number): Item[][] {
  for (let count = Math.min(maxParts, items.length); ; count -= 1) {
    const parts = Array.from({ length: count }, () => ({ weight: 0, items: [] as Item[] }));
    for (const item of items.toSorted((a, b) => b.weight - a.weight || compare(a.key, b.key))) {
      const lightest = parts.reduce((best, part) => (part.weight < best.weight ? part : best));
      lightest.items.push(item);
      lightest.weight += item.weight;
    }
    const weights = parts.map(({ weight }) => weight);
    if (count > 2 && Math.max(...weights) > 2 * Math.min(...weights)) continue;
    return parts
      .map((part) => part.items.toSorted((a, b) => compare(a.key, b.key)))
      .toSorted((a, b) => compare(a[0]?.key ?? "", b[0]?.key ?? ""));
  }
}

/** Names of parts are left to the submit, which refuses equal, unknown and circular ones. */
function findProblem(job: Job, parts: readonly GivenPart[], maxParts: number): string | null {
  if (parts.length < 2) return `a split has two parts or more, this one has ${parts.length}`;
  if (parts.length > maxParts) return `the split has ${parts.length} parts; at most ${maxParts}, besides the join`;
  const paths = new Set(job.files.map(({ path }) => path));
  for (const { name, text, files } of parts) {
    if (text.trim() === "" && files.length === 0) return `part ${name} is empty: it has neither a text nor a file`;
    const unknown = files.find((path) => !paths.has(path));
    if (unknown !== undefined) return `part ${name} has ${unknown}, which is not a file of the job`;
  }
  const assigned = new Set(parts.flatMap(({ files }) => files));
  const missing = [...paths].filter((path) => !assigned.has(path));
  if (missing.length > 0)
    return `no part has ${missing.slice(0, 5).join(", ")}${missing.length > 5 ? " and others" : ""}`;
  return sharedFileProblem(parts);
}

/** Parts that run at the same time would overwrite each other. */
function sharedFileProblem(parts: readonly GivenPart[]): string | null {
  const before = predecessorsOf(parts);
  const follow = (one: string, other: string) => before.get(one)?.has(other) || before.get(other)?.has(one);
  for (const [at, part] of parts.entries()) {
    const files = new Set(part.files);
    for (const other of parts.slice(at + 1)) {
      const shared = other.files.find((path) => files.has(path));
      if (shared !== undefined && !follow(part.name, other.name)) {
        return `parts ${part.name} and ${other.name} both have ${shared}, and neither comes after the other`;
      }
    }
  }
  return null;
}

function predecessorsOf(parts: readonly GivenPart[]): Map<string, Set<string>> {
  const before = new Map(parts.map(({ name, dependsOn }) => [name, new Set(dependsOn)]));
  for (const through of before.keys()) {
    for (const known of before.values()) {
      if (known.has(through)) for (const name of before.get(through) ?? []) known.add(name);
    }
  }
  return before;
}

type Submitted = OutputOf<"plans.submit">;
type Estimated = OutputOf<"plans.estimate">;

export const handlers = {
  "plans.estimate": (_tx, input) => plan(input),

  /** All or nothing; a repeat submits nothing. */
  "plans.submit"(tx, input) {
    const { requestId, by, ...content } = input;
    const request = { operation: "plans.submit", by, requestId, input: content };
    return once(tx, request, () => submitJob(tx, input)).result;
  },
} satisfies Partial<Handlers>;

/** Splits above the threshold, on request, or as listed. */
function plan({ job, strategy, maxParts, isForced }: CheckedInputOf<"plans.estimate">): Result<Estimated> {
  const { score, isAboveThreshold, reasons } = estimateComplexity(job);
  const complexity = { score, threshold, isAboveThreshold, reasons: [...reasons] };
  if (!isAboveThreshold && !isForced && strategy?.by !== "list") {
    return ok({ complexity, parts: null, reason: `its complexity ${score} is not above ${threshold}` });
  }
  const parts = strategy ? split(job, strategy, maxParts) : splitByDefault(job, maxParts);
  if (parts.ok) return ok({ complexity, parts: [...parts.value], reason: null });
  return strategy ? parts : ok({ complexity, parts: null, reason: parts.error.message });
}

function splitByDefault(job: Job, maxParts: number): Result<readonly GivenPart[]> {
  const byModule = split(job, { by: "module" }, maxParts);
  if (byModule.ok) return byModule;
  const others = [{ by: "file" } as const, SplitStrategy.parse({ by: "phase" })];
  return others.map((strategy) => split(job, strategy, maxParts)).find(({ ok: isSplit }) => isSplit) ?? byModule;
}

function submitJob(tx: Tx, input: CheckedInputOf<"plans.submit">): Result<Submitted> {
  const planned = plan(input);
  if (!planned.ok) return planned;
  const { complexity, parts, reason } = planned.value;
  const duplicate = findDuplicate(tx, input);
  if (duplicate) return ok({ complexity, ...duplicate, isDuplicate: true, parts: [], reason });
  const drafts = validateDrafts(parts ? draftTasks(input, parts) : [draftWholeJob(input)]);
  const stored = drafts.ok ? submitOnce(tx, drafts.value) : drafts;
  if (!stored.ok) return stored;
  const [root, ...others] = stored.value.tasks;
  if (!root) throw new Error("submitting one task returned none");
  const { task, state } = root;
  const named = others.flatMap((one, at) =>
    (parts ?? []).slice(at, at + 1).map(({ name }) => ({ name, task: one.task })),
  );
  return ok({ complexity, task, state, isDuplicate: false, parts: named, reason });
}

function findDuplicate(
  tx: Tx,
  { dedupeKey }: CheckedInputOf<"plans.submit">,
): Pick<Submitted, "task" | "state"> | null {
  const task = dedupeKey === undefined ? undefined : findTaskByKey(tx, dedupeKey);
  return task === undefined ? null : { task, state: rows.find(tx, task)?.state ?? null };
}

type TaskDraft = Parameters<typeof NewTask.safeParse>[0];

function jobSummary({ title, text, payload }: Job): Pick<Job, "title" | "text" | "payload"> {
  return { title, text, payload };
}

function draftWholeJob({ job, type, options, dedupeKey }: CheckedInputOf<"plans.submit">): TaskDraft {
  return {
    ...options,
    type,
    dedupeKey,
    payload: { job: { ...jobSummary(job), files: job.files.map(({ path }) => path) } },
  };
}

function draftTasks(input: CheckedInputOf<"plans.submit">, parts: readonly GivenPart[]): TaskDraft[] {
  const { job, type, options, joinRule, joinType, onPartDeath, dedupeKey } = input;
  const joinTask = {
    ...options,
    affinity: undefined,
    type: joinRule === undefined ? (joinType ?? type) : type,
    ref: joinName,
    dedupeKey,
    joinRule,
    dependsOn: parts.map(({ name }) => name),
    onDependencyDeath: onPartDeath,
    payload: { job: jobSummary(job), join: parts.map(({ name, text }) => ({ name, text })) },
  };
  return [
    joinTask,
    ...parts.map(({ name, text, files, dependsOn }) => ({
      ...options,
      type,
      ref: name,
      parent: joinName,
      dependsOn,
      payload: { job: jobSummary(job), part: { name, text, files } },
    })),
  ];
}

function validateDrafts(drafts: readonly TaskDraft[]): Result<NewTask[]> {
  const tasks: NewTask[] = [];
  for (const draft of drafts) {
    const task = NewTask.safeParse(draft);
    if (!task.success) {
      const message = `a task of this job cannot be submitted: ${formatIssues(task.error)}`;
      return fail("bad_input", message);
    }
    tasks.push(task.data);
  }
  return ok(tasks);
}
