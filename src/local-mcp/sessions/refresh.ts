import type { Readings } from "../../contract/readings.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { readAppended } from "../signals/transcript.ts";
import { recordMissedTools } from "./missed-tools.ts";
import { countResponses } from "../usage/ledger.ts";
import { recordTexts, observe, type Observation } from "./observe.ts";
import { pauseReadLimits } from "./paused-session.ts";
import * as sessions from "./sessions.ts";

export function refresh(runtime: Runtime, session: sessions.Session, fresh: Readings): Observation {
  const { transcriptPath: path } = session;
  const limits = path === null ? {} : runtime.store.read((sql) => pauseReadLimits(sql, path, session), {});
  const part = path === null ? null : readAppended(path, session.transcriptOffset, limits);
  return runtime.store.write((sql) => {
    // A hook may have read the same part meanwhile.
    const isNew = sessions.get(sql, session.id)?.transcriptOffset === session.transcriptOffset;
    if (part && isNew) {
      recordTexts(sql, session.id, runtime.now(), part);
      recordMissedTools(sql, session.id, runtime.now(), part);
      countResponses(sql, session, part, runtime.now(), runtime.config.usage.prices);
    }
    return observe(sql, runtime, session, isNew ? part : null, fresh);
  });
}
