import { beforePrompt, limitAtFailure } from "./before-prompt.ts";
import { checkpoint } from "./checkpoint.ts";
import type { Concern } from "./concern.ts";
import { readings, transcript, unreadPart } from "./event-transcript.ts";
import { guard, unreadGuard } from "./guard.ts";
import { news } from "./news.ts";
import { entries, promptRow, unreadEntry } from "./record-entries.ts";
import { end, start } from "./session-bounds.ts";
import { row, settings } from "./sighting.ts";

/** In the order of the journal: what was before the event, then the event itself. */
export const concerns: readonly Concern[] = [
  transcript,
  beforePrompt,
  guard,
  entries,
  promptRow,
  limitAtFailure,
  news,
  readings,
  row,
  checkpoint,
  end,
  start,
  settings,
];

/** The same of an event that takes too long: it is stored as it came. */
export const unreadConcerns: readonly Concern[] = [unreadPart, unreadEntry, unreadGuard, row];
