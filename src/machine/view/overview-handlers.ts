import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Runtime } from "../../runtime/runtime.ts";
import { limitNote } from "../sessions/usage/at-limit.ts";
import { switchedOff } from "../sessions/requests.ts";
import type { CallOperation } from "../context/operation-context.ts";
import type { Workspace } from "../sharing/operations/workspace.ts";
import type { Handlers, HandlerContext } from "../recovery/handler-context.ts";
import { shimCommand } from "../../platform/shim-command.ts";
import { findSupervisor } from "../../platform/supervisor-mark.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as notices from "../../store/notices.ts";
import * as pauses from "../../store/pause.ts";
import { findIncomplete } from "../recovery/incomplete/detect.ts";
import { readChatState } from "../recovery/session-state.ts";
import { asSeen, mayBeContinued } from "../sessions/ending/ending.ts";
import * as sessions from "../sessions/sessions.ts";
import { toSessionView } from "../recovery/session-view.ts";
import { clientTitle } from "../../clients/adapters.ts";
import { workProgress } from "../../contract/chat-state.ts";
import { type Chat, commandLine } from "../../contract/chats.ts";
import type { Fleet, FleetRow, SessionPage, ReceivedMessage } from "../../contract/machine/page.ts";
import type { SessionView } from "../../contract/machine/sessions.ts";
import { age, dayOf } from "../../shared/format.ts";
import { pickFields } from "../../shared/json-fields.ts";
import { emptyLine, sum, totalCost, usageBy } from "../sessions/usage/ledger.ts";
import { isPresent } from "../team/operations/team-handlers.ts";
import * as audit from "../sessions/machine-audit.ts";
import { readContent, type SessionContent } from "../sessions/session-content.ts";
import { readDay } from "./page-day.ts";
import { visible } from "../../shared/visible-text.ts";
import { findSession, readSession } from "../recovery/resolve-id.ts";
import * as news from "../sessions/news.ts";
import { newsText } from "../team/team-news.ts";
import { openConflicts } from "../team/conflicts.ts";
import { isFolder, realPath } from "../../platform/paths.ts";
import { catchUp } from "../sessions/transcripts/record-transcript.ts";
import { projectRoot } from "../../snapshots/git-head.ts";
import { isSessionPaused } from "../sessions/session-settings.ts";
import { aliveSessions } from "../sessions/life/presence.ts";
import { claimOf } from "../sessions/recoveries.ts";

const recentMs = 86_400_000;
const maxShown = { finished: 5, incomplete: 20 };
const maxCounted = 10_000;
const maxOnPage = { finished: 20, incomplete: 100 };

export const overviewHandlers = {
  async "overview.get"({ runtime: load }) {
    const runtime = await load();
    const { path } = runtime.store;
    const now = runtime.now();
    const empty = { sessions: [], ended: 0, scripts: 0, notices: [], pauses: [] };
    const views = runtime.store.read((sql) => {
      const { shown, ...counts } = sessionsToShow(sql, runtime, maxShown);
      const views = shown.map((one) => toSessionView(sql, runtime, one));
      return { sessions: views, ...counts, notices: notices.list(sql), pauses: pauses.list(sql, now) };
    }, empty);
    const running = findSupervisor(runtime.paths.home, runtime.processes);
    const supervisor = running && { pid: running.pid };
    return ok({ at: now, store: { path, isThere: existsSync(path) }, ...views, supervisor });
  },
  "team.overview": async ({ runtime, team }, { maxAgeMs }) => ok(await team.read(await runtime(), maxAgeMs)),
  async "clients.list"(context) {
    // Chats load this module for other operations; what reads the clients' files is large.
    const { clientStates } = await import("../../installer/inspect.ts");
    return ok({ clients: clientStates(context) });
  },
} satisfies Partial<Handlers>;

/** Sessions that are alive or can come back, and the newest of those that ended in a day. */
function sessionsToShow(
  sql: Sql,
  runtime: Runtime,
  { finished: maxFinished, incomplete }: typeof maxShown,
): { readonly shown: sessions.Session[]; readonly ended: number; readonly scripts: number } {
  const since = runtime.now() - recentMs;
  const isFolded = sessions.foldsScripts(sql, {});
  const alive = aliveSessions(sql, runtime).filter((one) => !(isFolded && one.isScripts));
  const dead = findIncomplete(sql, runtime, { limit: incomplete, accepts: mayBeContinued });
  const recent = sessions.list(sql, { since, limit: maxCounted });
  const finished = recent.filter((one) => asSeen(sql, runtime, one).ending?.how === "ended");
  const shown = [...alive, ...dead.map(({ session }) => session), ...finished.slice(0, maxFinished)];
  return { shown, ended: finished.length, scripts: sessions.countFolded(sql, { since }) };
}

/** Sessions of this machine, and the workspace's chats and dead sessions on other machines. */
async function readFleet({ runtime: load, site, others, ...context }: HandlerContext): Promise<Fleet> {
  const runtime = await load();
  const opened = await context.workspace.open();
  const { chats: all, ...team } = await readTeam(opened);
  const canAsk = opened.ok && opened.value.isEdge && team.trouble === null;
  const dead = canAsk ? await others.listDead(runtime, all) : [];
  const now = runtime.now();
  const command = shimCommand(site) ?? "shim";
  const resumeCommand = ({ shortId }: Pick<FleetRow, "shortId">): string => `${command} resume ${shortId}`;
  const elsewhere = dead.map((view) => Object.assign(toFleetRow(view, now), { resumeCommand: resumeCommand(view) }));
  const byChat = new Map(all.map((one) => [one.chat, one]));
  const own = runtime.store.read((sql) => readOwn(sql, runtime, byChat), none);
  const known = new Set(own.rows.map(({ id }) => id));
  const rows = own.rows.map((row) =>
    row.state === "died" ? Object.assign(row, { resumeCommand: resumeCommand(row) }) : row,
  );
  const chats = all.filter((one) => !known.has(one.chat) && isPresent(readChatState(runtime, one)));
  const requests = await openRequests(runtime, context.call);
  return { ...own, ...team, ...requests, rows: [...rows, ...elsewhere], chats };
}

/** Requests live in the host. */
async function openRequests({ config }: Runtime, call: CallOperation): Promise<Pick<Fleet, "requests" | "answers">> {
  if (!config.answers.isEnabled) return {};
  const listed = await call("requests.list", {});
  if (!listed.ok) return {};
  const { requests, answers } = listed.value;
  return { requests, ...omitUndefined({ answers }) };
}

async function readTeam(opened: Result<Workspace>): Promise<Pick<Fleet, "where" | "trouble" | "chats">> {
  if (!opened.ok) return { where: "this machine", trouble: opened.error.message, chats: [] };
  const { where } = opened.value;
  const listed = await opened.value.list("chats.list", {});
  if (!listed.ok) return { where, trouble: listed.error.message, chats: [] };
  return { where, trouble: null, chats: listed.value.chats.filter(({ client }) => client !== commandLine) };
}

const none = { rows: [], ended: 0, scripts: 0, costUsdToday: null, unpricedTokensToday: 0, notices: [], conflicts: [] };

function readOwn(sql: Sql, runtime: Runtime, chats: ReadonlyMap<string, Chat>): Pick<Fleet, keyof typeof none> {
  const now = runtime.now();
  const usage = usageBy(sql, { by: "session", since: now }, runtime.config.usage);
  const costs = new Map(usage.map((line) => [line.key, totalCost(line)]));
  const total = usage.reduce(sum, emptyLine);
  const { shown, ...counts } = sessionsToShow(sql, runtime, maxOnPage);
  const views = shown.map((one) => toSessionView(sql, runtime, one, chats.get(one.id)));
  const paused = pauses.list(sql, now).map((one) => pauseText(one, now));
  return {
    rows: views.map((view) => toFleetRow(view, now, chats.get(view.id), costs.get(view.id))),
    ...counts,
    costUsdToday: usage.length === 0 ? null : totalCost(total),
    unpricedTokensToday: total.unpricedTokens,
    notices: [...notices.list(sql).map(({ text }) => text), ...paused],
    conflicts: openConflicts(sql, runtime),
  };
}

function pauseText({ project, until }: pauses.Pause, now: number): string {
  const rest = until === null ? "" : ` for another ${age(until - now)}`;
  return `Nothing is stored for ${project ?? "any project"}${rest}: paused.`;
}

const sharedFields = [
  "id",
  "shortId",
  "title",
  "state",
  "detail",
  "project",
  "model",
  "contextFill",
  "risk",
  "cause",
  "causeDetail",
  "machine",
] as const;

function toFleetRow(view: SessionView, now: number, chat?: Chat, costUsdToday: number | null = null): FleetRow {
  const { waitingSince, lastSeenAt, savedAt } = view;
  return {
    ...pickFields(view, sharedFields),
    client: clientTitle(view),
    waitingMs: waitingSince === null ? null : now - waitingSince,
    seenAgeMs: now - lastSeenAt,
    savedAgeMs: savedAt === null ? null : now - savedAt,
    costUsdToday,
    taskCount: chat?.taskCount ?? null,
    progress: chat ? workProgress(chat) : null,
    resumeCommand: null,
  };
}

const maxEntries = 200;

export const pageHandlers = {
  "page.fleet": async (context) => ok(await readFleet(context)),
  async "page.session"(context, { session: id }) {
    const found = findSession(await context.runtime(), id);
    if (!found.ok) return found;
    const opened = await context.workspace.open();
    const asked = opened.ok ? await opened.value.call("chats.get", { chat: found.value.id }) : opened;
    const chat = asked.ok && asked.value.status !== "offline" ? asked.value : undefined;
    return readSession(context, found.value.id, (sql, runtime, session): SessionPage => {
      const now = runtime.now();
      const view = toSessionView(sql, runtime, session, chat);
      const known = claimOf(sql, session.id);
      const command = shimCommand(context.site) ?? "shim";
      const content = readContent(sql, session.id);
      return {
        row: {
          ...toFleetRow(view, now, chat),
          resumeCommand: view.isAlive ? null : `${command} resume ${view.shortId}`,
        },
        checkpoints: view.checkpoints,
        forkCommand: `${command} fork ${view.shortId} --at`,
        isAlive: view.isAlive,
        cannotWrite: runtime.config.answers.isEnabled ? null : switchedOff,
        canDismiss: view.cause !== null && known?.is !== "dismissed" && known?.is !== "recovered",
        context: contextOf(content.signals, now),
        costUsdByDay: costByDay(sql, runtime, session.id),
        canOfferAgain: view.endedAt === null && known !== null,
        atLimit: limitNote(sql, runtime, session),
      };
    });
  },
  async "page.day"({ runtime: load }, { hours }) {
    const runtime = await load();
    const empty = { hours, lanes: [], scripts: 0, isAll: true };
    return ok(runtime.store.read((sql) => readDay(sql, runtime, hours), empty));
  },
  "page.messages": async ({ runtime }) => ok({ messages: readMessages(await runtime()) }),
  /** Leaves out the workspace's log where it cannot be read, with the reason. */
  async "page.audit"({ runtime, workspace }, { kind }) {
    const own = audit.listNewest(await runtime(), maxEntries).filter((one) => !kind || one.kind === kind);
    const opened = await workspace.open();
    const input = { limit: maxEntries, ...(kind ? { kind } : {}) };
    const team = opened.ok ? await opened.value.call("audit.list", input) : opened;
    const all = [...own, ...(team.ok ? team.value.entries : [])].toSorted((a, b) => a.ageMs - b.ageMs);
    return ok({ entries: all.slice(0, maxEntries), trouble: team.ok ? null : team.error.message });
  },
} satisfies Partial<Handlers>;

const maxPoints = 120;

/** Evenly chosen where there are more; the newest is always one of them. */
function contextOf(signals: SessionContent["signals"], now: number): SessionPage["context"] {
  const points = signals.flatMap(({ at, readings: { contextFill } }) =>
    contextFill ? [{ ageMs: now - at, share: contextFill.value }] : [],
  );
  const step = Math.ceil(points.length / maxPoints);
  return points.filter((_, position) => (points.length - 1 - position) % step === 0);
}

const dayMs = 86_400_000;
const shownDays = 7;

function costByDay(sql: Sql, { config, now }: Runtime, session: string): number[] | null {
  const since = now() - (shownDays - 1) * dayMs;
  const lines = usageBy(sql, { by: "day", since, sessions: [session] }, config.usage);
  const costs = new Map(lines.map((line) => [line.key, totalCost(line)]));
  const days = Array.from({ length: shownDays }, (_, at) => dayOf(since + at * dayMs));
  const usd = days.map((day) => costs.get(day) ?? 0);
  return usd.some((one) => one > 0) ? usd : null;
}

const maxMessages = 200;
const maxChars = 2_000;

/** Status of words whose session a chat of another machine has taken. */
const elsewhereText = "went on with its session to a chat of another machine";

/** Notifications of this machine's chats, newest first. */
export function readMessages({ store, now }: Runtime): ReceivedMessage[] {
  return store.read(
    (sql) =>
      news.listNewest(sql, maxMessages).map(({ seq, at, session, deliveredAt, news: one }) => {
        const receiver = sessions.get(sql, session);
        return {
          id: seq,
          ageMs: now() - at,
          kind: one.kind,
          text: visible(one.kind === "message" ? one.text : newsText(one)).slice(0, maxChars),
          from: one.kind === "message" ? one.fromName : null,
          topic: one.kind === "message" ? one.topic : null,
          to: session,
          toTitle: receiver && sessions.displayTitle(receiver),
          isDelivered: deliveredAt !== null,
          status: deliveredAt !== null ? "shown to it" : receiver === null ? elsewhereText : "not shown yet",
        };
      }),
    [],
  );
}

export const noticeHandlers = {
  async "notices.list"({ runtime }) {
    const { store } = await runtime();
    return ok({ notices: store.read(notices.list, []) });
  },
  "notices.acknowledge": async ({ runtime }) => ok({ acknowledged: acknowledgeNotices(await runtime()) }),
} satisfies Partial<Handlers>;

/** @returns those that were open */
export function acknowledgeNotices({ store, now }: Runtime): notices.Notice[] {
  const open = store.read(notices.list, []);
  if (open.length > 0) store.write((sql) => notices.acknowledge(sql, now(), null));
  return open;
}

export const pauseHandlers = {
  async "pauses.start"({ runtime: load }, { forMs, project }) {
    if (project !== undefined && !isFolder(project))
      return fail("not_found", `there is no folder ${resolve(project)}. Nothing was paused.`);
    const runtime = await load();
    const now = runtime.now();
    const started = { project: projectOf(project), until: forMs === undefined ? null : now + forMs };
    runtime.store.write((sql) => pauses.pause(sql, now, started.until, started.project));
    return ok({ started, pauses: listPauses(runtime) });
  },
  async "pauses.end"({ runtime: load }, { project: folder }) {
    const runtime = await load();
    const project = projectOf(folder);
    const ended = pausesOf(listPauses(runtime), project).length > 0;
    if (ended)
      runtime.store.write((sql) => {
        const now = runtime.now();
        skipOpenTranscripts(sql, now);
        for (const one of pausesOf(pauses.list(sql, now), project)) pauses.resume(sql, now, one.project);
      });
    return ok({ ended, project, pauses: listPauses(runtime) });
  },
} satisfies Partial<Handlers>;

function listPauses({ store, now }: Runtime): pauses.Pause[] {
  return store.read((sql) => pauses.list(sql, now()), []);
}

function pausesOf(all: readonly pauses.Pause[], project: string | null): pauses.Pause[] {
  return all.filter((one) => (one.project === null ? null : realPath(one.project)) === project);
}

/** Skips transcript entries that no hook has reported yet, too. */
function skipOpenTranscripts(sql: Sql, now: number): void {
  for (const session of sessions.listOpen(sql)) {
    if (isSessionPaused(sql, now, session)) catchUp(sql, now, session.id);
  }
}

/** Project root by its real path: clients report that path or a link to it. */
function projectOf(folder: string | undefined): string | null {
  if (folder === undefined) return null;
  const path = realPath(resolve(folder));
  return projectRoot(path) ?? path;
}
