import { textsOf } from "../../learning/routing/model-router.ts";
import type { PastPrompt } from "../../learning/routing/like-prompts.ts";
import { parseObject } from "../../shared/json-fields.ts";
import type { Json } from "../../contract/values.ts";
import type { Sql } from "../../shared/sql.ts";

const maxPrompts = 1_000;

/** The newest prompts whose turns have ended by themselves, with what was done in these. */
export function pastPrompts(sql: Sql): PastPrompt[] {
  const turn = "FROM journal c WHERE c.session = p.session AND c.seq > p.seq AND c.seq < p.next";
  // By `+seq` the index of prompts alone gives the newest: no older text is read.
  const rows = sql.all<PastPrompt>(
    `SELECT body ->> '$.text' AS text,
       (SELECT count(*) ${turn} AND c.kind IN ('tool_end', 'tool_error')) AS calls,
       (SELECT count(DISTINCT c.body ->> '$.path') ${turn} AND c.kind = 'tool_end' AND c.body ->> '$.action' <> 'read') AS edits
     FROM (
       SELECT session, seq, coalesce(lead(seq) OVER (PARTITION BY session ORDER BY seq), 9e15) AS next
       FROM (SELECT session, seq FROM journal WHERE kind = 'prompt' ORDER BY +seq DESC LIMIT ?)
     ) p JOIN journal USING (session, seq)
     WHERE EXISTS (SELECT 1 ${turn} AND c.kind = 'turn_end') ORDER BY seq DESC`,
    maxPrompts,
  );
  return rows.map(({ text, calls, edits }) => ({ text: taskText(text) ?? text, calls, edits }));
}

/** Texts of the payload in the prompt of a worker's session; null: another prompt. */
function taskText(prompt: string): string | null {
  const [, , data = ""] = /^<(shim-task-[0-9a-f]{16})>\n([\s\S]*?)\n<\/\1>$/m.exec(prompt) ?? [];
  const task = parseObject(data);
  return task === null ? null : textsOf((task["payload"] ?? null) as Json);
}
