import { DurableObject } from "cloudflare:workers";
import type { CheckedInputOf } from "../contract/operations.ts";
import type { KeptRows, RestoreMark } from "../coordination/workspace/restore.ts";
import { fail, ok, type Result } from "../shared/result.ts";

const key = "newest";
const keptPrefix = "kept ";

/**
 * The newest restore of one workspace. An object of its own: the coordinator's storage is put back
 * as a whole, with everything in it that could say so.
 */
export class RestoreMarks extends DurableObject {
  read(): RestoreMark | null {
    return this.ctx.storage.kv.get<RestoreMark>(key) ?? null;
  }

  /** Rows that the restore must not put back. */
  kept(): KeptRows[] {
    return Array.from(this.ctx.storage.kv.list<KeptRows>({ prefix: keptPrefix }), ([, part]) => part);
  }

  async write(mark: RestoreMark, kept: readonly KeptRows[]): Promise<void> {
    const { kv } = this.ctx.storage;
    for (const [earlier] of kv.list({ prefix: keptPrefix })) kv.delete(earlier);
    for (const [part, rows] of kept.entries()) kv.put(`${keptPrefix}${part}`, rows);
    kv.put(key, mark);
    await this.ctx.storage.sync();
  }

  async clear(): Promise<void> {
    await this.ctx.storage.deleteAll();
  }
}

export type RestoreRequest = CheckedInputOf<"workspace.restore">;

/** Time that Cloudflare keeps, in ms. */
const keptMs = 30 * 86_400_000;

/** @param time epoch ms. @returns why the storage cannot be put back to it */
export async function bookmarkAt(
  storage: Pick<DurableObjectStorage, "getBookmarkForTime">,
  time: number,
  now: number,
): Promise<Result<string>> {
  if (time >= now) return fail("bad_input", "name a time that is over");
  if (now - time > keptMs) return fail("bad_input", "no more than the last 30 days can be put back");
  try {
    return ok(await storage.getBookmarkForTime(time));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const message = `this runtime puts no storage back to an earlier time (${why}): only a deployment on Cloudflare does`;
    return fail("restore_unavailable", message);
  }
}
