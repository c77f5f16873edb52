import { age, pluralize, oneLine } from "../../../shared/format.ts";
import { causeText, stateText, stateWords, type ChatState, type ShownState } from "../../../contract/chat-state.ts";
import type { FleetRow } from "../../../contract/live-page.ts";
import type { RiskLevel } from "../../../contract/readings.ts";
import type { Overview, ShownTeam } from "./overview.ts";
import { shortPath, type Paint } from "../../screen-text.ts";
import type { SessionView } from "../../../contract/machine/sessions.ts";
import { localTime } from "../../times.ts";

export interface OverviewStyle {
  readonly paint: Paint;
  readonly columns: number;
  readonly home: string;
  readonly command: string;
}

const levelColours: Record<RiskLevel, "green" | "yellow" | "red"> = {
  safe: "green",
  warning: "yellow",
  danger: "red",
  critical: "red",
};

export function overviewLines(overview: Overview, style: OverviewStyle): string[] {
  const { paint } = style;
  const { notices, pauses, team } = overview;
  const { alive, open, ended } = bySection(overview);
  const { elsewhere } = team;
  return [
    paint("bold", `SHIM at ${localTime(overview.at)}, ${shortPath(overview.store.path, style.home)}`),
    ...notices.map((one) => paint("yellow", `notice ${one.id}: ${one.text}`)),
    ...pauses.map((one) =>
      paint(
        "yellow",
        `paused: ${one.project ?? "every project"}${one.until === null ? "" : ` until ${localTime(one.until)}`}`,
      ),
    ),
    "",
    ...section(
      style,
      `Alive (${alive.length})`,
      alive.map((one) => aliveLine(one, overview.at, style)),
    ),
    ...section(style, `Can come back (${open.length + elsewhere.length})`, [
      ...open.map((one) => deadLine(one, overview.at, style)),
      ...elsewhere.map((one) => elsewhereLine(one, style)),
    ]),
    ...teamLines(team, paint),
    ...section(
      style,
      "Ended in the last day",
      ended.map((one) => finishedLine(one, overview.at, style)),
    ),
    ...nextStepLines(overview, style.command),
    ...howToJoin(overview.team),
  ];
}

function bySection({ sessions }: Overview): Record<"alive" | "open" | "ended", SessionView[]> {
  return {
    alive: sessions.filter(({ isAlive }) => isAlive),
    open: sessions.filter(({ isAlive, state }) => !isAlive && state !== "ended"),
    ended: sessions.filter(({ state }) => state === "ended"),
  };
}

function section(style: OverviewStyle, title: string, rows: readonly string[]): string[] {
  return rows.length === 0 ? [] : [style.paint("bold", title), ...rows.map((row) => `  ${row}`), ""];
}

function aliveLine(one: SessionView, now: number, style: OverviewStyle): string {
  const level = one.risk?.level ?? "safe";
  const risk = style.paint(levelColours[level], `risk ${one.risk?.score ?? 0} ${level}`);
  const why = one.risk?.reasons.map((reason) => reason.name).join(", ");
  const saved = one.savedAt === null ? "not saved yet" : `saved ${age(now - one.savedAt)} ago`;
  const fill = one.contextFill === null ? "" : `, context ${Math.round(one.contextFill * 100)} %`;
  return `${formatHead(one, style)}  ${paintState(one, style, sinceText(one, now))}, ${saved}, ${risk}${why ? ` (${why})` : ""}${fill}`;
}

function sinceText({ waitingSince }: SessionView, now: number): string {
  return waitingSince === null ? "" : ` for ${age(now - waitingSince)}`;
}

const stateColours: Partial<Record<ChatState, "yellow" | "red">> = { waits: "yellow", stuck: "red", died: "red" };

function paintState(one: ShownState, { paint }: OverviewStyle, since = ""): string {
  const colour = stateColours[one.state];
  const text = `${stateText(one)}${since}`;
  return colour ? paint(colour, text) : text;
}

function deadLine(one: SessionView, now: number, style: OverviewStyle): string {
  const death = paintState(one, style, `, ${age(now - one.lastSeenAt)} ago`);
  return `${formatHead(one, style)}  ${death}: ${style.command} resume ${one.shortId}`;
}

/** [RE184] */
function elsewhereLine(one: FleetRow, style: OverviewStyle): string {
  const room = Math.max(10, Math.min(40, style.columns - 80));
  const death = paintState(one, style, ` on ${one.machine ?? ""}, ${age(one.seenAgeMs)} ago`);
  return `${one.shortId}  ${oneLine(one.title ?? "untitled", room)}  ${death}: ${one.resumeCommand ?? ""}`;
}

function finishedLine(one: SessionView, now: number, style: OverviewStyle): string {
  return style.paint(
    "dim",
    `${formatHead(one, style)}  ${stateText(one)}, ${age(now - (one.endedAt ?? now))} ago, ${pluralize(one.checkpoints, "checkpoint")}`,
  );
}

function formatHead(one: SessionView, style: OverviewStyle): string {
  const room = Math.max(10, Math.min(40, style.columns - 80));
  const project = one.project === null ? one.client : shortPath(one.project, style.home);
  return `${one.shortId}  ${project}  ${oneLine(one.title ?? "untitled", room)}`;
}

function nextStepLines(overview: Overview, command: string): string[] {
  const isInstalled = overview.clients.some((one) => one.isInstalled);
  const hasSessions = overview.sessions.length > 0;
  const nothing =
    overview.store.isThere || hasTeam(overview.team)
      ? "No session is running on this machine."
      : "Nothing is stored on this machine yet.";
  const state = overview.sessions.some(({ isAlive }) => isAlive) ? [] : [nothing];
  if (isInstalled) return hasSessions || state.length === 0 ? state : [...state, "Start a chat; it appears here."];
  const clientNames = overview.clients.map((one) => one.label).join(" and ");
  const clientHint =
    clientNames === ""
      ? "No client was found here; SHIM works with Claude Code, Claude Desktop and any MCP client."
      : `${clientNames}: SHIM is not connected.`;
  return [
    ...state,
    clientHint,
    `  ${command} init  connects it`,
    `  ${command} demo  shows a session die and come back`,
  ];
}

/** Facts without ages, for output that is no terminal: a line changes only with its fact. */
export function overviewFacts(overview: Overview, command: string): Map<string, string> {
  return new Map([
    ...overview.sessions.map((one): [string, string] => [one.id, formatFact(one, command)]),
    ...overview.notices.map((one): [string, string] => [`notice ${one.id}`, `notice ${one.id}: ${one.text}`]),
    ...overview.pauses.map((one): [string, string] => [
      `pause ${one.project}`,
      `paused: ${one.project ?? "every project"}`,
    ]),
    ...overview.team.elsewhere.map((one): [string, string] => [
      one.id,
      `${one.id} ${stateWords[one.state]} on ${one.machine ?? ""} (${one.resumeCommand ?? ""}), ${oneLine(one.title ?? "untitled", 60)}`,
    ]),
    ...teamFacts(overview.team),
  ]);
}

function formatFact(one: SessionView, command: string): string {
  const risk = one.risk ? `, risk ${one.risk.score} ${one.risk.level}` : "";
  const isOpen = !one.isAlive && one.state !== "ended";
  const how = isOpen ? `: ${command} resume ${one.shortId}` : "";
  return `${one.id} ${factText(one)}${how}${risk}, ${pluralize(one.checkpoints, "checkpoint")}, ${oneLine(one.title ?? "untitled", 60)}`;
}

/** Without an age, which changes while the state does not. */
function factText(one: SessionView): string {
  const { isAlive, state, cause, offer } = one;
  if (isAlive || state === "ended") return stateText(one);
  const causes = state === "died" && cause !== null ? [causeText(cause)] : [];
  const offers = offer === null ? [] : [`offered to chat ${offer.shortId}`];
  return stateText({ state, detail: [...causes, ...offers].join("; ") || null });
}

/** [CL63] Formats chats, tasks and files with their holders; empty where there is no team. */
function teamLines(team: ShownTeam, paint: Paint): string[] {
  if (team.trouble !== null) return [paint("yellow", `Team: ${team.where} did not answer: ${team.trouble}`), ""];
  if (!hasTeam(team)) return [];
  return [
    paint("bold", `Team (${team.where})`),
    ...team.chats.map((one) => {
      const work = one.taskCount > 0 ? `, ${pluralize(one.taskCount, "task")}` : "";
      const who = oneLine(team.names[one.chat]?.title ?? one.client, 40);
      return `  ${shortId(team, one.chat)}  ${who}  ${one.machine}  ${stateText(one)}${work}${afterColon(one.progress)}`;
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

function shortId({ names }: ShownTeam, chat: string): string {
  return names[chat]?.shortId ?? chat;
}

function afterColon(text: string | null): string {
  const line = oneLine(text ?? "", 60);
  return line === "" ? "" : `: ${line}`;
}

function hasTeam({ isEdge, chats, tasks, files }: ShownTeam): boolean {
  return isEdge || chats.length > 0 || files.length > 0 || (tasks?.totalTasks ?? 0) > 0;
}

function tasksLine({ tasks }: ShownTeam): string[] {
  if (!tasks || tasks.totalTasks === 0) return [];
  const { queuedTasks, inProgressTasks, completedTasks, totalTasks } = tasks;
  return [`  tasks: ${queuedTasks} queued, ${inProgressTasks} under way, ${completedTasks} done, ${totalTasks} in all`];
}

function filePath(resource: string): string {
  return resource.replace(/^file:[^/]*\//, "");
}

function teamFacts(team: ShownTeam): [string, string][] {
  if (team.trouble !== null) return [["team", `${team.where} did not answer: ${team.trouble}`]];
  return [
    ...team.chats.map((one): [string, string] => [
      `chat ${one.chat}`,
      `chat ${one.chat} on ${one.machine} ${stateText(one)}, ${pluralize(one.taskCount, "task")}`,
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

function howToJoin({ isEdge, chats }: ShownTeam): string[] {
  if (isEdge || chats.length === 0) return [];
  return ["A second machine: a coordinator that both can reach, then `shim join ...` on each (`shim join --help`)."];
}
