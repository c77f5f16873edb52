import { isTaskPrompt } from "../../../contract/task-prompt.ts";
import type { Sql } from "../../../shared/sql.ts";
import { isClosedWithNothingOpen } from "../../sessions/closed-sessions.ts";
import * as news from "../../sessions/news.ts";
import * as recoveries from "../../sessions/recoveries.ts";
import { findOpenOffer } from "../incomplete/detect.ts";
import { composeBrief, type Brief } from "../brief/brief.ts";
import { offerPolicy, toStoredOffer } from "../offers.ts";
import { findElsewhere, type DeadElsewhere } from "./remote-candidates.ts";
import type { ProjectHere, RemoteContext } from "./remote-context.ts";
import { inspectElsewhere } from "./remote-restoration.ts";
import { fetchHolder } from "../incomplete/session-lease.ts";
import { takeOver } from "./takeover.ts";

/** Offers once, and only if the chat was offered no session of this machine. */
export async function offerElsewhere(context: RemoteContext, { root, project }: ProjectHere): Promise<string | null> {
  const { runtime, chatId } = context;
  if (offerPolicy(runtime, chatId) !== "offer") return null;
  const [first] = offerableElsewhere(context, await findElsewhere(context, project, 5));
  if (!first) return null;
  const { row } = first;
  // A dead chat holds its lease for a while; only a session that can be taken is offered.
  if ((await fetchHolder(context.link, row.id)) !== null) return null;
  const isGoingOn = runtime.config.recovery === "resume";
  // Under this setting the brief makes the chat continue the session, so it is taken first.
  if (isGoingOn && !(await takeOver(context, row)).ok) return null;
  const from = await inspectElsewhere(context, first, root);
  return storeOffer(context, composeBrief(from, runtime.now()), row.machine) ? row.id : null;
}

/** Returns the session already offered to the chat, else offers it the newest of its project. */
export async function offerNewest(
  context: RemoteContext,
  deadSessions: readonly DeadElsewhere[],
  { project, root }: ProjectHere,
): Promise<Brief | null> {
  const ofProject = offerableElsewhere(context, deadSessions).filter(({ row }) => row.projectName === project);
  const { store, now } = context.runtime;
  const isOffered = ({ row }: DeadElsewhere): boolean =>
    store.read((sql) => recoveries.noteOf(sql, row.id)?.by === context.chatId, false);
  const first = ofProject.find(isOffered) ?? ofProject[0];
  if (!first) return null;
  const found = composeBrief(await inspectElsewhere(context, first, root), now());
  storeOffer(context, found, first.row.machine);
  // The answer delivers the offer, so that the chat's next hook does not.
  store.write((sql) => news.markKeyDelivered(sql, now(), context.chatId, offerKey(first.row.id)));
  return found;
}

function offerKey(session: string): string {
  return `offer:${session}`;
}

/** @returns false if the chat has the offer already, or another chat was faster */
function storeOffer({ runtime, chatId }: RemoteContext, { from, score }: Brief, machine: string): boolean {
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
export function offerableElsewhere(
  { runtime, chatId }: RemoteContext,
  deadSessions: readonly DeadElsewhere[],
): DeadElsewhere[] {
  const now = runtime.now();
  const { offerMaxAgeMs } = runtime.config;
  return deadSessions.filter(
    ({ row }) =>
      now - row.lastSeenAt <= offerMaxAgeMs &&
      !isClosedWithNothingOpen(row) &&
      // Its worker continues it; it has no chat in the workspace, so it may be alive.
      !isTaskPrompt(row.title ?? "") &&
      runtime.store.read((sql) => isFree(sql, runtime, row.id, chatId), false),
  );
}

/** False if the user dismissed the session, or another living chat here has it. */
function isFree(
  sql: Sql,
  { processes, now }: Pick<RemoteContext["runtime"], "processes" | "now">,
  session: string,
  chatId: string,
): boolean {
  if (recoveries.noteOf(sql, session)?.action === "dismissed") return false;
  const offer = findOpenOffer(sql, processes, now(), session);
  return offer === null || offer.chat === chatId;
}
