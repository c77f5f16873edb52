import type { Runtime } from "../../runtime/runtime.ts";
import { findAwaited } from "../../snapshots/awaited-snapshots.ts";

const fileChangingEvents: ReadonlySet<string> = new Set(["PreToolUse", "PreCompact"]);

/** Does the work that follows an event's record. @param maxMs limit of a snapshot */
export async function finishEvent(runtime: Runtime, event: string, maxMs?: number): Promise<void> {
  if (event === "SessionStart" && runtime.durations.isDue) runtime.store.write((sql) => runtime.durations.store(sql));
  if (fileChangingEvents.has(event) && runtime.store.read((sql) => findAwaited(sql, runtime.now()) !== null, false)) {
    const { takeAwaited } = await import("../../snapshots/pending-snapshots.ts");
    await takeAwaited(runtime, maxMs);
  }
}
