import { hasUser, isOfWorker } from "../../clients/adapter/attendance.ts";
import { giveBack, lostBrief } from "../../machine/recovery/given-context.ts";
import { isToolEnd } from "../../machine/sessions/hook-entries.ts";
import { conflictsOf, type NumberedConflict } from "../../machine/team/conflicts.ts";
import {
  deliverAtPrompt,
  deliverAtStop,
  deliverAtTool,
  deliverUserWords,
  type Delivery,
} from "../../machine/team/deliver-news.ts";
import { conflictLine } from "../../machine/team/team-news.ts";
import type { Concern, Draft, Recording } from "./concern.ts";

/** News for the chat, and a line for its user, with events at which clients show one. */
export const news: Concern = {
  name: "news",
  on: ["UserPromptSubmit", "PostToolUse", "PostToolUseFailure", "Stop"],
  has: ["conflicts", "news", "compactions"],
  isForLate: false,
  inTransaction(event, draft) {
    const { sql, machine, incoming, known, session, part } = event;
    if (!draft.isNew) return;
    const waiting = known.has.news + (part?.compactions.length ?? 0);
    const conflicts = known.has.conflicts > 0 ? conflictsOf(sql, machine, session.id) : [];
    const isSubagents = incoming.input.agent_id !== undefined;
    // A start's brief fills what the client takes of a hook; one after a compaction has none.
    const isBriefed = draft.start !== null && draft.start.source !== "compact";
    const isGiven = !isBriefed && !(isSubagents && incoming.event !== "UserPromptSubmit");
    if (isGiven && waiting + conflicts.length > 0) draft.news = findNews(event, draft, conflicts);
    const isShown = !isSubagents && hasUser(machine.env);
    if (isShown) draft.conflict = conflictLine(sql, machine, session.id, conflicts);
  },
};

/** The user's own words first. */
function findNews(event: Recording, draft: Draft, conflicts: readonly NumberedConflict[]): Delivery | null {
  const { sql, machine, incoming, session } = event;
  const words = takesWords(event) ? deliverUserWords(sql, machine, session.id) : null;
  if (words === null) return findOthersNews(event, draft, conflicts);
  const others = incoming.event === "Stop" ? null : findOthersNews(event, draft, conflicts);
  return others === null ? { context: words, line: null } : { ...others, context: `${words}\n\n${others.context}` };
}

/** Whether the event can bring the chat what its user wrote elsewhere. */
function takesWords({ machine: { env }, incoming: { event, client } }: Recording): boolean {
  if (event === "UserPromptSubmit") return true;
  return event === "Stop" && client.continuesAtStop === true && !isOfWorker(env);
}

/** Skips a worker's run, and a chat that a hook already continued. */
function findOthersNews(
  { sql, machine, incoming: { event, input }, session: { id } }: Recording,
  draft: Draft,
  conflicts: readonly NumberedConflict[],
): Delivery | null {
  const { now, env, config } = machine;
  const isPrompt = event === "UserPromptSubmit";
  const compacted = isPrompt || event === "PostToolUse" ? giveBack(sql, now(), id, isPrompt) : null;
  const lost = compacted && lostBrief(sql, machine, id);
  if (lost !== null) draft.accepted = { ...lost, ...draft.accepted, brief: lost.brief };
  if (compacted !== null && compacted.text !== null) return { context: compacted.text, line: null };
  if (isPrompt) return deliverAtPrompt(sql, machine, id, draft.accepted, conflicts);
  if (isToolEnd(event)) return toDelivery(deliverAtTool(sql, machine, id, conflicts));
  if (input.stop_hook_active === true || isOfWorker(env)) return null;
  return toDelivery(deliverAtStop(sql, now(), id, config.team.maxContinuationsPerHour));
}

function toDelivery(context: string | null): Delivery | null {
  return context === null ? null : { context, line: null };
}
