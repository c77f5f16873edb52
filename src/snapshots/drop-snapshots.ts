import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fail, ok, type Result } from "../shared/result.ts";
import { removeDurably, syncFolder } from "../platform/private-files.ts";
import { lines, withTimeLimit, type TimeLimit } from "./git.ts";
import {
  describe,
  inRepository,
  pack,
  readBase,
  refOf,
  removeBase,
  withRepository,
  writeBase,
  type Base,
  type OpenRepository,
  type SnapshotDeps,
} from "./repository.ts";

export interface DropInput extends SnapshotDeps, TimeLimit {
  readonly repository: string;
  readonly checkpointIds: readonly string[];
  /**
   * Share of garbage that may stay in a pack, 0 to 1: 0 to forget; more for routine retention,
   * which then avoids rewriting a large pack for a small gain.
   */
  readonly maxGarbage?: number;
}

/** Packs above this number become one: every object lookup searches them all. */
const maxPacks = 50;

/**
 * Leaves nothing of them readable in SHIM's folder; contents of others stay. Unknown
 * ids are no error, so a failed drop can be repeated.
 *
 * @returns how many snapshots are left in the repository
 */
export async function dropSnapshots(input: DropInput): Promise<Result<{ readonly left: number }>> {
  const { repository, checkpointIds } = input;
  if (!existsSync(repository)) return ok({ left: 0 });
  return withTimeLimit<Result<{ readonly left: number }>>(
    input,
    (signal) =>
      withRepository(input, repository, null, signal, async (opened) => {
        const { left, base } = dropRefs(opened, checkpointIds);
        if (left === 0) removeDurably(repository);
        else {
          await prune(opened, input.maxGarbage ?? 0);
          // Its packs may be others now.
          if (base !== null) writeBase(opened, base, null);
        }
        return ok({ left });
      }),
    (reason) => fail("drop_failed", `the dropped snapshots may still be on the disk, try again: ${reason}`),
  );
}

function dropRefs(
  opened: OpenRepository,
  checkpointIds: readonly string[],
): { readonly left: number; readonly base: Base | null } {
  const newest = readBase(opened);
  const base = newest !== null && checkpointIds.includes(newest.checkpointId) ? null : newest;
  // Its names of files go, too; first, since a base must be there.
  if (base === null) removeBase(opened.repository);
  for (const id of checkpointIds) rmSync(join(opened.repository, refOf(id)), { force: true });
  const folder = join(opened.repository, "refs/shim");
  if (!existsSync(folder)) return { left: 0, base };
  syncFolder(folder);
  return { left: readdirSync(folder).length, base };
}

interface Pack {
  readonly base: string;
  readonly ids: readonly string[];
}

async function prune(opened: OpenRepository, maxGarbage: number): Promise<void> {
  const git = inRepository(opened);
  const reachable = await lines(git, ["rev-list", "--objects", "--no-object-names", "--missing=allow-any", "--all"]);
  const owned = (await describe(git, reachable)).filter(({ type }) => type !== "missing");
  const reachableIds = new Set(owned.map(({ id }) => id));
  const packs = await listPacks(opened);
  const isMostlyGarbage = ({ ids }: Pack) => ids.filter((id) => !reachableIds.has(id)).length > ids.length * maxGarbage;
  const packsToRewrite = packs.length > maxPacks ? packs : packs.filter(isMostlyGarbage);
  const kept = new Set(packs.filter((each) => !packsToRewrite.includes(each)).flatMap(({ ids }) => ids));
  const idsToRepack = [...new Set(packsToRewrite.flatMap(({ ids }) => ids))].filter(
    (id) => reachableIds.has(id) && !kept.has(id),
  );
  const made = await pack(git, opened.owned, idsToRepack);
  for (const { base } of packsToRewrite) {
    if (made !== null && base.endsWith(`pack-${made}`)) continue;
    // Index first: git ignores a pack without one, but fails on an index without its pack.
    const names = readdirSync(join(opened.owned, "pack")).filter((name) => name.startsWith(`${base}.`));
    for (const name of names.sort()) rmSync(join(opened.owned, "pack", name), { force: true });
  }
  syncFolder(join(opened.owned, "pack"));
}

async function listPacks(opened: OpenRepository): Promise<Pack[]> {
  const folder = join(opened.owned, "pack");
  const packs: Pack[] = [];
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".idx"))) {
    const answer = await lines(inRepository(opened), ["show-index"], readFileSync(join(folder, name)));
    packs.push({ base: name.slice(0, -".idx".length), ids: answer.map((line) => line.split(" ")[1] ?? "") });
  }
  return packs;
}
