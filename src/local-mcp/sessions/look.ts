import type { Readings } from "../../contract/readings.ts";
import type { Runtime } from "../runtime.ts";
import { readOn } from "../signals/transcript.ts";
import { keepTexts, observe, type Observation } from "./observe.ts";
import * as sessions from "./sessions.ts";

/** A look at a session from outside of a hook: reads on in its transcript, and takes the readings anew. */
export function look(runtime: Runtime, session: sessions.Session, fresh: Readings): Observation {
  const part = session.transcriptPath ? readOn(session.transcriptPath, session.transcriptOffset) : null;
  return runtime.store.write((sql) => {
    // A hook may have read the same part meanwhile.
    const isNew = sessions.get(sql, session.id)?.transcriptOffset === session.transcriptOffset;
    if (part && isNew) keepTexts(sql, session.id, runtime.now(), part);
    return observe(sql, runtime, session, isNew ? part : null, fresh);
  });
}
