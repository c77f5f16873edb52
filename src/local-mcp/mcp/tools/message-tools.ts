import { leaderScheme } from "../../../contract/leases.ts";
import { stateText } from "../../../contract/chat-state.ts";
import type { Chat } from "../../../contract/chats.ts";
import type { ForeseenConflict } from "../../../contract/machine/team.ts";
import type { TaskLine } from "../../../contract/task-views.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok, type Result, fail } from "../../../shared/result.ts";
import { formatAgo, age, oneLine } from "../../../shared/format.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { chatsNamed, isPresent, readConflicts, showChat } from "../../../machine/team/operations/team-handlers.ts";
import { folderOf } from "../../../machine/team/chat-directory.ts";
import type { TeamChat } from "../../../machine/team/team-chat.ts";
import { teamTool } from "./tool.ts";
import { type Target, targetText } from "../../../contract/messages.ts";
import type { News } from "../../../machine/sessions/news.ts";
import { neutralize } from "../../../machine/sessions/text/neutralize.ts";
import { indentLines, newsText } from "../../../machine/team/team-news.ts";
import { takeNews } from "../../../machine/team/deliver-news.ts";
import { isTransient } from "../../../contract/errors.ts";
import { fetchPages } from "../../../coordinator-client/coordinator-client.ts";

const pageSize = 100;
const maxTasks = 200;
const maxNoteChars = 200;

export const chats = teamTool<"shim_chats">(async ({ chat: { runtime }, member, call }, { all }) => {
  const found = await call("chats.list", { limit: pageSize });
  if (!found.ok) return found;
  const running = await call("tasks.list", { state: "running", limit: maxTasks });
  if (!running.ok) return running;
  const summary = await call("tasks.progress", {});
  if (!summary.ok) return summary;
  const leading = await call("leases.list", { prefix: leaderScheme, limit: pageSize });
  if (!leading.ok) return leading;
  const leaders = leading.value.leases.map(({ resource, holder: chat, token: term }) => {
    return { name: resource.slice(leaderScheme.length), chat, term };
  });
  const { activeChats: _chats, isAll: _isAll, ...tasks } = summary.value;
  const known = found.value.chats.map((chat) => toChatLine(member, chat, running.value.tasks, runtime));
  const listed = known.filter((one) => all === true || isPresent(one));
  const conflicts = readConflicts(runtime);
  const counts = `${tasks.queuedTasks} waiting, ${tasks.inProgressTasks} in progress, ${tasks.completedTasks} done, of ${tasks.totalTasks}`;
  return ok({
    message: `Tasks: ${counts}. Chats: ${listed.length}.${listed.some(({ state }) => state === "waits") ? youText : ""}`,
    quoted: {
      as: "chats",
      text: [
        ...listed.map(formatChat),
        ...leaders.map(({ name, chat }) => `${chat} leads ${name}`),
        ...conflicts.map(
          ({ kind, path, chats }) => `${conflictWords[kind]} ${path}: ${chats.map(sideText).join(", ")}`,
        ),
      ].join("\n"),
    },
    output: {
      chats: listed,
      leaders,
      ...(conflicts.length > 0 ? { conflicts } : {}),
      tasks,
      isMore: found.value.cursor !== null,
    },
  });
});

const conflictWords: Record<ForeseenConflict["kind"], string> = {
  merge: "a conflict is foreseen in",
  file: "two chats have edited",
  tree: "two chats write the work tree",
  apart: "not compared:",
};

function sideText({ chat, did, lines }: ForeseenConflict["chats"][number]): string {
  return `${chat} ${lines === null ? did : `lines ${lines}`}`;
}

type ChatLine = ReturnType<typeof toChatLine>;

/** A model must not take the words that a person reads as a request to itself. */
const youText = ' In a state, "you" is the user of that chat.';

function toChatLine(member: TeamChat, chat: Chat, running: readonly TaskLine[], runtime: Runtime) {
  const { name, machine, checkout, waiting } = member.directory.fromChat(chat);
  const project = folderOf(checkout);
  const { state, detail, progress } = showChat(runtime, chat);
  const waitingMs = waiting && state === "waits" ? Math.max(0, runtime.now() - waiting.at) : null;
  const tasks = running.filter((task) => task.chat === chat.chat).map(toTask);
  return {
    chat: chat.chat,
    name,
    machine,
    ...(project === null ? {} : { project }),
    state,
    detail,
    isSelf: chat.chat === member.sessionId,
    capabilities: chat.capabilities,
    capacity: chat.capacity,
    ...(progress ? { progress: progress.slice(0, maxNoteChars) } : {}),
    ...(waitingMs === null ? {} : { waitingMs }),
    tasks,
    lastSeenMsAgo: chat.lastSeenAgeMs,
  };
}

function toTask({ task, type, progress }: TaskLine) {
  const { percent, note } = progress ?? {};
  return { task, type, ...omitUndefined({ percent, note: note?.slice(0, maxNoteChars) }) };
}

function formatChat(line: ChatLine): string {
  const { chat, name, machine, project, isSelf, capabilities, capacity, progress, tasks } = line;
  const self = `${project === undefined ? "" : ` in ${oneLine(project)}`}${isSelf ? " (this chat)" : ""}`;
  const taskTexts = tasks.map(({ task, type, percent, note }) => {
    const share = percent === undefined ? "" : ` ${percent} %`;
    return `task ${task} (${type})${share}${note === undefined ? "" : `: ${oneLine(note)}`}`;
  });
  // A task's note is often the chat's progress too.
  const isSaid = tasks.some(({ note }) => note === progress);
  const work = [...(progress && !isSaid ? [oneLine(progress)] : []), ...taskTexts].join("; ");
  const load = `tasks ${tasks.length}/${capacity}`;
  const can = capabilities.length === 0 ? "" : `; can ${capabilities.join(", ")}`;
  return `${chat} "${name}" on ${machine}${self}: ${stateAndAge(line)}, ${load}${can}${work === "" ? "" : `; ${work}`}`;
}

function stateAndAge(line: ChatLine): string {
  const { waitingMs, lastSeenMsAgo } = line;
  if (!isPresent(line)) return `${stateText(line)}, seen ${age(lastSeenMsAgo)} ago`;
  return `${stateText(line)}${waitingMs === undefined ? "" : ` for ${age(waitingMs)}`}`;
}

export const send = teamTool<"shim_send">(async ({ member, removed: count }, input) => {
  const found = await resolveRecipient(member, input.to);
  if (!found.ok) return found;
  const target = found.value;
  const to = targetText(target);
  const sent = await member.outbox.call("messages.send", { target, body: input.text, requestId: member.newId() });
  const removed = count === 0 ? "" : ` Secrets removed: ${count}.`;
  if (sent.kind === "kept") {
    return ok({
      message: `Kept: the message to ${to} will be sent once, when the coordinator answers again.${removed}`,
      output: { state: "kept", to },
    });
  }
  if (!sent.answer.ok) return sent.answer;
  return ok({
    message: `Sent to ${to}.${removed}`,
    output: { state: "sent", to, id: sent.answer.value.id },
  });
});

export const inbox = teamTool<"shim_inbox">(async ({ chat, session, member, call }, { topics }) => {
  for (const pattern of topics ?? []) {
    const subscribed = await call("messages.subscribe", { pattern });
    if (!subscribed.ok) return subscribed;
  }
  const pulled = await member.pull();
  const { runtime } = chat;
  const now = runtime.now();
  const { rows, isMore } = takeNews(runtime, session.id);
  const missing = pulled.ok ? "" : ` The coordinator was not reached (${pulled.error.code}): there may be more.`;
  const lead = `${rows.length === 0 ? "No news." : `News: ${rows.length}.`}${isMore ? " More are waiting: call again." : ""}${missing}`;
  const texts = rows.map(({ at, news: one }) => {
    const brief = one.kind === "offer" && "brief" in one ? `: ${indentLines(one.brief)}` : "";
    return `${formatAgo(now, at)}: ${newsText(one)}${brief}`;
  });
  return ok({
    message: lead,
    ...(rows.length === 0 ? {} : { quoted: { as: "news", text: texts.join("\n") } }),
    output: {
      news: rows.map((row) => Object.assign({ ageMs: now - row.at }, harmlessNews(row.news))),
      isMore,
      isComplete: pulled.ok,
    },
  });
});

/** The brief of an offer has its own fence. */
function harmlessNews<One extends News>(one: One): One {
  const entries = Object.entries(one).map(([name, value]: [string, unknown]) => [
    name,
    typeof value === "string" && name !== "brief" ? neutralize(value) : value,
  ]);
  return Object.fromEntries(entries) as One;
}

const timeoutMs = 5_000;
const maxPrefixChars = 20;

/** Accepts "all", "topic:NAME", or a chat's id, id prefix or title. */
async function resolveRecipient(member: TeamChat, to: string): Promise<Result<Target>> {
  if (to === "all") return ok({ to: "all" });
  if (to.startsWith("topic:")) return ok({ to: "topic", topic: to.slice("topic:".length) });
  const { link } = member.openedLink;
  const chats = await fetchPages({ call: (name, input) => link.call(name, input, timeoutMs) }, "chats.list", {});
  // A message to a whole id can be kept for later.
  if (!chats.ok) return isTransient(chats.error) && isWholeId(to) ? ok({ to: "chat", chat: to }) : chats;
  return pickRecipient(
    member,
    chats.value.chats.filter(({ chat }) => chat !== member.sessionId),
    to,
  );
}

function pickRecipient(member: TeamChat, others: readonly Chat[], to: string): Result<Target> {
  const exact = others.find(({ chat }) => chat === to);
  if (exact) return ok({ to: "chat", chat: exact.chat });
  const online = others.filter(({ status }) => status !== "offline");
  const named = online.map((one) => ({ chat: one.chat, title: member.directory.fromChat(one).name }));
  const [match, ...more] = chatsNamed(named, to);
  if (match && more.length === 0) return ok({ to: "chat", chat: match.chat });
  const message = match
    ? `"${to}" is ambiguous: ${[match, ...more].map(({ chat }) => chat).join(", ")}; give more of the id`
    : `no online chat is called "${to}"; shim_chats lists them (with all: true also offline chats)`;
  return fail(match ? "ambiguous" : "unknown_chat", message);
}

function isWholeId(to: string): boolean {
  return to.length > maxPrefixChars && /^[\w.:@-]{1,128}$/.test(to);
}
