import type { CallError } from "../../contract/errors.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { Entry } from "../../contract/state.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Calls } from "./calls.ts";

export type SnapshotEntry = Pick<Entry, "key" | "value" | "version">;

export interface Snapshot {
  readonly entries: readonly SnapshotEntry[];
  readonly revision: number;
}

const pageSize = 500;

/**
 * Loads all keys below a prefix at one revision: pages are of several moments, and the changes
 * between them bring all to the last. Refused with `compacted` when those are gone.
 */
export async function loadSnapshot(
  calls: Calls,
  prefix: string,
  isStillWanted: () => boolean,
): Promise<Result<Snapshot, CallError>> {
  const entriesByKey = new Map<string, SnapshotEntry>();
  let list = await listPage(calls, entriesByKey, prefix, null);
  const firstRevision = list.ok ? list.value.revision : 0;
  while (list.ok && list.value.cursor !== null) {
    if (!isStillWanted()) return err({ code: "closed", message: "the snapshot is no longer needed" });
    list = await listPage(calls, entriesByKey, prefix, list.value.cursor);
  }
  if (!list.ok) return list;
  const revision = await replayChanges(calls, entriesByKey, prefix, firstRevision, list.value.revision);
  if (!revision.ok) return revision;
  return ok({ entries: [...entriesByKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1)), revision: revision.value });
}

async function listPage(
  calls: Calls,
  entriesByKey: Map<string, SnapshotEntry>,
  prefix: string,
  cursor: string | null,
): Promise<Result<OutputOf<"state.list">, CallError>> {
  const { result } = await calls.call("state.list", {
    prefix,
    limit: pageSize,
    ...(cursor === null ? {} : { cursor }),
  });
  if (!result.ok) return result;
  for (const { key, value, version } of result.value.entries) entriesByKey.set(key, { key, value, version });
  return result;
}

async function replayChanges(
  calls: Calls,
  entriesByKey: Map<string, SnapshotEntry>,
  prefix: string,
  firstRevision: number,
  lastRevision: number,
): Promise<Result<number, CallError>> {
  let after = firstRevision;
  while (after < lastRevision) {
    const { result } = await calls.call("state.changes", { prefix, after, limit: pageSize });
    if (!result.ok) return result;
    for (const { key, op, value, revision } of result.value.changes) {
      if (op === "set") entriesByKey.set(key, { key, value, version: revision });
      else entriesByKey.delete(key);
    }
    after = result.value.revision;
  }
  return ok(after);
}
