import { existsSync } from "node:fs";
import { join } from "node:path";
import { syncFolder } from "../platform/private-files.ts";
import { repositoryGit, lines, type Git } from "./git.ts";
import { inRepository, type OpenRepository } from "./repository.ts";

/** So much goes into one pack, so that a run that is stopped keeps what it has finished. */
const packBytes = 33_554_432;

export interface StoredObject {
  readonly id: string;
  readonly type: string;
  readonly bytes: number;
  /** Made by this run: it stands only in the scratch. */
  readonly isNew: boolean;
}

/** Ids of all that a commit or tree needs; `absent` of those that are nowhere (a partial clone, or pruned). */
export async function listNeeded(git: Git, root: string): Promise<{ ids: string[]; absent: string[] }> {
  const answer = await lines(git, ["rev-list", "--objects", "--no-object-names", "--missing=print", root]);
  return {
    ids: answer.filter((id) => !id.startsWith("?")),
    absent: answer.filter((id) => id.startsWith("?")).map((id) => id.slice(1)),
  };
}

/** Those that stand in SHIM's own repository. */
export async function filterOwned(opened: OpenRepository, ids: readonly string[]): Promise<Set<string>> {
  const answer = await lines(inRepository(opened), ["cat-file", "--batch-check=%(objectname)"], idLines(ids));
  return new Set(answer.filter((line) => !line.endsWith(" missing")));
}

/** What these objects are and how much room they take. All must be there for `git` to see. */
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

/**
 * Copies objects into one pack of SHIM's own, which is on the disk when it returns.
 *
 * @returns the pack's name; null when there was nothing to do
 */
export async function pack(git: Git, folder: string, ids: readonly string[]): Promise<string | null> {
  if (ids.length === 0) return null;
  // No search for deltas: those that the project's packs have are taken over, the rest is small or will be packed again.
  const [name] = await lines(git, ["pack-objects", "-q", "--window=0", join(folder, "pack/pack")], idLines(ids));
  // Git syncs what it writes, not the names of it.
  syncFolder(join(folder, "pack"));
  return name ?? null;
}

/**
 * Splits into what one pack should hold, smallest first, up to a total.
 *
 * @param maxBytes of all together
 */
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

/** Git in the scratch that only reads: it sees SHIM's objects and those of `others`. */
export function readingGit(
  opened: OpenRepository,
  others: readonly string[],
  workTree?: string,
  config: readonly string[] = [],
): Git {
  const location = { gitDir: opened.scratch, alternates: [opened.owned, ...others], config };
  return repositoryGit(opened.host.env, workTree === undefined ? location : { ...location, workTree }, opened.signal);
}
