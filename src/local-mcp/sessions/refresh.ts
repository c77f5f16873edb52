import type { Readings } from "../../contract/readings.ts";
import type { Runtime } from "../runtime.ts";
import { readOn } from "../signals/transcript.ts";
import { keepMissedTools } from "./missed-tools.ts";
import { countResponses } from "../usage/ledger.ts";
import { keepTexts, observe, type Observation } from "./observe.ts";
import { withoutPauses } from "./paused-session.ts";
import * as sessions from "./sessions.ts";

/** Reads new lines of a session's transcript and takes new readings, outside of a hook. */
export function refresh(runtime: Runtime, session: sessions.Session, fresh: Readings): Observation {
  const { transcriptPath: path } = session;
  const limits = path === null ? {} : runtime.store.read((sql) => withoutPauses(sql, path, session), {});
  const part = path === null ? null : readOn(path, session.transcriptOffset, limits);
  return runtime.store.write((sql) => {
    // A hook may have read the same part meanwhile.
    const isNew = sessions.get(sql, session.id)?.transcriptOffset === session.transcriptOffset;
    if (part && isNew) {
      keepTexts(sql, session.id, runtime.now(), part);
      keepMissedTools(sql, session.id, runtime.now(), part);
      countResponses(sql, session, part, runtime.now(), runtime.config.usage.prices);
    }
    return observe(sql, runtime, session, isNew ? part : null, fresh);
  });
}
