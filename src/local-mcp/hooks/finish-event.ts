import type { Runtime } from "../../runtime/runtime.ts";
import { storeDurations } from "../../runtime/store-durations.ts";
import { findAwaited } from "../../snapshots/awaited-snapshots.ts";

const fileChangingEvents: ReadonlySet<string> = new Set(["PreToolUse", "PreCompact"]);

/** The work after the record of an event that a process has sent. @param maxMs limit of a snapshot */
export async function finishEvent(runtime: Runtime, event: string, maxMs?: number): Promise<void> {
  storeDurations(runtime);
  if (fileChangingEvents.has(event) && runtime.store.read((sql) => findAwaited(sql, runtime.now()) !== null, false)) {
    const { takeAwaited } = await import("../../snapshots/pending-snapshots.ts");
    await takeAwaited(runtime, maxMs);
  }
}
