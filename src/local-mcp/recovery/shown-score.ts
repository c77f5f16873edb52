import { shownTexts } from "./brief.ts";
import type { Restoration } from "./restoration.ts";
import { score } from "./score.ts";

/** Pure. [RE6] Scores a restoration by what its brief has room for. */
export function withShownScore(from: Restoration): Restoration {
  return { ...from, score: score({ ...from, shown: shownTexts(from) }) };
}
