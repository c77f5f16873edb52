import type { Refusal } from "../../contract/errors.ts";
import type { GivenPart, Job, SplitStrategy } from "../../contract/plans.ts";
import { compare } from "../../shared/compare.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { folderOf } from "../../shared/folders.ts";

/** Splits a job into parts for several chats and a join of their results. Pure. */

export interface Part {
  readonly name: string;
  readonly text: string;
  readonly files: readonly string[];
  readonly dependsOn: readonly string[];
  readonly weight: number;
}

export interface Plan {
  readonly parts: readonly Part[];
  readonly join: { readonly name: typeof joinName; readonly dependsOn: readonly string[] };
}

const defaultMaxParts = 8;

/**
 * [PL4] Two or more non-empty parts and a join; [PL5] a file is in one part or in successive ones.
 * Independent of the order of files. Refused with `bad_input`.
 * @param maxParts without the join, 2 to 8
 */
export function split(job: Job, strategy: SplitStrategy, maxParts = defaultMaxParts): Result<Plan, Refusal> {
  if (!Number.isInteger(maxParts) || maxParts < 2 || maxParts > defaultMaxParts) {
    return badInput(`a job is split into 2 to ${defaultMaxParts} parts, not into at most ${maxParts}`);
  }
  const drafts = draftParts(job, strategy, maxParts);
  if (!drafts.ok) return drafts;
  const problem = findSplitProblem(job, drafts.value, maxParts);
  if (problem !== null) return badInput(problem);
  const parts = drafts.value.map((part) => toPart(job, part));
  return ok({ parts, join: { name: joinName, dependsOn: parts.map(({ name }) => name) } });
}

function draftParts(job: Job, strategy: SplitStrategy, maxParts: number): Result<readonly GivenPart[], Refusal> {
  switch (strategy.by) {
    case "file":
      return byFile(job, maxParts);
    case "module":
      return byModule(job, strategy.depth, maxParts);
    case "phase":
      return ok(byPhase(job, strategy.phases));
    case "list":
      return ok(strategy.parts);
  }
}

function badInput(message: string): Result<never, Refusal> {
  return err({ code: "bad_input", message });
}

function byFile({ files }: Job, maxParts: number): Result<readonly GivenPart[], Refusal> {
  if (files.length < 2) {
    return badInput(`the job names ${formatCount(files.length, "file")}; two or more are needed to split it by file`);
  }
  const items = files.map(({ path, weight }) => ({ key: path, weight }));
  const parts = pack(items, maxParts);
  return ok(
    parts.map((part, at) => {
      const paths = part.map(({ key }) => key);
      return toIndependentPart(at, parts.length, formatCount(paths.length, "file"), paths);
    }),
  );
}

interface Module extends Item {
  readonly paths: readonly string[];
}

function byModule(job: Job, depth: number | undefined, maxParts: number): Result<readonly GivenPart[], Refusal> {
  const modules = modulesOf(job, depth);
  if (modules.length < 2) {
    const where = modules[0] ? `all files of the job are in ${modules[0].key}` : "the job names no files";
    return badInput(`${where}; two modules or more are needed to split it by module`);
  }
  const parts = pack(modules, maxParts);
  return ok(
    parts.map((part, at) => {
      const names = part.map(({ key }) => key).join(", ");
      const text = names.length > 2_000 ? formatCount(part.length, "module") : names;
      return toIndependentPart(
        at,
        parts.length,
        text,
        part.flatMap(({ paths }) => paths),
      );
    }),
  );
}

function modulesOf({ files }: Job, depth: number | undefined): Module[] {
  const byFolder = Map.groupBy(files, ({ path }) => folderOf(path, depth));
  return [...byFolder].map(([key, inside]) => ({
    key,
    weight: inside.reduce((sum, { weight }) => sum + weight, 0),
    paths: inside.map(({ path }) => path),
  }));
}

function toIndependentPart(at: number, count: number, description: string, files: readonly string[]): GivenPart {
  return {
    name: `part-${at + 1}`,
    text: `Part ${at + 1} of ${count}: ${description}`,
    files: [...files],
    dependsOn: [],
  };
}

function byPhase({ files }: Job, phases: readonly string[]): GivenPart[] {
  return phases.map((name, at) => ({
    name,
    text: `Phase ${at + 1} of ${phases.length}: ${name}`,
    files: files.map(({ path }) => path),
    dependsOn: phases.slice(Math.max(0, at - 1), at),
  }));
}

function toPart(job: Job, { name, text, files, dependsOn }: GivenPart): Part {
  const paths = new Set(files);
  return {
    name,
    text,
    files: [...paths].toSorted(compare),
    dependsOn: [...new Set(dependsOn)].toSorted(compare),
    weight: job.files.filter(({ path }) => paths.has(path)).reduce((sum, { weight }) => sum + weight, 0),
  };
}

function formatCount(count: number, noun: string): string {
  return `${count === 0 ? "no" : count} ${noun}${count === 1 ? "" : "s"}`;
}

interface Item {
  readonly key: string;
  readonly weight: number;
}

const maxRatio = 2;

/**
 * [PL6] Makes as many balanced parts as possible: neighbours by name where balanced, else the
 * heaviest first into the lightest part (LPT: Graham, "Bounds on Multiprocessing Timing Anomalies",
 * 1969). Two parts are balanced whenever no item exceeds two thirds of the weight; one that does
 * gets its own part.
 * @param items two or more
 * @param maxParts 2 or more
 * @returns two or more non-empty parts; items by name
 */
function pack<T extends Item>(items: readonly T[], maxParts: number): T[][] {
  const byName = items.toSorted((a, b) => compare(a.key, b.key));
  for (let count = Math.min(maxParts, items.length); count > 2; count -= 1) {
    const parts = [packNeighbours(byName, count), packHeaviestFirst(byName, count)].find(isBalanced);
    if (parts) return parts;
  }
  const two = packNeighbours(byName, 2);
  return isBalanced(two) ? two : packHeaviestFirst(byName, 2);
}

function weightOf(items: readonly Item[]): number {
  return items.reduce((sum, { weight }) => sum + weight, 0);
}

function isBalanced(parts: readonly (readonly Item[])[]): boolean {
  const weights = parts.map(weightOf);
  return Math.max(...weights) <= maxRatio * Math.min(...weights);
}

/** Cuts at equal shares: the middle of an item decides its share. A share may stay empty. */
function packNeighbours<T extends Item>(items: readonly T[], count: number): T[][] {
  const all = weightOf(items);
  const parts = Array.from({ length: count }, (): T[] => []);
  let before = 0;
  for (const item of items) {
    const middle = before + item.weight / 2;
    parts[Math.floor((middle * count) / all)]?.push(item);
    before += item.weight;
  }
  return parts;
}

function packHeaviestFirst<T extends Item>(items: readonly T[], count: number): T[][] {
  const parts = Array.from({ length: count }, () => ({ weight: 0, items: [] as T[] }));
  for (const item of items.toSorted((a, b) => b.weight - a.weight || compare(a.key, b.key))) {
    const lightest = parts.reduce((best, part) => (part.weight < best.weight ? part : best));
    lightest.items.push(item);
    lightest.weight += item.weight;
  }
  return parts
    .map((part) => part.items.toSorted((a, b) => compare(a.key, b.key)))
    .toSorted((a, b) => compare(a[0]?.key ?? "", b[0]?.key ?? ""));
}

export const joinName = "join";

function findSplitProblem(job: Job, parts: readonly GivenPart[], maxParts: number): string | null {
  return (
    countProblem(parts, maxParts) ??
    nameProblem(parts) ??
    emptyPartProblem(parts) ??
    unknownNameProblem(job, parts) ??
    missingFileProblem(job, parts) ??
    cycleProblem(parts) ??
    sharedFileProblem(parts)
  );
}

function countProblem({ length }: readonly GivenPart[], maxParts: number): string | null {
  if (length < 2) return `a split has two parts or more, this one has ${length}`;
  return length > maxParts ? `the split has ${length} parts; at most ${maxParts}, besides the join` : null;
}

function nameProblem(parts: readonly GivenPart[]): string | null {
  const names = parts.map(({ name }) => name);
  if (names.includes(joinName)) return `no part has the name ${joinName}: it is the step after all parts`;
  const duplicate = names.find((name, at) => names.indexOf(name) !== at);
  return duplicate === undefined ? null : `two parts have the name ${duplicate}`;
}

function emptyPartProblem(parts: readonly GivenPart[]): string | null {
  const empty = parts.find(({ text, files }) => text.trim() === "" && files.length === 0);
  return empty ? `part ${empty.name} is empty: it has neither a text nor a file` : null;
}

function unknownNameProblem(job: Job, parts: readonly GivenPart[]): string | null {
  const [names, paths] = [new Set(parts.map(({ name }) => name)), new Set(job.files.map(({ path }) => path))];
  for (const { name, dependsOn, files } of parts) {
    const part = dependsOn.find((other) => !names.has(other));
    if (part !== undefined) return `part ${name} depends on ${part}, which is not a part of the split`;
    const file = files.find((path) => !paths.has(path));
    if (file !== undefined) return `part ${name} has ${file}, which is not a file of the job`;
  }
  return null;
}

function missingFileProblem(job: Job, parts: readonly GivenPart[]): string | null {
  const assigned = new Set(parts.flatMap(({ files }) => files));
  const missing = job.files.map(({ path }) => path).filter((path) => !assigned.has(path));
  if (missing.length === 0) return null;
  const more = missing.length > 5 ? ` and ${missing.length - 5} more` : "";
  return `no part has ${missing.slice(0, 5).join(", ")}${more}`;
}

function cycleProblem(parts: readonly GivenPart[]): string | null {
  const before = predecessorsOf(parts);
  const inCycle = parts.filter(({ name }) => before.get(name)?.has(name)).map(({ name }) => name);
  return inCycle.length > 0 ? `parts wait for each other: ${inCycle.join(", ")}` : null;
}

/** [PL5] Parts that run at the same time would overwrite each other. */
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
