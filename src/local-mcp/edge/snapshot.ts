import type { OutputOf } from "../../contract/operations.ts";
import type { Entry } from "../../contract/state.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Calls } from "./calls.ts";
import type { EdgeError } from "./failure.ts";

export type Entered = Pick<Entry, "key" | "value" | "version">;

export interface Snapshot {
  /** By key. */
  readonly entries: readonly Entered[];
  readonly revision: number;
}

const page = 500;

/**
 * All keys below a prefix at one revision. Several pages of a list are of several moments: the changes between them bring all to the last one.
 *
 * @param isWanted looked at after each page
 * @returns refused with `compacted` when it took so long that the changes are gone: begin anew
 */
export async function snapshotOf(
  calls: Calls,
  prefix: string,
  isWanted: () => boolean,
): Promise<Result<Snapshot, EdgeError>> {
  const keys = new Map<string, Entered>();
  let list = await listed(calls, keys, prefix, null);
  const first = list.ok ? list.value.revision : 0;
  while (list.ok && list.value.cursor !== null) {
    if (!isWanted()) return err({ code: "closed", message: "the snapshot is not wanted any more" });
    list = await listed(calls, keys, prefix, list.value.cursor);
  }
  if (!list.ok) return list;
  const revision = await replayed(calls, keys, prefix, first, list.value.revision);
  if (!revision.ok) return revision;
  return ok({ entries: [...keys.values()].sort((a, b) => (a.key < b.key ? -1 : 1)), revision: revision.value });
}

async function listed(
  calls: Calls,
  keys: Map<string, Entered>,
  prefix: string,
  cursor: string | null,
): Promise<Result<OutputOf<"state.list">, EdgeError>> {
  const { result } = await calls.call("state.list", { prefix, limit: page, ...(cursor === null ? {} : { cursor }) });
  if (!result.ok) return result;
  for (const { key, value, version } of result.value.entries) keys.set(key, { key, value, version });
  return result;
}

async function replayed(
  calls: Calls,
  keys: Map<string, Entered>,
  prefix: string,
  first: number,
  last: number,
): Promise<Result<number, EdgeError>> {
  let after = first;
  while (after < last) {
    const { result } = await calls.call("state.changes", { prefix, after, limit: page });
    if (!result.ok) return result;
    for (const { key, op, value, revision } of result.value.changes) {
      if (op === "set") keys.set(key, { key, value, version: revision });
      else keys.delete(key);
    }
    after = result.value.revision;
  }
  return ok(after);
}
