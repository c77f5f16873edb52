import type { Sql } from "../../shared/sql.ts";
import { readAppended } from "../signals/transcript.ts";
import { isSessionPaused, pauseReadLimits } from "./paused-session.ts";
import { recordMissedTools } from "./missed-tools.ts";
import { countResponses } from "../usage/ledger.ts";
import { recordTexts } from "./observe.ts";
import * as sessions from "./sessions.ts";
import { markTranscript } from "./transcript-mark.ts";

/** [RE13] Stores what a client wrote into its transcript after the last hook; the readings stay. */
export function catchUp(sql: Sql, now: number, sessionId: string): void {
  const session = sessions.get(sql, sessionId);
  if (!session?.transcriptPath) return;
  const { transcriptPath: path } = session;
  const part = readAppended(path, session.transcriptOffset, pauseReadLimits(sql, path, session));
  if (part.offset === session.transcriptOffset) return;
  // [HO10] Text from a pause is skipped even after the pause has ended.
  if (isSessionPaused(sql, now, session)) markTranscript(sql, path, part.size);
  else {
    recordTexts(sql, sessionId, now, part);
    recordMissedTools(sql, sessionId, now, part, { isOver: true });
    countResponses(sql, session, part, now);
  }
  sessions.update(sql, sessionId, { transcriptOffset: part.offset });
}
