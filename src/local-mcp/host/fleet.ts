import { clientTitle } from "../../clients/adapters.ts";
import { workProgress } from "../../contract/chat-state.ts";
import type { Chat } from "../../contract/chats.ts";
import { commandLine } from "../../contract/command-line-chat.ts";
import type { Fleet, FleetRow } from "../../contract/machine/page.ts";
import type { SessionView } from "../../contract/machine/sessions.ts";
import { shimCommand } from "../../platform/shim-command.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { age } from "../../shared/format.ts";
import type { Sql } from "../../shared/sql.ts";
import * as notices from "../../store/notices.ts";
import * as pauses from "../../store/pause.ts";
import { readChatState } from "../recovery/session-state.ts";
import { emptyLine, sum, totalCost, usageBy } from "../usage/usage-report.ts";
import { isPresent } from "./chat-names.ts";
import type { HandlerContext } from "./handlers.ts";
import type { HostResult, Workspace } from "./host.ts";
import { sessionsToShow } from "./overview-handlers.ts";
import { toSessionView } from "./session-view.ts";
import { settle } from "./settle.ts";

const shown = { finished: 20, incomplete: 100 };

/** Sessions of this machine, and the workspace's chats and dead sessions on other machines. */
export async function readFleet({ runtime: load, site, others, ...context }: HandlerContext): Promise<Fleet> {
  const runtime = await load();
  await settle(runtime, context.call);
  const opened = await context.workspace.open();
  const { chats: all, ...team } = await readTeam(opened);
  const canAsk = opened.ok && opened.value.isEdge && team.trouble === null;
  const dead = canAsk ? await others.listDead(runtime, all, shimCommand(site) ?? "shim") : [];
  const byChat = new Map(all.map((one) => [one.chat, one]));
  const own = runtime.store.read((sql) => readOwn(sql, runtime, byChat), noneHere);
  const known = new Set(own.rows.map(({ id }) => id));
  const chats = all.filter((one) => !known.has(one.chat) && isPresent(readChatState(runtime, one)));
  return { ...own, ...team, rows: [...own.rows, ...dead], chats };
}

async function readTeam(opened: HostResult<Workspace>): Promise<Pick<Fleet, "where" | "trouble" | "chats">> {
  if (!opened.ok) return { where: "this machine", trouble: opened.error.message, chats: [] };
  const { where } = opened.value;
  const listed = await opened.value.list("chats.list", {});
  if (!listed.ok) return { where, trouble: listed.error.message, chats: [] };
  return { where, trouble: null, chats: listed.value.chats.filter(({ client }) => client !== commandLine) };
}

const noneHere = { rows: [], costUsdToday: null, unpricedTokensToday: 0, notices: [] };

function readOwn(
  sql: Sql,
  runtime: Runtime,
  chats: ReadonlyMap<string, Chat>,
): Pick<Fleet, "rows" | "costUsdToday" | "unpricedTokensToday" | "notices"> {
  const now = runtime.now();
  const usage = usageBy(sql, { by: "session", since: now }, runtime.config.usage);
  const costs = new Map(usage.map((line) => [line.key, totalCost(line)]));
  const total = usage.reduce(sum, emptyLine);
  const views = sessionsToShow(sql, runtime, shown).map((one) => toSessionView(sql, runtime, one, chats.get(one.id)));
  const paused = pauses.list(sql, now).map((one) => pauseText(one, now));
  return {
    rows: views.map((view) => toFleetRow(view, now, chats.get(view.id), costs.get(view.id))),
    costUsdToday: usage.length === 0 ? null : totalCost(total),
    unpricedTokensToday: total.unpricedTokens,
    notices: [...notices.list(sql).map(({ text }) => text), ...paused],
  };
}

function pauseText({ project, until }: pauses.Pause, now: number): string {
  const rest = until === null ? "" : ` for another ${age(until - now)}`;
  return `Nothing is stored for ${project ?? "any project"}${rest}: paused.`;
}

export function toFleetRow(view: SessionView, now: number, chat?: Chat, costUsdToday: number | null = null): FleetRow {
  const { id, shortId, title, state, detail, project, model, contextFill, risk, cause, causeDetail } = view;
  const { waitingSince, lastSeenAt, savedAt } = view;
  return {
    id,
    shortId,
    title,
    state,
    detail,
    project,
    model,
    contextFill,
    risk,
    cause,
    causeDetail,
    client: clientTitle(view),
    machine: null,
    waitingMs: waitingSince === null ? null : now - waitingSince,
    seenAgeMs: now - lastSeenAt,
    savedAgeMs: savedAt === null ? null : now - savedAt,
    costUsdToday,
    taskCount: chat?.taskCount ?? null,
    progress: chat ? workProgress(chat) : null,
    resumeCommand: null,
  };
}
