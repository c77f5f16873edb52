import type { Refusal } from "../../contract/errors.ts";
import type { GivenPart, Job, SplitStrategy } from "../../contract/plans.ts";
import { compare } from "../../shared/compare.ts";
import { folderOf } from "../../shared/folders.ts";
import { pluralize } from "../../shared/format.ts";
import { err, ok, type Result } from "../../shared/result.ts";

/** Splits a job into parts for several chats and a join of their results. Pure. */

export const joinName = "join";

/**
 * Two or more parts besides the join; a file is in one part or in successive ones.
 * Independent of the order of files. Refused with `bad_input`.
 * @param maxParts without the join, 2 or more
 */
export function split(job: Job, strategy: SplitStrategy, maxParts: number): Result<readonly GivenPart[], Refusal> {
  const parts = draftParts(job, strategy, maxParts);
  const problem = typeof parts === "string" ? parts : findProblem(job, parts, maxParts);
  if (typeof parts === "string" || problem !== null) return err({ code: "bad_input", message: problem ?? "" });
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
 * As many parts as are balanced: the heaviest weighs at most twice the lightest. The heaviest
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
