import type { Runtime } from "../../runtime/runtime.ts";
import { findAwaited } from "../../snapshots/awaited-snapshots.ts";

const fileChangingEvents: ReadonlySet<string> = new Set(["PreToolUse", "PreCompact"]);

/** What follows the event's record, and what its client waits for. @param maxMs of a snapshot */
export async function finishEvent(runtime: Runtime, event: string, maxMs?: number): Promise<void> {
  if (event === "SessionStart" && runtime.durations.isDue) runtime.store.write((sql) => runtime.durations.store(sql));
  if (fileChangingEvents.has(event) && runtime.store.read((sql) => findAwaited(sql, runtime.now()) !== null, false)) {
    const { takeAwaited } = await import("../../snapshots/pending-snapshots.ts");
    await takeAwaited(runtime, maxMs);
  }
}
