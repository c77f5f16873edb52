import type { GivenPart, Job } from "../../contract/plans.ts";

export const joinName = "join";

export function findSplitProblem(job: Job, parts: readonly GivenPart[], maxParts: number): string | null {
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
