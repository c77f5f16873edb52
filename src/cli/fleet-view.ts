import { localTime } from "../contract/age.ts";
import {
  type ChatGroup,
  type ChatGroups,
  type ChatRank,
  type ChatState,
  groupChats,
  type ShownState,
  stateText,
} from "../contract/chat-state.ts";
import type { MachineOutput } from "../contract/machine/operations.ts";
import type { ClientState, TeamView } from "../contract/machine/overview.ts";
import type { SessionView } from "../contract/machine/sessions.ts";
import type { RiskLevel } from "../contract/readings.ts";
import { supportedClients } from "../clients/adapters.ts";
import { formatAgo, age, oneLine, pluralize } from "../shared/format.ts";
import { cutPathToWidth, cutToWidth, type Paint, shortPath, shownWidth, textWidth } from "./screen-text.ts";

/** Pure. Lines of `shim up`. */

/** Printed as JSON: fields are only added. */
export interface Overview extends MachineOutput<"overview.get"> {
  readonly clients: readonly ClientState[];
  readonly team: TeamView;
}

export interface OverviewStyle {
  readonly paint: Paint;
  readonly columns: number;
  readonly home: string;
  readonly command: () => string;
}

function rankOf({ id, state, waitingSince, risk, lastSeenAt }: SessionView): ChatRank {
  const waited = -(waitingSince ?? Number.MAX_SAFE_INTEGER);
  return { id, state, waited, riskScore: risk?.score ?? 0, silence: -lastSeenAt };
}

/** Chats that need their user come first, the others by their projects. */
export function groupsOf({
  sessions,
  team,
}: Pick<Overview, "sessions"> & { readonly team: Pick<TeamView, "elsewhere"> }): ChatGroups<SessionView> {
  return groupChats([...sessions, ...team.elsewhere], rankOf);
}

/** @param home the user's folder */
function titleOf({ project, machine }: ChatGroup<SessionView>, home: string): string {
  if (project !== null) return shortPath(project, home);
  return machine === null ? "Without a project" : `On ${machine}`;
}

function canResume({ isAlive, state }: SessionView): boolean {
  return !isAlive && state !== "ended";
}

export function overviewLines(overview: Overview, style: OverviewStyle): string[] {
  const { at, ended, scripts, notices, pauses, store, team } = overview;
  const { paint, home, command } = style;
  const { needs, projects } = groupsOf(overview);
  const section = (title: string, some: readonly SessionView[], isNeed = false): string[] => {
    const lines = some.flatMap((one) => sessionLines(one, isNeed, at, style)).map((line) => `  ${line}`);
    return some.length === 0 ? [] : [paint("bold", `${title} (${some.length})`), ...lines, ""];
  };
  const warnings = [
    ...notices.map((one) => `notice ${one.id}: ${one.text}`),
    ...pauses.map(({ project, until }) => {
      const end = until === null ? "" : ` until ${localTime(until)}`;
      return `paused: ${project ?? "all projects"}${end}`;
    }),
  ];
  const runs = scripts > 0 ? `, and ${pluralize(scripts, "run")} of scripts (--scripts)` : "";
  const past = paint("dim", `${ended} ended in the last day${runs}: ${command()} sessions`);
  return [
    paint("bold", `SHIM at ${localTime(at)}, ${shortPath(store.path, home)}`),
    ...warnings.map((text) => paint("yellow", text)),
    "",
    ...section("Needs you", needs, true),
    ...projects.flatMap((group) => section(titleOf(group, home), group.rows)),
    ...(ended + scripts > 0 ? [past, ""] : []),
    ...teamLines(team, style),
    ...nextStepLines(overview, command),
  ];
}

const most = { path: 40, title: 40 };
const least = { path: 12, title: 20 };
/** The section's indent, three gaps and the colon. */
const frame = 9;

/** @param isNeed its project is not its heading */
function sessionLines(one: SessionView, isNeed: boolean, at: number, style: OverviewStyle): string[] {
  const text = one.isAlive ? aliveText(one, at, style) : deadText(one, at, style);
  const room = style.columns - frame - one.shortId.length - shownWidth(text);
  const title = oneLine(one.title ?? "untitled", maxTitleChars);
  const path = !isNeed ? "" : one.project === null ? one.client : shortPath(one.project, style.home);
  const pathWidth = Math.min(most.path, textWidth(path));
  const titleWidth = Math.min(
    most.title,
    textWidth(title),
    Math.max(least.title, room - Math.min(pathWidth, least.path)),
  );
  const where = cutPathToWidth(path, Math.min(pathWidth, Math.max(least.path, room - titleWidth)));
  const parts = [one.shortId, where, cutToWidth(title, titleWidth), text];
  const line = parts.filter((part) => part !== "").join("  ");
  if (!canResume(one)) return [line];
  const command = `${style.command()} resume ${one.shortId}`;
  const whole = `${line}: ${command}`;
  return shownWidth(whole) + 2 <= style.columns ? [whole] : [`${line}:`, `  ${command}`];
}

/** Longer than any window shows. */
const maxTitleChars = 200;

const levelColours: Record<RiskLevel, "green" | "yellow" | "red"> = {
  safe: "green",
  warning: "yellow",
  danger: "red",
  critical: "red",
};

function aliveText(one: SessionView, now: number, style: OverviewStyle): string {
  const { risk, savedAt, waitingSince, contextFill } = one;
  const { score = 0, level = "safe", reasons = [] } = risk ?? {};
  const why = reasons.length === 0 ? "" : ` (${reasons.map(({ name }) => name).join(", ")})`;
  const riskText = `${style.paint(levelColours[level], `risk ${score} ${level}`)}${why}`;
  const since = waitingSince === null ? "" : ` for ${age(now - waitingSince)}`;
  const saved = savedAt === null ? "not saved yet" : `saved ${formatAgo(now, savedAt)}`;
  const fill = contextFill === null ? "" : `, context ${Math.round(contextFill * 100)} %`;
  return `${paintState(one, style, since)}, ${saved}, ${riskText}${fill}`;
}

function deadText(one: SessionView, now: number, style: OverviewStyle): string {
  const where = one.machine === null ? "" : ` on ${one.machine}`;
  return paintState(one, style, `${where}, ${formatAgo(now, one.lastSeenAt)}`);
}

const stateColours: Partial<Record<ChatState, "yellow" | "red">> = { waits: "yellow", stuck: "red", died: "red" };

function paintState(one: ShownState, { paint }: OverviewStyle, more = ""): string {
  const colour = stateColours[one.state];
  const text = `${stateText(one)}${more}`;
  return colour ? paint(colour, text) : text;
}

/** Chats, tasks and files with their holders; empty where there is no team. */
function teamLines(team: TeamView, { paint }: OverviewStyle): string[] {
  const { where, trouble, names, tasks, chats, underWay, files } = team;
  if (trouble !== null) return [paint("yellow", `Team: ${where} cannot be used now: ${trouble}`), ""];
  if (!hasTeam(team)) return [];
  const nameOf = (chat: string): string => names[chat]?.shortId ?? chat;
  const members = chats.map((one) => {
    const work = one.taskCount > 0 ? `, ${pluralize(one.taskCount, "task")}` : "";
    const who = oneLine(names[one.chat]?.title ?? one.client, 40);
    return `${nameOf(one.chat)}  ${who}  ${one.machine}  ${stateText(one)}${work}${afterColon(one.progress)}`;
  });
  const running = underWay.map((one) => {
    const by = one.chat === null ? "" : ` by ${nameOf(one.chat)}`;
    const note = afterColon(one.progress?.note ?? null);
    return `  ${one.task}  ${one.type}  ${one.state}${by}${note}`;
  });
  const reserved = files.map(
    ({ resource, holder, heldForMs }) =>
      `${resource.replace(/^file:[^/]*\//, "")}  reserved by ${nameOf(holder)} for ${age(heldForMs)}`,
  );
  const { queuedTasks = 0, inProgressTasks = 0, completedTasks = 0, totalTasks = 0 } = tasks ?? {};
  const sum = `tasks: ${queuedTasks} waiting, ${inProgressTasks} under way, ${completedTasks} done, ${totalTasks} in all`;
  const sums = totalTasks > 0 ? [sum] : [];
  const rows = [...members, ...sums, ...running, ...reserved];
  return rows.length === 0 ? [] : [paint("bold", `Team (${where})`), ...rows.map((row) => `  ${row}`), ""];
}

function afterColon(text: string | null): string {
  const line = oneLine(text ?? "", 60);
  return line === "" ? "" : `: ${line}`;
}

function hasTeam({ isEdge, chats, tasks, files }: TeamView): boolean {
  return isEdge || chats.length > 0 || files.length > 0 || (tasks?.totalTasks ?? 0) > 0;
}

const connectable = [...supportedClients.map(({ title }) => title), "Claude Desktop"];

function nextStepLines({ clients, sessions, store, team }: Overview, command: () => string): string[] {
  const isAlive = sessions.some((one) => one.isAlive);
  const isStored = store.isThere || hasTeam(team);
  const nothing = isStored ? "No session is running on this machine." : "Nothing is stored on this machine yet.";
  const state = isAlive ? [] : [nothing];
  if (clients.some((one) => one.isInstalled))
    return [...state, ...(sessions.length > 0 ? [] : ["Start a chat; it appears here."])];
  const clientHint =
    clients.length === 0
      ? `No client was found here. SHIM connects ${connectable.join(", ")}; any other MCP client gets its tools alone.`
      : `${clients.map((one) => one.label).join(" and ")}: SHIM is not connected.`;
  const them = clients.length === 1 ? "it" : "them";
  const steps = [
    ...(clients.length === 0 ? [] : [`  ${command()} init  connects ${them}`]),
    `  ${command()} demo  shows a session die and come back`,
  ];
  return [...state, clientHint, ...steps];
}
