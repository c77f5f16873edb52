import { clientTitle } from "../../../clients/client-title.ts";
import { workProgress } from "../../../contract/chat-state.ts";
import type { Chat } from "../../../contract/chats.ts";
import type { Fleet, FleetRow } from "../../../contract/live-page.ts";
import { findIncomplete } from "../../../local-mcp/recovery/detect.ts";
import { recordFinishedHere } from "../../../local-mcp/recovery/finished-tasks.ts";
import { asSeen, isAlive, readChatState } from "../../../local-mcp/recovery/session-state.ts";
import { hasDied } from "../../../local-mcp/sessions/closed-sessions.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import { emptyLine, sum, totalCost, usageBy } from "../../../local-mcp/usage/usage-report.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { Sql } from "../../../shared/sql.ts";
import * as notices from "../../../store/notices.ts";
import * as pauses from "../../../store/pause.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { commandLine } from "../../../contract/command-line-chat.ts";
import { localTime } from "../../times.ts";
import type { SessionView } from "../../../contract/machine/sessions.ts";
import { toSessionView } from "../../../local-mcp/host/session-view.ts";
import { isPresent } from "../../../local-mcp/host/chat-names.ts";
import { allChats } from "../../chat-names.ts";
import type { OtherMachines } from "./other-machines.ts";

const maxFinished = 20;
const maxIncomplete = 100;
const dayMs = 86_400_000;

/** Sessions of this machine, and the workspace's chats and dead sessions on other machines. */
export async function readFleet(runtime: Runtime, link: Workspace | string, others: OtherMachines): Promise<Fleet> {
  recordFinishedHere(runtime);
  const isUnusable = typeof link === "string";
  const { chats: all, ...team } = isUnusable ? teamTrouble("this machine", link) : await readTeam(link);
  const canAsk = !isUnusable && link.isEdge && team.trouble === null;
  const dead = canAsk ? await others.listDead(link, all) : [];
  const byChat = new Map(all.map((one) => [one.chat, one]));
  const own = runtime.store.read((sql) => readOwn(sql, runtime, byChat), noneHere);
  const known = new Set(own.rows.map(({ id }) => id));
  const chats = all.filter((one) => !known.has(one.chat) && isPresent(readChatState(runtime, one)));
  return { ...own, ...team, rows: [...own.rows, ...dead], chats };
}

interface Team extends Pick<Fleet, "where" | "trouble"> {
  readonly chats: readonly Chat[];
}

async function readTeam(link: Workspace): Promise<Team> {
  const chats = await allChats(link);
  if (!chats.ok) return teamTrouble(link.where, chats.error.message);
  return { where: link.where, trouble: null, chats: chats.value.filter(isMember) };
}

function teamTrouble(where: string, trouble: string): Team {
  return { where, trouble, chats: [] };
}

const noneHere = { rows: [], costUsdToday: null, unpricedTokensToday: 0, notices: [] };

function isMember({ client }: Chat): boolean {
  return client !== commandLine;
}

function readOwn(
  sql: Sql,
  runtime: Runtime,
  chats: ReadonlyMap<string, Chat>,
): Pick<Fleet, "rows" | "costUsdToday" | "unpricedTokensToday" | "notices"> {
  const now = runtime.now();
  const usage = usageBy(sql, { by: "session", since: now }, runtime.config.usage);
  const costs = new Map(usage.map((line) => [line.key, totalCost(line)]));
  const total = usage.reduce(sum, emptyLine);
  const alive = [...sessions.listOpen(sql)].filter((one) => isAlive(runtime, one));
  const dead = findIncomplete(sql, runtime.processes, now, { limit: maxIncomplete, accepts: hasDied });
  const recent = sessions.list(sql, { since: now - dayMs, limit: 200 });
  const finished = recent.filter((one) => asSeen(sql, runtime, one).endedAt !== null);
  const shown = [...alive, ...dead.map((one) => one.session), ...finished.slice(0, maxFinished)];
  const views = shown.map((one) => toSessionView(sql, runtime, one, chats.get(one.id)));
  return {
    rows: views.map((view) => toFleetRow(view, now, costs.get(view.id) ?? null, chats.get(view.id))),
    costUsdToday: usage.length === 0 ? null : totalCost(total),
    unpricedTokensToday: total.unpricedTokens,
    notices: [...notices.list(sql).map(({ text }) => text), ...pauses.list(sql, now).map(pauseText)],
  };
}

function pauseText({ project, until }: pauses.Pause): string {
  return `Nothing is stored for ${project ?? "any project"}${until === null ? "" : ` until ${localTime(until)}`}: paused.`;
}

export function toFleetRow(view: SessionView, now: number, costUsdToday: number | null, chat?: Chat): FleetRow {
  const { waitingSince, lastSeenAt, savedAt } = view;
  return {
    id: view.id,
    shortId: view.shortId,
    title: view.title,
    state: view.state,
    detail: view.detail,
    waitingMs: waitingSince === null ? null : now - waitingSince,
    client: clientTitle(view),
    machine: null,
    project: view.project,
    model: view.model,
    contextFill: view.contextFill,
    risk: view.risk,
    cause: view.cause,
    causeDetail: view.causeDetail,
    seenAgeMs: now - lastSeenAt,
    savedAgeMs: savedAt === null ? null : now - savedAt,
    costUsdToday,
    taskCount: chat?.taskCount ?? null,
    progress: chat ? workProgress(chat) : null,
    resumeCommand: null,
  };
}
