import { stateText } from "../../../contract/chat-state.ts";
import type { Chat } from "../../../contract/chats.ts";
import type { TaskLine } from "../../../contract/task-views.ts";
import type { Lease } from "../../../contract/leases.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { age } from "../../../shared/format.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { isPresent, showChat } from "../../host/team-handlers.ts";
import { folderOf } from "../../team/chat-naming.ts";
import type { TeamChat } from "../../team/team-chat.ts";
import { teamTool } from "./team-tool.ts";

const pageSize = 100;
const maxTasks = 200;
const maxNoteChars = 200;
const leaderPrefix = "leader:";

export const chats = teamTool<"shim_chats">(async ({ chat: { runtime }, member, call }, { all }) => {
  const found = await call("chats.list", { limit: pageSize });
  if (!found.ok) return found;
  const running = await call("tasks.list", { state: "running", limit: maxTasks });
  if (!running.ok) return running;
  const summary = await call("tasks.progress", {});
  if (!summary.ok) return summary;
  const leading = await call("leases.list", { prefix: leaderPrefix, limit: pageSize });
  if (!leading.ok) return leading;
  const leaders = leading.value.leases.map(toLeader);
  const { activeChats: _chats, isAll: _isAll, ...tasks } = summary.value;
  const known = found.value.chats.map((chat) => toChatLine(member, chat, running.value.tasks, runtime));
  const listed = known.filter((one) => all === true || isPresent(one));
  const counts = `${tasks.queuedTasks} queued, ${tasks.inProgressTasks} in progress, ${tasks.completedTasks} done, of ${tasks.totalTasks}`;
  return ok({
    message: `Tasks: ${counts}. Chats: ${listed.length}.${listed.some(({ state }) => state === "waits") ? youText : ""}`,
    quoted: { as: "chats", text: [...listed.map(formatChat), ...leaders.map(formatLeader)].join("\n") },
    output: { chats: listed, leaders, tasks, isMore: found.value.cursor !== null },
  });
});

function toLeader({ resource, holder, token }: Lease) {
  return { name: resource.slice(leaderPrefix.length), chat: holder, term: token };
}

function formatLeader({ name, chat }: ReturnType<typeof toLeader>): string {
  return `${chat} leads ${name}`;
}

type ChatLine = ReturnType<typeof toChatLine>;

/** A model must not take the words that a person reads as a request to itself. */
const youText = ' In a state, "you" is the user of that chat.';

function toChatLine(member: TeamChat, chat: Chat, running: readonly TaskLine[], runtime: Runtime) {
  const { name, machine, checkout, waiting } = member.directory.fromChat(chat);
  const project = folderOf(checkout);
  const { state, detail, progress } = showChat(runtime, chat);
  const waitingMs = waiting && state === "waits" ? Math.max(0, runtime.now() - waiting.since) : null;
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

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}
