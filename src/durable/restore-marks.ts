import { DurableObject } from "cloudflare:workers";
import type { RestoreMark } from "../coordination/workspace/restore.ts";

const key = "newest";

/**
 * The newest restore of one workspace. An object of its own: the coordinator's storage is put back
 * as a whole, with everything in it that could say so.
 */
export class RestoreMarks extends DurableObject {
  read(): RestoreMark | null {
    return this.ctx.storage.kv.get<RestoreMark>(key) ?? null;
  }

  write(mark: RestoreMark): void {
    this.ctx.storage.kv.put(key, mark);
  }

  async clear(): Promise<void> {
    await this.ctx.storage.deleteAll();
  }
}
