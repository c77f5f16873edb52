import type { ConversationRow } from "../../../contract/machine/conversation.ts";
import type { CheckedMachineInput, MachineOutput } from "../../../contract/machine/operations.ts";
import { maxPhoneFrameChars } from "../../../contract/phone-frames.ts";
import { oneLine } from "../../../shared/format.ts";
import { fail, ok, type Result } from "../../../shared/result.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { Handlers } from "../../recovery/handler-context.ts";
import { findHere } from "../../recovery/resolve-id.ts";
import type { Session } from "../../sessions/sessions.ts";
import { openedCall, picturesOf, shownRow, textOfRow, type Row } from "./rows.ts";
import { readAgent, readConversation, type Conversation } from "./source.ts";

const maxHits = 100;
/** A page of them is drawn at once. */
const maxPageRows = 100;
const excerptChars = { before: 60, all: 200 };
/** The frame has another encoding of it. */
const maxPictureChars = maxPhoneFrameChars / 2;

export const conversationHandlers = {
  async "conversation.read"(context, { session: id, agent, ...question }) {
    if (question.before !== undefined && question.from !== undefined)
      return fail("bad_input", "name either the row `before` which the rows are, or the one `from` which they go on.");
    const runtime = await context.runtime();
    const found = await findHere(context, id);
    if (!found.ok) return found;
    const now = runtime.now();
    if (agent !== undefined) return ok(pageOf(whole(runtime, found.value, agent), question, now, true));
    const newest = pageOf(readConversation(runtime, found.value, "newest"), question, now, false);
    // A quick read lacks earlier rows, which the page may need.
    return ok(newest ?? pageOf(readConversation(runtime, found.value, "all"), question, now, true));
  },
  async "conversation.call"(context, { session: id, agent, row }) {
    const found = await findRow(context, id, agent, row);
    if (!found.ok) return found;
    return found.value.kind === "call" ? ok(openedCall(found.value)) : fail("not_found", `${row} is no call.`);
  },
  async "conversation.picture"(context, { session: id, agent, row, number }) {
    const found = await findRow(context, id, agent, row);
    if (!found.ok) return found;
    const picture = picturesOf(found.value)[number];
    if (picture === undefined) return fail("not_found", `the row ${row} has no picture ${number}.`);
    if (picture.data.length > maxPictureChars)
      return fail("too_large", "the picture is too large to be shown here: open it where the chat runs.");
    return ok({ type: picture.type, data: picture.data });
  },
  async "conversation.search"(context, { session: id, words }) {
    const runtime = await context.runtime();
    const session = await findHere(context, id);
    if (!session.ok) return session;
    const { rows } = readConversation(runtime, session.value, "all");
    const asked = words
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== "");
    const hits = rows.flatMap((row) => {
      const text = textOfRow(row);
      const lower = text.toLowerCase();
      return asked.every((word) => lower.includes(word)) ? [hitOf(row, text, lower.indexOf(asked[0] ?? ""))] : [];
    });
    const now = runtime.now();
    const newest = hits.toReversed().slice(0, maxHits);
    return ok({
      found: hits.length,
      hits: newest.map(({ at, ...hit }) => Object.assign(hit, { ageMs: at === null ? null : now - at })),
    });
  },
} satisfies Partial<Handlers>;

type Context = Parameters<typeof findHere>[0];

async function findRow(context: Context, id: string, agent: string | undefined, row: string): Promise<Result<Row>> {
  const runtime = await context.runtime();
  const session = await findHere(context, id);
  if (!session.ok) return session;
  const found =
    (agent === undefined && rowIn(readConversation(runtime, session.value, "newest"), row)) ||
    rowIn(whole(runtime, session.value, agent), row);
  return found ? ok(found) : fail("not_found", "this is no part of the session any more: read it again.");
}

function rowIn({ rows }: Conversation, id: string): Row | undefined {
  return rows.find((row) => row.id === id);
}

function whole(runtime: Runtime, session: Session, agent: string | undefined): Conversation {
  const all = readConversation(runtime, session, "all");
  return agent === undefined ? all : readAgent(runtime, session, all.rows, agent);
}

function hitOf({ id, at, kind }: Row, text: string, found: number) {
  return { id, at, kind, excerpt: oneLine(text.slice(Math.max(0, found - excerptChars.before)), excerptChars.all) };
}

type Question = Pick<CheckedMachineInput<"conversation.read">, "before" | "from" | "chars">;
type Page = MachineOutput<"conversation.read">;

/**
 * @param isAll whether the first of the rows is the first of the session
 * @returns null: others than these rows are needed
 */
function pageOf<IsAll extends boolean>(
  { rows, isPartial }: Conversation,
  { before, from, chars }: Question,
  now: number,
  isAll: IsAll,
): Page | (IsAll extends true ? never : null) {
  type Answer = Page | (IsAll extends true ? never : null);
  const at = rows.findIndex(({ id }) => id === (from ?? before));
  const isReset = at < 0 && (from ?? before) !== undefined;
  if (isReset && !isAll) return null as Answer;
  const isOn = from !== undefined && !isReset;
  const end = isReset || before === undefined ? rows.length : at;
  // The named row is known already: at least one more follows.
  const shown = isOn
    ? fitting(rows.slice(at), { chars, least: 2 }, now)
    : fitting(rows.slice(0, end).toReversed(), { chars, least: 1 }, now).toReversed();
  const start = isOn ? at : end - shown.length;
  if (start === 0 && !isAll && !isPartial) return null as Answer;
  return {
    rows: shown,
    hasEarlier: start > 0,
    hasLater: start + shown.length < rows.length,
    isReset,
    isPartial,
  };
}

/** The first rows that fit. @param least so many do in any case */
function fitting(rows: readonly Row[], { chars, least }: { chars: number; least: number }, now: number) {
  const shown: ConversationRow[] = [];
  let left = chars;
  for (const row of rows) {
    const next = shownRow(row, now);
    left -= JSON.stringify(next).length;
    if (shown.length === maxPageRows || (left < 0 && shown.length >= least)) break;
    shown.push(next);
  }
  return shown;
}
