import { absentReason } from "../../../snapshots/file-state.ts";
import type { RestoredFile } from "../incomplete/restoration.ts";

/** How a file was compared with what the chat left; null: it was not. */
type Evidence = "content" | "size and time" | "date" | "existence" | "git";

export type ComparedFile = Pick<RestoredFile, "now" | "action" | "hash" | "stamp" | "skipped"> &
  Pick<RestoredFile, "isByDate" | "isCommitted">;

/** Pure. */
function evidenceOf({ now, hash, stamp, skipped, isByDate, isCommitted }: ComparedFile): Evidence | null {
  if (isCommitted) return "git";
  if (now === "unknown") return null;
  if (isByDate) return "date";
  if (now === "missing" || now === "deleted") return "existence";
  if (stamp) return "size and time";
  // A file that was absent when it was noted, and is there now.
  return hash === null && skipped === absentReason ? "existence" : "content";
}

/** Text such as "2 by content, 1 by git"; empty where nothing was compared. */
export function evidenceText(files: readonly ComparedFile[]): string {
  const counts = new Map<Evidence, number>();
  for (const file of files) {
    const evidence = evidenceOf(file);
    if (evidence) counts.set(evidence, (counts.get(evidence) ?? 0) + 1);
  }
  const most = [...counts].sort(([, one], [, other]) => other - one);
  return most.map(([evidence, count]) => `${count} by ${evidence}`).join(", ");
}
