import type { Command } from "commander";
import * as z from "zod";
import type { OutputOf } from "../../contract/operations.ts";
import type { TaskLine } from "../../contract/task-views.ts";
import { counter } from "../../contract/values.ts";
import { pollEveryMs, type Workspace } from "../../local-mcp/host/host.ts";
import { oneLine, pluralize } from "../../shared/format.ts";
import { progressText } from "../../shared/progress-text.ts";
import { ok } from "../../shared/result.ts";
import type { CliResult } from "../answer.ts";
import type { Cli, CommandResult } from "../cli.ts";
import type { Io } from "../io.ts";
import { defineProgram } from "../operation-command.ts";
import { safeJsonLine, safeText } from "../screen-text.ts";
import { localTime } from "../times.ts";
import { textOf } from "../views.ts";

const WatchFields = z.object({ task: counter.optional() });
const maxRows = 50;

interface Seen {
  /** Changing fields only, without times; for programs. */
  readonly data: object;
  readonly text: string;
  readonly rows: readonly Row[];
  readonly end: "open" | "well" | "badly";
}

interface Row {
  readonly text: string;
  /** 0 to 1; null: unknown. */
  readonly share: number | null;
}

type Read = () => Promise<CliResult<Seen>>;

export function addWatch(task: Command, cli: Cli): void {
  const summary = "State and progress of a task, or of all, until the end.";
  const details = { input: WatchFields, summary, args: ["task"] };
  defineProgram(cli, task.command("watch"), details, ({ task: number }, { json }) =>
    cli.withWorkspace((link) =>
      follow(cli, link, json === true, number === undefined ? allReader(link) : taskReader(link, number)),
    ),
  );
}

function taskReader(link: Workspace, task: number): Read {
  return async () => {
    const found = await link.call("tasks.get", { task });
    if (!found.ok) return found;
    const parts = await link.call("tasks.list", { parent: task, limit: maxRows });
    if (!parts.ok || parts.value.tasks.length === 0) return parts.ok ? ok(seeTask(found.value)) : parts;
    const whole = await link.call("tasks.progress", { parent: task });
    return whole.ok ? ok(seeJob(found.value, parts.value.tasks, whole.value)) : whole;
  };
}

function seeTask(line: TaskLine): Seen {
  const { task, type, state, reason, detail, chat, failures, maxAttempts, isCancelAsked, progress } = line;
  const data = { task, type, state, reason, detail, chat, failures, maxAttempts, isCancelAsked, progress };
  const end = state === "done" ? "well" : state === "dead" || state === "cancelled" ? "badly" : "open";
  return { data, text: taskText(line), rows: [toRow(line)], end };
}

type Totals = OutputOf<"tasks.progress">;

function seeJob(line: TaskLine, parts: readonly TaskLine[], { completedTasks, totalTasks }: Totals): Seen {
  const { data, text, end } = seeTask(line);
  const label = `${text}, ${completedTasks} of ${pluralize(totalTasks, "part")} done`;
  const first = { text: label, share: completedTasks / totalTasks };
  return { data: { ...data, completedTasks, totalTasks }, text: label, rows: [first, ...parts.map(toRow)], end };
}

function taskText(line: TaskLine): string {
  const { state, failures, maxAttempts, isCancelAsked, progress, detail } = line;
  const details = [
    nameText(line),
    isCancelAsked ? "asked to stop" : "",
    failures === 0 ? "" : `failed ${failures} of ${maxAttempts}`,
    ...(state === "done" ? [] : [progressText(progress), detail ?? ""]),
  ];
  return details.filter((text) => text !== "").join(", ");
}

function nameText({ task, type, ref, state, reason, chat }: TaskLine): string {
  const name = `task ${task} (${ref === null ? type : `${type} ${ref}`}): ${state}`;
  return `${name}${reason === null ? "" : ` (${reason})`}${chat === null ? "" : `, by ${chat}`}`;
}

function toRow(line: TaskLine): Row {
  if (line.state === "done") return { text: nameText(line), share: 1 };
  const { percent, note = "" } = line.progress ?? {};
  if (percent === undefined) return { text: taskText(line), share: null };
  return { text: `${nameText(line)} ${note}`, share: percent / 100 };
}

/** [CL143] Ends when no task is open; badly if more are dead or cancelled than at the start. */
function allReader(link: Workspace): Read {
  let lostAtStart: number | null = null;
  return async () => {
    const found = await link.call("tasks.progress", {});
    if (!found.ok) return found;
    const running = await link.call("tasks.list", { state: "running", limit: maxRows });
    if (!running.ok) return running;
    const { totalTasks, completedTasks, inProgressTasks, queuedTasks, activeChats, isAll } = found.value;
    const lost = totalTasks - completedTasks - inProgressTasks - queuedTasks;
    lostAtStart ??= lost;
    const partly = isAll ? "" : " (of the newest 100,000)";
    const text = `${completedTasks} of ${totalTasks} done${partly}, ${inProgressTasks} under way (chats: ${activeChats}), ${queuedTasks} waiting, ${lost} dead or cancelled`;
    const first = { text, share: totalTasks === 0 ? null : completedTasks / totalTasks };
    const isOpen = inProgressTasks + queuedTasks > 0;
    const end = isOpen ? "open" : lost > lostAtStart ? "badly" : "well";
    return ok({ data: found.value, text, rows: [first, ...running.value.tasks.map(toRow)], end });
  };
}

async function follow(cli: Cli, link: Workspace, isJson: boolean, read: Read): Promise<CommandResult> {
  const { io } = cli;
  const canRedraw = !isJson && io.isTty && io.env["TERM"] !== "dumb";
  const signal = io.interrupted();
  let hint = new AbortController();
  link.onChange(() => hint.abort());
  let height = 0;
  /** [CL48] [CL140] Writes over the rows of before. */
  const redraw = (rows: readonly string[]): void => {
    const up = height === 0 ? "" : `\u001b[${height}A\r\u001b[J`;
    io.stdout(up + textOf(rows));
    height = rows.length;
  };
  const lineOf = ({ text }: Seen): string => `${localTime(io.now())} ${oneLine(text, 400)}\n`;
  const show = (seen: Seen): void => {
    if (canRedraw) redraw(fittingRows(seen.rows, io.size()));
    else io.stdout(isJson ? `${safeJsonLine(seen.data)}\n` : safeText(lineOf(seen)));
  };
  try {
    for (let lastShown = ""; ;) {
      hint = new AbortController();
      const seen = await read();
      if (!seen.ok) return seen;
      const { data, text, rows, end } = seen.value;
      const now = JSON.stringify(isJson ? data : canRedraw ? rows : text);
      if (end === "open" && !signal.aborted) {
        if (now !== lastShown) show(seen.value);
        lastShown = now;
        await io.wait(pollEveryMs, AbortSignal.any([signal, hint.signal]));
        if (!signal.aborted) continue;
      }
      const last = canRedraw ? `${oneLine(text, 400)}\n` : now === lastShown ? "" : lineOf(seen.value);
      return ok({ data, text: last, isOneLine: true, isFailed: end !== "well" });
    }
  } finally {
    if (height > 0) redraw([]);
  }
}

/** Rows that do not fit are counted. */
function fittingRows(all: readonly Row[], { columns, rows }: ReturnType<Io["size"]>): string[] {
  const max = Math.max(1, rows - 2);
  const visible = all.length > max ? all.slice(0, max - 1) : all;
  const hidden = all.length - visible.length;
  return [...visible.map((row) => rowText(row, columns - 1)), ...(hidden > 0 ? [`... and ${hidden} more`] : [])];
}

const barCells = 20;

function rowText({ text, share }: Row, width: number): string {
  if (share === null) return safeText(oneLine(text, width));
  const bounded = Math.max(0, Math.min(1, share));
  // Rounded down, so that only what is done looks full.
  const full = Math.floor(bounded * barCells);
  const percent = String(Math.floor(bounded * 100)).padStart(3);
  const bar = `${"█".repeat(full)}${"░".repeat(barCells - full)} ${percent} % `;
  return safeText(`${bar}${oneLine(text, Math.max(0, width - bar.length))}`.slice(0, width));
}
