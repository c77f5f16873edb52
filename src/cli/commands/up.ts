import type { Command } from "commander";
import * as z from "zod";
import { type ChatState, type ShownState, stateText } from "../../contract/chat-state.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import type { ClientState, TeamView } from "../../contract/machine/overview.ts";
import type { SessionView } from "../../contract/machine/sessions.ts";
import type { RiskLevel } from "../../contract/readings.ts";
import { isWithin } from "../../shared/known-time.ts";
import { age, oneLine, pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok } from "../../shared/result.ts";
import { type CliResult, toCliResult, wrongUsage } from "../answer.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { defineProgram } from "../operation-command.ts";
import { type Paint, shortPath, cutPathToWidth, cutToWidth, shownWidth, textWidth, wrapLine } from "../screen-text.ts";
import { localTime } from "../option-values.ts";

const UpInput = z.strictObject({
  once: z.boolean().default(false).describe("print once and exit (--json does too)"),
  web: z.boolean().default(false).describe("serve the live page for a browser on this machine, and print its address"),
  port: z
    .int()
    .min(1)
    .max(65_535)
    .optional()
    .describe("with --web: the port (default: a free one, the same each time)"),
});

const redrawMs = 2_000;
/** Connected clients change rarely, and reading their files is slow. */
const clientsPollMs = 30_000;
/** A coordinator on the edge counts requests. */
const teamMaxAgeMs = 10_000;

export function addCommand(program: Command, cli: Cli): void {
  const summary =
    "Live view of this machine: sessions, risk, what died unfinished, and the team with its tasks and files.";
  defineProgram(cli, program.command("up"), { input: UpInput, summary }, ({ web, once, port }, { json }) => {
    if (!web) return port === undefined ? up(cli, once || json === true) : wrongUsage("--port is for --web.");
    return once ? wrongUsage("give --web or --once, not both.") : servePage(cli, port, json === true);
  });
}

/** Serves the live page until Ctrl-C. */
async function servePage(cli: Cli, port: number | undefined, isJson: boolean): Promise<CommandResult> {
  const served = await cli.runner.servePage({
    ...omitUndefined({ port }),
    onLinkNeeded: (link) => cli.io.stdout(`A page needs to sign in: ${link}\n`),
    onProblem: (message) => cli.progress(`A request of the page failed: ${message}`),
  });
  if (!served.ok) return toCliResult(served);
  const { link } = served.value;
  const text = `SHIM's live page, for the next minute, once: ${link}\nCtrl-C ends it.\n`;
  cli.io.stdout(isJson ? `${JSON.stringify({ link })}\n` : text);
  await cli.untilEnd();
  await served.value.close();
  return ok({ data: { isEnded: true }, text: "", isOneLine: true });
}

async function up(cli: Cli, isOnce: boolean): Promise<CommandResult> {
  const first = await read(cli, await readClients(cli));
  if (!first.ok) return first;
  if (isOnce || !cli.io.isTty) return ok({ data: first.value, text: overviewLines(first.value, styleOf(cli)) });
  await redraw(cli, cli.io.interrupted());
  return ok({ data: null, text: "" });
}

function styleOf(cli: Cli): OverviewStyle {
  const { paint, io } = cli;
  return { paint, command: () => cli.command, columns: io.size().columns, home: io.env["HOME"] ?? "" };
}

async function read(cli: Cli, clients: readonly ClientState[]): Promise<CliResult<Overview>> {
  const team = await cli.call("team.overview", { maxAgeMs: teamMaxAgeMs });
  if (!team.ok) return team;
  const overview = await cli.call("overview.get", {});
  return overview.ok ? ok({ ...overview.value, clients, team: team.value }) : overview;
}

async function readClients(cli: Cli): Promise<readonly ClientState[]> {
  const listed = await cli.call("clients.list", {});
  return listed.ok ? listed.value.clients : [];
}

/** Shows until Ctrl-C, and what cannot be read as a text. */
async function watch(cli: Cli, stop: AbortSignal, show: (overview: Overview | string) => void): Promise<void> {
  let clients: readonly ClientState[] = [];
  let clientsAt = -Infinity;
  const parent = cli.io.parentPid();
  while (!stop.aborted && cli.io.parentPid() === parent) {
    if (!isWithin(cli.io.now() - clientsAt, clientsPollMs)) {
      clients = await readClients(cli);
      clientsAt = cli.io.now();
    }
    const overview = await read(cli, clients);
    show(overview.ok ? overview.value : overview.error.message);
    await cli.io.wait(redrawMs, stop);
  }
}

const sequences = {
  hideCursor: "\u001b[?25l",
  showCursor: "\u001b[?25h",
  home: "\u001b[H",
  clearLine: "\u001b[K",
  clearBelow: "\u001b[J",
};

/** Overwrites the old picture line by line, so nothing flickers. */
async function redraw(cli: Cli, stop: AbortSignal): Promise<void> {
  cli.io.stdout(`${sequences.hideCursor}\u001b[2J`);
  try {
    await watch(cli, stop, (overview) => {
      const { columns, rows } = cli.io.size();
      const all = typeof overview === "string" ? [overview] : overviewLines(overview, styleOf(cli));
      const hint = cli.paint("dim", "Ctrl-C ends this view; nothing else.");
      const lines = all.flatMap((line) => wrapLine(cli.verbatim(line), columns));
      const fitting = [...lines.slice(0, Math.max(1, rows - 2)), cli.verbatim(hint)];
      cli.io.stdout(
        `${sequences.home}${fitting.map((line) => `${line}${sequences.clearLine}\n`).join("")}${sequences.clearBelow}`,
      );
    });
  } finally {
    cli.io.stdout(sequences.showCursor);
  }
}

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

/** Rows with a title; those without one stand at the top. */
type Section = readonly [title: string | null, rows: readonly string[]];

function overviewLines(overview: Overview, style: OverviewStyle): string[] {
  const { paint, home, command } = style;
  return [
    paint("bold", `SHIM at ${localTime(overview.at)}, ${shortPath(overview.store.path, home)}`),
    ...sectionsOf(overview, style).flatMap(([title, rows]) => {
      if (title === null) return rows.concat("");
      const lines = rows.map((row) => `  ${row}`);
      return rows.length === 0 ? [] : [paint("bold", title)].concat(lines, "");
    }),
    ...nextStepLines(overview, command),
  ];
}

function sectionsOf({ at, notices, pauses, sessions, team }: Overview, style: OverviewStyle): Section[] {
  const rowsOf = (text: typeof aliveText, of: readonly SessionView[]): string[] =>
    of.flatMap((one) => sessionLines(one, text(one, at, style), null, style));
  const deadRows = (of: readonly SessionView[]): string[] =>
    of.flatMap((one) => sessionLines(one, deadText(one, at, style), `${style.command()} resume ${one.shortId}`, style));
  const alive = sessions.filter(({ isAlive }) => isAlive);
  const open = sessions.filter(({ isAlive, state }) => !isAlive && state !== "ended");
  const warnings = [
    ...notices.map((one) => `notice ${one.id}: ${one.text}`),
    ...pauses.map(({ project, until }) => {
      const end = until === null ? "" : ` until ${localTime(until)}`;
      return `paused: ${project ?? "every project"}${end}`;
    }),
  ];
  return [
    [null, warnings.map((text) => style.paint("yellow", text))],
    [`Alive (${alive.length})`, rowsOf(aliveText, alive)],
    [`Can come back (${open.length + team.elsewhere.length})`, deadRows([...open, ...team.elsewhere])],
    ...teamSections(team, style),
    [
      "Ended in the last day",
      rowsOf(
        endedText,
        sessions.filter(({ state }) => state === "ended"),
      ),
    ],
  ];
}

const most = { path: 40, title: 40 };
const least = { path: 12, title: 20 };
/** The section's indent and three gaps. */
const frame = 8;

/** @param command continues it; null: nothing to continue */
function sessionLines(one: SessionView, text: string, command: string | null, style: OverviewStyle): string[] {
  const room = style.columns - frame - one.shortId.length - shownWidth(text);
  const title = oneLine(one.title ?? "untitled", maxTitleChars);
  const path = one.project === null ? one.client : shortPath(one.project, style.home);
  const pathWidth = Math.min(most.path, textWidth(path));
  const titleWidth = Math.min(
    most.title,
    textWidth(title),
    Math.max(least.title, room - Math.min(pathWidth, least.path)),
  );
  const where = cutPathToWidth(path, Math.min(pathWidth, Math.max(least.path, room - titleWidth)));
  const line = `${one.shortId}  ${where}  ${cutToWidth(title, titleWidth)}  ${text}`;
  if (command === null) return [line];
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
  const saved = savedAt === null ? "not saved yet" : `saved ${age(now - savedAt)} ago`;
  const fill = contextFill === null ? "" : `, context ${Math.round(contextFill * 100)} %`;
  return `${paintState(one, style, since)}, ${saved}, ${riskText}${fill}`;
}

function deadText(one: SessionView, now: number, style: OverviewStyle): string {
  const where = one.machine === null ? "" : ` on ${one.machine}`;
  return paintState(one, style, `${where}, ${age(now - one.lastSeenAt)} ago`);
}

function endedText(one: SessionView, now: number, { paint }: OverviewStyle): string {
  return paint(
    "dim",
    `${stateText(one)}, ${age(now - (one.endedAt ?? now))} ago, ${pluralize(one.checkpoints, "checkpoint")}`,
  );
}

const stateColours: Partial<Record<ChatState, "yellow" | "red">> = { waits: "yellow", stuck: "red", died: "red" };

function paintState(one: ShownState, { paint }: OverviewStyle, more = ""): string {
  const colour = stateColours[one.state];
  const text = `${stateText(one)}${more}`;
  return colour ? paint(colour, text) : text;
}

/** Chats, tasks and files with their holders; empty where there is no team. */
function teamSections(team: TeamView, { paint }: OverviewStyle): Section[] {
  const { where, trouble, names, tasks, chats, underWay, files } = team;
  if (trouble !== null) return [[null, [paint("yellow", `Team: ${where} did not answer: ${trouble}`)]]];
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
  const sum = `tasks: ${queuedTasks} queued, ${inProgressTasks} under way, ${completedTasks} done, ${totalTasks} in all`;
  const sums = totalTasks > 0 ? [sum] : [];
  return [[`Team (${where})`, [...members, ...sums, ...running, ...reserved]]];
}

function afterColon(text: string | null): string {
  const line = oneLine(text ?? "", 60);
  return line === "" ? "" : `: ${line}`;
}

function hasTeam({ isEdge, chats, tasks, files }: TeamView): boolean {
  return isEdge || chats.length > 0 || files.length > 0 || (tasks?.totalTasks ?? 0) > 0;
}

function nextStepLines({ clients, sessions, store, team }: Overview, command: () => string): string[] {
  const isAlive = sessions.some((one) => one.isAlive);
  const isStored = store.isThere || hasTeam(team);
  const nothing = isStored ? "No session is running on this machine." : "Nothing is stored on this machine yet.";
  const state = isAlive ? [] : [nothing];
  const howToJoin = "A second machine: a coordinator that both can reach; `shim workspace` says how to join it.";
  const join = team.isEdge || team.chats.length === 0 ? [] : [howToJoin];
  if (clients.some((one) => one.isInstalled))
    return [...state, ...(sessions.length > 0 ? [] : ["Start a chat; it appears here."]), ...join];
  const clientHint =
    clients.length === 0
      ? "No client was found here; SHIM works with Claude Code, Claude Desktop and any MCP client."
      : `${clients.map((one) => one.label).join(" and ")}: SHIM is not connected.`;
  const steps = [`  ${command()} init  connects it`, `  ${command()} demo  shows a session die and come back`];
  return [...state, clientHint, ...steps, ...join];
}
