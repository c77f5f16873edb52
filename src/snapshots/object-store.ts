import { existsSync } from "node:fs";
import { join } from "node:path";
import { syncFolder } from "../platform/private-files.ts";
import { repositoryGit, lines, type Git } from "./git.ts";
import { inRepository, type OpenRepository } from "./repository.ts";

/** Bytes per pack, so that an interrupted run keeps its finished packs. */
const packBytes = 33_554_432;

export interface StoredObject {
  readonly id: string;
  readonly type: string;
  readonly bytes: number;
  /** Exists in the scratch only. */
  readonly isNew: boolean;
}

/** Lists ids needed by a commit or tree; `absent` in a partial clone or after pruning. */
export async function listNeeded(git: Git, root: string): Promise<{ ids: string[]; absent: string[] }> {
  const answer = await lines(git, ["rev-list", "--objects", "--no-object-names", "--missing=print", root]);
  return {
    ids: answer.filter((id) => !id.startsWith("?")),
    absent: answer.filter((id) => id.startsWith("?")).map((id) => id.slice(1)),
  };
}

export async function filterOwned(opened: OpenRepository, ids: readonly string[]): Promise<Set<string>> {
  const answer = await lines(inRepository(opened), ["cat-file", "--batch-check=%(objectname)"], idLines(ids));
  return new Set(answer.filter((line) => !line.endsWith(" missing")));
}

export async function describe(git: Git, opened: OpenRepository, ids: readonly string[]): Promise<StoredObject[]> {
  if (ids.length === 0) return [];
  const format = "--batch-check=%(objectname) %(objecttype) %(objectsize:disk)";
  const answer = await lines(git, ["cat-file", format], idLines(ids));
  return answer.map((line) => {
    const [id = "", type = "", bytes = "0"] = line.split(" ");
    const isNew = existsSync(join(opened.scratch, "objects", id.slice(0, 2), id.slice(2)));
    return { id, type, bytes: Number(bytes), isNew };
  });
}

/** Copies objects into one pack synced to disk; returns its name, or null for no objects. */
export async function pack(git: Git, folder: string, ids: readonly string[]): Promise<string | null> {
  if (ids.length === 0) return null;
  // No delta search: the project's deltas are reused, the rest is small or repacked later.
  const [name] = await lines(git, ["pack-objects", "-q", "--window=0", join(folder, "pack/pack")], idLines(ids));
  // Git syncs its files, but not their folder.
  syncFolder(join(folder, "pack"));
  return name ?? null;
}

export function splitIntoPacks(objects: readonly StoredObject[], maxBytes: number): string[][] {
  const result: string[][] = [];
  let total = 0;
  let inPack = Infinity;
  for (const { id, bytes } of [...objects].sort((a, b) => a.bytes - b.bytes)) {
    total += bytes;
    if (total > maxBytes) break;
    if (inPack + bytes > packBytes) {
      result.push([]);
      inPack = 0;
    }
    inPack += bytes;
    result.at(-1)?.push(id);
  }
  return result;
}

function idLines(ids: readonly string[]): string {
  return ids.map((id) => `${id}\n`).join("");
}

export function readingGit(
  opened: OpenRepository,
  others: readonly string[],
  workTree?: string,
  config: readonly string[] = [],
): Git {
  const location = { gitDir: opened.scratch, alternates: [opened.owned, ...others], config };
  return repositoryGit(opened.host.env, workTree === undefined ? location : { ...location, workTree }, opened.signal);
}
