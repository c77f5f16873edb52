import type { Totals } from "./changes.ts";
import type { LivenessRow } from "./chat-rows.ts";
import type { Performance } from "./performance.ts";

/**
 * Rows read by the transactions of one frame, which run as one. A function that writes such a row
 * stores or clears it here in the same step: `changes.append`, `appendAll`, `chatRows.write`, and
 * `chatPerformance.record` and `deleteChat`. The host drops the cache at the frame's end and on a
 * rollback.
 */
export interface ReadCache {
  totals: Totals | null;
  readonly livenessRows: Map<string, LivenessRow>;
  /** Key: chat and type, joined by a line break; null: nothing is stored. */
  readonly performances: Map<string, Performance | null>;
}

export function emptyReadCache(): ReadCache {
  return { totals: null, livenessRows: new Map(), performances: new Map() };
}
