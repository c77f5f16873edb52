import { isTaskPrompt } from "../../../contract/task-prompt.ts";
import type { Sql } from "../../../shared/sql.ts";
import { hasDied } from "../../sessions/closed-sessions.ts";
import * as news from "../../sessions/news.ts";
import * as recoveries from "../../sessions/recoveries.ts";
import { composeBrief, type Brief } from "../brief/brief.ts";
import { findOpenOffer } from "../incomplete/detect.ts";
import { fetchHolder } from "../incomplete/session-lease.ts";
import { isOfferDue, offerPolicy, toStoredOffer } from "../offers.ts";
import { findElsewhere, type DeadElsewhere } from "./candidates.ts";
import type { Reach } from "./reach.ts";
import { restoreElsewhere } from "./restoration.ts";
import { takeOver } from "./takeover.ts";

/** Offers once, and only if the chat was offered no session of this machine. */
export async function offerElsewhere(reach: Reach): Promise<string | null> {
  const { runtime, chatId, here } = reach;
  if (here === null || offerPolicy(runtime, chatId) !== "offer") return null;
  const [first] = offerableElsewhere(reach, await findElsewhere(reach, here.project, 5));
  // A dead chat holds its lease for a while; only a session that can be taken is offered.
  if (!first || (await fetchHolder(reach.link, first.row.id)) !== null) return null;
  // Under this setting the brief makes the chat continue the session, so it is taken first.
  if (runtime.config.recovery === "resume" && !(await takeOver(reach, first.row)).ok) return null;
  const found = composeBrief(await restoreElsewhere(reach, first), runtime.now());
  return storeOffer(reach, found, first.row.machine) ? first.row.id : null;
}

/** Returns the session already offered to the chat, else offers it the newest of its project. */
export async function offerNewest(reach: Reach, dead: readonly DeadElsewhere[]): Promise<Brief | null> {
  const { runtime, chatId, here } = reach;
  const { store, now } = runtime;
  const ofProject = offerableElsewhere(reach, dead).filter(({ row }) => row.projectName === here?.project);
  const isOffered = ({ row }: DeadElsewhere): boolean =>
    store.read((sql) => recoveries.noteOf(sql, row.id)?.by === chatId, false);
  const first = ofProject.find(isOffered) ?? ofProject[0];
  if (!first) return null;
  const found = composeBrief(await restoreElsewhere(reach, first), now());
  storeOffer(reach, found, first.row.machine);
  // The answer delivers the offer, so that the chat's next hook does not.
  store.write((sql) => news.markKeyDelivered(sql, now(), chatId, offerKey(first.row.id)));
  return found;
}

function offerKey(session: string): string {
  return `offer:${session}`;
}

/** @returns false if the chat has the offer already, or another chat was faster */
function storeOffer({ runtime, chatId }: Reach, { from, score }: Brief, machine: string): boolean {
  const at = runtime.now();
  const { id } = from.session;
  return runtime.store.write((sql) => {
    if (!isFree(sql, runtime, id, chatId)) return false;
    const isNew = news.add(sql, at, chatId, offerKey(id), toStoredOffer(from, machine, runtime.config.recovery));
    if (isNew && recoveries.noteOf(sql, id)?.action !== "taken")
      recoveries.add(sql, { at, session: id, action: "offered", by: chatId, score: score.total });
    return isNew;
  });
}

/** Excludes old sessions, those of tasks, and those continued by another chat here. */
export function offerableElsewhere({ runtime, chatId }: Reach, dead: readonly DeadElsewhere[]): DeadElsewhere[] {
  return runtime.store.read(
    (sql) =>
      dead.filter(
        ({ row }) =>
          hasDied(row) &&
          // Its worker continues it; it has no chat in the workspace, so it may be alive.
          !isTaskPrompt(row.title ?? "") &&
          isOfferDue(sql, runtime, row) &&
          isFree(sql, runtime, row.id, chatId),
      ),
    [],
  );
}

/** False if the user dismissed the session, or another living chat here has it. */
function isFree(
  sql: Sql,
  { processes, now }: Pick<Reach["runtime"], "processes" | "now">,
  session: string,
  chatId: string,
): boolean {
  if (recoveries.noteOf(sql, session)?.action === "dismissed") return false;
  const offer = findOpenOffer(sql, processes, now(), session);
  return offer === null || offer.chat === chatId;
}
