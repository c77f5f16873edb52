import type { TranscriptPart } from "../../../clients/transcript.ts";
import type { JournalEntry } from "../../../contract/journal.ts";
import type { Sql } from "../../../shared/sql.ts";
import { assistant, idOf } from "../entries.ts";
import { entriesOf } from "../hook-entries.ts";
import * as journal from "../journal.ts";
import { inheritedKey } from "../prompts.ts";
import { isFork, type Session } from "../sessions.ts";
import { callsOf } from "./record-calls.ts";

type Inherited = Omit<Extract<JournalEntry, { readonly kind: "inherited" }>, "kind" | "from">;

const timed = ["texts", "toolCalls", "toolEnds", "apiErrors", "interruptions", "usage", "subagentUsage"] as const;

/**
 * Stores what stands in the context of a fork from before it began. All of it is the work of
 * another session: no turn, call, file or cost of the fork.
 *
 * @returns what is the session's own; of one that is no fork, the whole part
 */
export function recordInherited(sql: Sql, session: Session, part: TranscriptPart): TranscriptPart {
  if (!isFork(session)) return part;
  const { before, forkedFrom } = part;
  if (before) recordInherited(sql, session, { ...part, ...before, forkedFrom, before: null });
  const { id, startedAt, parentId } = session;
  const isOwn = ({ at }: { readonly at: number | null }): boolean => at === null || at >= startedAt;
  const from = forkedFrom ?? parentId;
  const record = (at: number | null, name: string, one: Inherited): void => {
    const entry = { kind: "inherited" as const, ...one, ...(from === null ? {} : { from: idOf(from) }) };
    journal.append(sql, id, at ?? startedAt, inheritedKey(at, name), entry);
  };
  for (const { role, text, at, uuid, startsNoTurn } of part.texts.filter((one) => !isOwn(one))) {
    if (startsNoTurn === "local") continue;
    const [said] =
      role === "user" ? entriesOf("UserPromptSubmit", { session_id: id, prompt: text }) : [assistant(text)];
    if (said && "text" in said.entry) record(at, uuid, { by: role, text: said.entry.text });
  }
  const calls = callsOf(part);
  for (const { toolUseId, error, at } of part.toolEnds.filter((one) => !isOwn(one))) {
    const { name, input } = calls.get(toolUseId) ?? {};
    const call = { session_id: id, tool_name: name, tool_use_id: toolUseId, tool_input: input, error: error ?? "" };
    for (const { entry } of entriesOf("PostToolUseFailure", call))
      if (entry.kind === "tool_error")
        record(at, toolUseId, {
          by: "tool",
          tool: entry.name,
          text: entry.input,
          ...(error === null ? {} : { error: entry.text }),
        });
  }
  return Object.assign(
    {},
    part,
    ...timed.map((name) => ({ [name]: (part[name] as readonly { readonly at: number | null }[]).filter(isOwn) })),
  ) as TranscriptPart;
}
