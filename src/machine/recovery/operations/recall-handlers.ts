import type { MachineOutput } from "../../../contract/machine/operations.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { fail, ok, type Result } from "../../../shared/result.ts";
import * as elsewhere from "../../sharing/sessions-elsewhere.ts";
import type { SessionElsewhere } from "../../sharing/sessions-elsewhere.ts";
import { chainOf } from "../../sessions/checkpoints/predecessors.ts";
import { claimsBy } from "../../sessions/recoveries.ts";
import { findStoredSession } from "../../sessions/session-identity.ts";
import { emptyState } from "../../sessions/work-state.ts";
import type { Session } from "../../sessions/sessions.ts";
import { brief } from "../brief/brief.ts";
import { findById } from "../elsewhere/candidates.ts";
import type { Handlers } from "../handler-context.ts";
import { restore } from "../incomplete/restoration.ts";
import { learn, type Learnt } from "../learnt/learnt.ts";
import { namesIn } from "../learnt/names.ts";
import { itemsOfState, readItems, type SessionItems, type Size } from "../learnt/session-items.ts";
import { Recall, type Question } from "../recall/recall.ts";
import { recallText } from "../recall/recall-text.ts";
import { findSession, namesOf } from "../resolve-id.ts";

export const recallHandlers: Pick<Handlers, "recovery.recall"> = {
  async "recovery.recall"(context, { session: id, folder, ...question }) {
    const runtime = await context.runtime();
    const found = findSession(runtime, id);
    if (found.ok) return recallOf(runtime, found.value, question);
    const reach =
      found.error.code === "not_found" ? await context.others.read(runtime, context.progress, folder) : null;
    const row = reach && findById(reach, id);
    return row ? recallOf(runtime, row, question) : found;
  },
};

/**
 * For a chat.
 *
 * @param of absent: the session that the chat was given last, else its own one
 */
export function recallFor(runtime: Runtime, chat: string, of: string | undefined, question: Question): Result<Answer> {
  const { store } = runtime;
  const given = store.read((sql) => claimsBy(sql, chat)[0]?.session ?? null, null);
  const asked = of ?? given ?? chat;
  const found = findStoredSession(runtime, asked);
  if (!found.ok) return found;
  const row = found.value ?? store.read((sql) => elsewhere.findNewest(sql, asked), null);
  if (row === null) return fail("unknown_session", `SHIM knows no session "${asked}".`);
  return recallOf(runtime, row, question, row.id === given);
}

type Answer = MachineOutput<"recovery.recall">;

/** Most of each transcript; older words stand in the journal. */
const most: Size = { bytes: 20_000_000, chars: 20_000_000 };

/** @param hasBrief the chat that asks has the brief, whose names are not given again */
export function recallOf(
  runtime: Runtime,
  row: Session | SessionElsewhere,
  question: Question,
  hasBrief = false,
): Result<Answer> {
  if ([question.words || undefined, question.file, question.at, question.prompt].every((one) => one === undefined))
    return fail("bad_input", "say what to recall: words, a file, a time, or the number of a prompt.");
  const chain = itemsOf(runtime, row);
  const own = chain.at(-1);
  const learnt = learn({ items: own?.items ?? [], cwd: row.cwd });
  const recall = new Recall(runtime.store.context.driver, chain, learnt);
  try {
    const known = hasBrief ? namesInBrief(runtime, row, learnt) : new Set<string>();
    const recalled = recall.ask(question, known);
    const { project } = row;
    const facts = { session: row.id, project, from: own?.from ?? "state", size: recall.size } as const;
    const text = recallText({ ...facts, question, recalled, hasBrief, newest: recall.newest }, runtime.now());
    return ok({ ...namesOf(runtime, row), text, found: recalled.found });
  } finally {
    recall.close();
  }
}

/** A full brief lacks many of those that it might have. */
function namesInBrief(runtime: Runtime, row: Session | SessionElsewhere, learnt: Learnt): ReadonlySet<string> {
  const from = row.machine === null ? restore(runtime, row) : null;
  return from === null ? new Set() : namesIn(brief({ ...from, learnt }, runtime.now(), "brief"));
}

/** Oldest first. */
function itemsOf(runtime: Runtime, row: Session | SessionElsewhere): SessionItems[] {
  const { store } = runtime;
  if (row.machine !== null) {
    const state = store.read((sql) => elsewhere.findState(sql, row as SessionElsewhere), null) ?? emptyState;
    return [itemsOfState(row.id, state)];
  }
  const session = row as Session;
  return store.read((sql) => chainOf(sql, session), [session]).map((one) => readItems(runtime, one, most));
}
