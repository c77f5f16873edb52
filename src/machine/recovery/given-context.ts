import { hasUser } from "../../clients/adapter/attendance.ts";
import { callKinds } from "../../contract/turn-kinds.ts";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import { adapterOf } from "../../clients/adapters.ts";
import type { EventMachine, Runtime } from "../../runtime/runtime.ts";
import { quotedTitle } from "../../shared/format.ts";
import type { Sql } from "../../shared/sql.ts";
import { currentState } from "../sessions/checkpoints/capture.ts";
import { mayBeContinued } from "../sessions/ending/ending.ts";
import { digest } from "../sessions/entries.ts";
import * as journal from "../sessions/journal.ts";
import { decide } from "../sessions/life/claim.ts";
import * as news from "../sessions/news.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Session } from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/session-identity.ts";
import { findNewest } from "../sharing/sessions-elsewhere.ts";
import { besideBrief, brief, type Occasion } from "./brief/brief.ts";
import { missingFrom } from "./brief/compaction.ts";
import { restoreById } from "./incomplete/restoration.ts";
import { withLearnt } from "./learnt/session-items.ts";

export interface Acceptance {
  readonly session: string;
  /** Occasion of the brief that the chat lacks; null: the brief stands in its context. */
  readonly brief: Occasion | null;
  /** For the user; null for a script. */
  readonly line: string | null;
}

const maxPromptChars = 80;

/** A yes, "continue", or both. Other words are left to the model, which has a tool for them. */
const goAhead = new RegExp(
  String.raw`^(?:(?:yes|yeah|yep|ok|okay|sure|please|ja|oui|s[ií]|sim|да)[,.! ]{0,3}){0,2}` +
    String.raw`(?:(?:continue|resume|proceed|go on|go ahead|carry on|keep going|weiter|mach weiter|continuez?|reprends|` +
    String.raw`contin[uú]a|sigue|продолжай|继续|続けて)(?: (?:it|that|this|the (?:last )?(?:session|chat|work)|` +
    String.raw`where (?:we|you|it) (?:left off|stopped)))?)?(?:,? please)?[.! ]{0,3}$`,
  "iu",
);

/**
 * Takes the session that the chat was offered when the user's words do, so that no tool has
 * to be called for it. Runs before the prompt is stored.
 */
export function acceptOffer(sql: Sql, runtime: EventMachine, chat: string, prompt: string): Acceptance | null {
  const isAccepted = isGoAhead(prompt) && !hasBegun(sql, chat);
  const session = isAccepted ? recoveries.heldBy(sql, chat).find(({ is }) => is === "offered")?.session : undefined;
  if (session === undefined) return null;
  const dead = sessions.get(sql, session);
  const known = dead ?? findNewest(sql, session);
  // The chat has had a sentence about such a session.
  const isUnbriefed = dead !== null && !mayBeContinued(dead);
  if (!decide(sql, runtime, { session, action: "taken", by: chat }).ok) return null;
  return {
    session,
    brief: isUnbriefed ? "resume" : null,
    line: hasUser(runtime.env)
      ? acceptedLine(known && sessions.displayTitle(known), shortSessionId(sql, session))
      : null,
  };
}

function isGoAhead(prompt: string): boolean {
  const words = prompt.trim();
  return words !== "" && words.length <= maxPromptChars && goAhead.test(words);
}

/** In a chat with work of its own the same words mean that work. */
function hasBegun(sql: Sql, chat: string): boolean {
  return journal.newest(sql, chat, callKinds, 1).length > 0 || journal.newest(sql, chat, ["prompt"], 2).length > 1;
}

function acceptedLine(title: string | null, shortId: string): string {
  return `SHIM: this chat continues ${quotedTitle(title)} now. Not meant? \`shim resume --undo ${shortId}\``;
}

/** For the model. */
export function acceptedContext(runtime: Runtime, { session, brief: occasion }: Acceptance): string {
  const from = restoreById(runtime, session);
  if (from && occasion) return brief(withLearnt(runtime, from), runtime.now(), occasion);
  const taken = `SHIM: the user continues session ${session}, and this chat has it now: do not call shim_check_recovery for it. Continue its work from its next step, after checking what its brief marks as unverified.`;
  const beside = from && besideBrief(from, "hook");
  return beside ? `${taken}\n${beside}` : taken;
}

/**
 * The session that a chat was given, and whose brief its client's compaction has taken out of its
 * context; null: it was given none, or works on what it took.
 */
export function lostBrief(sql: Sql, machine: Pick<EventMachine, "config">, chat: string): Acceptance | null {
  const [held] = recoveries.heldBy(sql, chat);
  return held === undefined ? null : againOf(held, machine);
}

function againOf({ session, is }: Held, { config }: Pick<EventMachine, "config">): Acceptance {
  return { session, brief: is === "offered" ? config.recovery : "resume", line: null };
}

type Held = ReturnType<typeof recoveries.claimsBy>[number];

/** Between a decision and the event of the prompt that brings its brief. */
const decidedMs = 2_000;

/** The same where the user has taken the brief back; null: it stands, or was given again. */
export function rewoundBrief(sql: Sql, runtime: EventMachine, { id, client }: Session): Acceptance | null {
  const [held] = recoveries.claimsBy(sql, id);
  const gone = held && journal.latest(sql, id, ["taken_back"]);
  if (gone?.entry.kind !== "taken_back" || held === undefined || gone.at < held.at) return null;
  if ((journal.latest(sql, id, ["given_back"])?.at ?? 0) >= gone.at) return null;
  const { said } = gone.entry;
  const isKept = adapterOf(client)?.keepsStart === true || currentState(sql, id)?.prompts.some(({ at }) => at < said);
  if (isKept && (held.is === "recovered" || held.at < said - decidedMs)) return null;
  recordGivenBack(sql, runtime.now(), id, `the brief of session ${held.session}`);
  return againOf(held, runtime);
}

/** Gives a chat what its client's compaction dropped, with the first event that can carry it. */

const unknownCompaction: NonNullable<ClientAdapter["compaction"]> = { keepsPrompts: false, showsSummary: false };

export function compactionOf(client: string): NonNullable<ClientAdapter["compaction"]> {
  return adapterOf(client)?.compaction ?? unknownCompaction;
}

/**
 * @param isPrompted the newest prompt is just being sent, and was never dropped
 * @returns what the summary lacks; null: no compaction is waiting
 */
export function giveBack(sql: Sql, now: number, id: string, isPrompted: boolean): { text: string | null } | null {
  const waiting = news.undeliveredOf(sql, id, "compaction", -1);
  if (waiting.length === 0) return null;
  news.markDelivered(sql, now, waiting);
  const { keepsPrompts } = compactionOf(sessions.get(sql, id)?.client ?? "");
  const known = currentState(sql, id);
  const state = known && isPrompted ? { ...known, prompts: known.prompts.slice(0, -1) } : known;
  const text = state && missingFrom({ state }, state.compactSummary, keepsPrompts);
  if (text !== null) recordGivenBack(sql, now, id, text);
  return { text };
}

export function recordGivenBack(sql: Sql, now: number, id: string, text: string): void {
  journal.append(sql, id, now, `given_back:${now}:${digest(text)}`, { kind: "given_back", text });
}
