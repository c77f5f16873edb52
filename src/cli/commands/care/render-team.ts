import { age } from "../../../shared/format.ts";
import { chatStatusText } from "../team/chat-status.ts";
import type { Paint } from "../../screen-text.ts";
import { pluralize, oneLine } from "../../screen-text.ts";
import type { TeamOverview } from "./team-overview.ts";

/** [CL63] Formats chats, tasks and files with their holders; empty where there is no team. */
export function teamLines(team: TeamOverview, paint: Paint): string[] {
  if (team.trouble !== null) return [paint("yellow", `Team: ${team.where} did not answer: ${team.trouble}`), ""];
  if (!hasTeam(team)) return [];
  return [
    paint("bold", `Team (${team.where})`),
    ...team.chats.map((one) => {
      const work = one.taskCount > 0 ? `, ${pluralize(one.taskCount, "task")}` : "";
      const who = oneLine(team.names[one.chat]?.title ?? one.client, 40);
      return `  ${shortId(team, one.chat)}  ${who}  ${one.machine}  ${chatStatusText(one)}${work}${afterColon(one.progress)}`;
    }),
    ...tasksLine(team),
    ...team.underWay.map((one) => {
      const by = one.chat === null ? "" : ` by ${shortId(team, one.chat)}`;
      return `    ${one.task}  ${one.type}  ${one.state}${by}${afterColon(one.progress?.note ?? null)}`;
    }),
    ...team.files.map(
      ({ resource, holder, heldForMs }) =>
        `  ${filePath(resource)}  reserved by ${shortId(team, holder)} for ${age(heldForMs)}`,
    ),
    "",
  ];
}

function shortId({ names }: TeamOverview, chat: string): string {
  return names[chat]?.shortId ?? chat;
}

/** [CL86] */
function afterColon(text: string | null): string {
  const line = oneLine(text ?? "", 60);
  return line === "" ? "" : `: ${line}`;
}

function hasTeam({ isEdge, chats, tasks, files }: TeamOverview): boolean {
  return isEdge || chats.length > 0 || files.length > 0 || (tasks?.totalTasks ?? 0) > 0;
}

function tasksLine({ tasks }: TeamOverview): string[] {
  if (!tasks || tasks.totalTasks === 0) return [];
  const { queuedTasks, inProgressTasks, completedTasks, totalTasks } = tasks;
  return [`  tasks: ${queuedTasks} queued, ${inProgressTasks} under way, ${completedTasks} done, ${totalTasks} in all`];
}

function filePath(resource: string): string {
  return resource.replace(/^file:[^/]*\//, "");
}

export function teamFacts(team: TeamOverview): [string, string][] {
  if (team.trouble !== null) return [["team", `${team.where} did not answer: ${team.trouble}`]];
  return [
    ...team.chats.map((one): [string, string] => [
      `chat ${one.chat}`,
      `chat ${one.chat} on ${one.machine} ${one.status}, ${pluralize(one.taskCount, "task")}`,
    ]),
    ...team.underWay.map((one): [string, string] => [
      `task ${one.task}`,
      `task ${one.task} ${one.type} ${one.state}${one.chat === null ? "" : ` by ${one.chat}`}`,
    ]),
    ...team.files.map(({ resource, holder }): [string, string] => [
      resource,
      `${filePath(resource)} reserved by ${holder}`,
    ]),
  ];
}

export function howToJoin({ isEdge, chats }: TeamOverview): string[] {
  if (isEdge || chats.length === 0) return [];
  return [
    "A second machine: docs/guide/two-machines.md (a coordinator both can reach, then `shim edge join` on each).",
  ];
}
