import type { Sql } from "../../shared/sql.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { currentState } from "../checkpoints/capture.ts";
import * as journal from "../sessions/journal.ts";
import * as sessions from "../sessions/sessions.ts";
import { toMarkdown } from "./markdown.ts";
import { toTrajectory, type FinalMetrics } from "./trajectory.ts";

export type DocumentFormat = "markdown" | "atif";

/** Returns null for an unknown session. */
export function sessionDocument(runtime: Runtime, id: string, format: DocumentFormat): string | null {
  return runtime.store.read((sql) => {
    const session = sessions.get(sql, id);
    if (!session) return null;
    const rows = [...listAll(sql, id)];
    if (format === "markdown") return toMarkdown(session, currentState(sql, id), rows);
    return `${JSON.stringify(toTrajectory(session, rows, usageOf(sql, id)), null, 2)}\n`;
  }, null);
}

function* listAll(sql: Sql, id: string): Generator<journal.JournalRow> {
  for (let after = 0; ;) {
    const page = journal.list(sql, id, after);
    yield* page;
    const last = page.at(-1);
    if (!last) return;
    after = last.seq;
  }
}

/** Empty where no response was counted. */
function usageOf(sql: Sql, id: string): Omit<FinalMetrics, "total_steps"> {
  const [sums] = sql.all<{ prompt: number | null; completion: number | null; cached: number | null }>(
    `SELECT sum(input + cacheRead + cacheWrite) AS prompt, sum(output) AS completion, sum(cacheRead) AS cached
     FROM usage_messages WHERE session = ?`,
    id,
  );
  return omitUndefined({
    total_prompt_tokens: sums?.prompt ?? undefined,
    total_completion_tokens: sums?.completion ?? undefined,
    total_cached_tokens: sums?.cached ?? undefined,
  });
}
