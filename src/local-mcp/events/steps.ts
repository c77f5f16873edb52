import * as sessions from "../../machine/sessions/sessions.ts";
import { beforePrompt, limitAtFailure } from "./before-prompt.ts";
import { checkpoint } from "./checkpoint.ts";
import { Draft, type Concern, type Recording } from "./concern.ts";
import { readings, transcript, unreadPart } from "./event-transcript.ts";
import { guard, unreadGuard } from "./guard.ts";
import { news } from "./news.ts";
import { entries, unreadEntry } from "./record-entries.ts";
import { end, start } from "./session-bounds.ts";
import { settings } from "./sighting.ts";

/** All changes of the session's row with one statement. */
const row: Concern = {
  name: "row",
  isForLate: true,
  inTransaction: ({ sql, session }, { changes }) => sessions.update(sql, session.id, ...changes),
};

/** In the order of the journal: what was before the event, then the event itself. */
export const concerns: readonly Concern[] = [
  transcript,
  beforePrompt,
  guard,
  entries,
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

export function runConcerns(all: readonly Concern[], recording: Recording, sighting: sessions.SessionChange): Draft {
  const draft = new Draft();
  draft.changes.push(sighting);
  const { event, isLate = false } = recording.incoming;
  for (const { on, isForLate, inTransaction } of all)
    if ((on === undefined || on.includes(event)) && (isForLate || !isLate)) inTransaction(recording, draft);
  return draft;
}
