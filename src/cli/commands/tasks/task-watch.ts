import { pluralize, oneLine } from "../../../shared/format.ts";
import type { OutputOf } from "../../../contract/operations.ts";
import type { TaskLine } from "../../../contract/task-views.ts";
import { ok } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { safeText, safeJsonLine } from "../../screen-text.ts";
import { localTime } from "../../times.ts";
import { progressText } from "./task-list.ts";
import type { Io } from "../../io.ts";

const pollIntervalMs = 1_000;

interface TaskView {
  /** Changing fields only, without times; for programs. */
  readonly data: object;
  readonly text: string;
  readonly rows: readonly ProgressRow[];
  readonly end: "open" | "well" | "badly";
}

type ViewResult = CliResult<TaskView>;

const maxRows = 50;

export function watchTask(cli: Cli, link: Workspace, task: number, isJson: boolean): Promise<CommandResult> {
  return follow(cli, isJson, async () => {
    const found = await link.call("tasks.get", { task });
    if (!found.ok) return found;
    const parts = await link.call("tasks.list", { parent: task, limit: maxRows });
    if (!parts.ok) return parts;
    if (parts.value.tasks.length === 0) return ok(toTaskView(found.value));
    const whole = await link.call("tasks.progress", { parent: task });
    return whole.ok ? ok(toJobView(found.value, parts.value.tasks, whole.value)) : whole;
  });
}

function toTaskView(line: TaskLine): TaskView {
  const { task, type, state, reason, detail, chat, failures, maxAttempts, isCancelAsked, progress } = line;
  const data = { task, type, state, reason, detail, chat, failures, maxAttempts, isCancelAsked, progress };
  return { data, text: taskText(line), rows: [toRow(line)], end: toEnd(state) };
}

function toJobView(line: TaskLine, parts: readonly TaskLine[], { completedTasks, totalTasks }: Totals): TaskView {
  const { data, text, end } = toTaskView(line);
  const label = `${text}, ${completedTasks} of ${pluralize(totalTasks, "part")} done`;
  const first = { label, share: completedTasks / totalTasks, note: "" };
  return { data: { ...data, completedTasks, totalTasks }, text: label, rows: [first, ...parts.map(toRow)], end };
}

function taskText(line: TaskLine): string {
  const { chat, state, failures, maxAttempts, isCancelAsked, progress, detail } = line;
  const details = [
    formatName(line),
    chat === null ? "" : `by ${chat}`,
    isCancelAsked ? "asked to stop" : "",
    failures === 0 ? "" : `failed ${failures} of ${maxAttempts}`,
    state === "done" ? "" : progressText(progress),
    state === "done" ? "" : (detail ?? ""),
  ];
  return details.filter((text) => text !== "").join(", ");
}

function formatName({ task, type, ref, state, reason }: TaskLine): string {
  return `task ${task} (${ref === null ? type : `${type} ${ref}`}): ${state}${reason === null ? "" : ` (${reason})`}`;
}

function toRow(line: TaskLine): ProgressRow {
  const percent = line.state === "done" ? 100 : line.progress?.percent;
  if (percent === undefined) return { label: taskText(line), share: null, note: "" };
  const note = line.state === "done" ? "" : (line.progress?.note ?? "");
  return {
    label: [formatName(line), line.chat === null ? "" : `by ${line.chat}`].filter(Boolean).join(", "),
    share: percent / 100,
    note,
  };
}

function toEnd(state: TaskLine["state"]): TaskView["end"] {
  if (state === "done") return "well";
  return state === "dead" || state === "cancelled" ? "badly" : "open";
}

/** [CL143] Ends when no task is open; badly if more are dead or cancelled than at the start. */
export function watchAll(cli: Cli, link: Workspace, isJson: boolean): Promise<CommandResult> {
  let lostAtStart: number | null = null;
  return follow(cli, isJson, async () => {
    const found = await link.call("tasks.progress", {});
    if (!found.ok) return found;
    const running = await link.call("tasks.list", { state: "running", limit: maxRows });
    if (!running.ok) return running;
    const lost = countLost(found.value);
    lostAtStart ??= lost;
    return ok(toQueueView(found.value, running.value.tasks, lost > lostAtStart));
  });
}

type Totals = OutputOf<"tasks.progress">;

/** Counts dead and cancelled tasks. */
function countLost({ totalTasks, completedTasks, inProgressTasks, queuedTasks }: Totals): number {
  return totalTasks - completedTasks - inProgressTasks - queuedTasks;
}

function toQueueView(totals: Totals, running: readonly TaskLine[], isWorse: boolean): TaskView {
  const { totalTasks, completedTasks, inProgressTasks, queuedTasks, activeChats, isAll } = totals;
  const partly = isAll ? "" : " (of the newest 100,000)";
  const isOpen = inProgressTasks + queuedTasks > 0;
  const text = `${completedTasks} of ${totalTasks} done${partly}, ${inProgressTasks} under way (chats: ${activeChats}), ${queuedTasks} waiting, ${countLost(totals)} dead or cancelled`;
  const first = { label: text, share: totalTasks === 0 ? null : completedTasks / totalTasks, note: "" };
  return {
    data: totals,
    text,
    rows: [first, ...running.map(toRow)],
    end: isOpen ? "open" : isWorse ? "badly" : "well",
  };
}

function canRedraw({ isTty, env }: Cli["io"]): boolean {
  return isTty && env["TERM"] !== "dumb";
}

async function follow(cli: Cli, isJson: boolean, readView: () => Promise<ViewResult>): Promise<CommandResult> {
  const screen = isJson ? jsonScreen(cli) : canRedraw(cli.io) ? rowScreen(cli) : lineScreen(cli);
  try {
    return await showChanges(cli, screen, readView);
  } finally {
    screen.clear();
  }
}

async function showChanges(
  { io }: Cli,
  screen: WatchScreen,
  readView: () => Promise<ViewResult>,
): Promise<CommandResult> {
  const signal = io.interrupted();
  for (let lastShown = ""; ;) {
    const viewResult = await readView();
    if (!viewResult.ok) return viewResult;
    const { data, text, end } = viewResult.value;
    const now = JSON.stringify(screen.changeKey(viewResult.value));
    if (end === "open" && !signal.aborted) {
      if (now !== lastShown) screen.show(viewResult.value);
      lastShown = now;
      await io.wait(pollIntervalMs, signal);
      if (!signal.aborted) continue;
    }
    return ok({ data, text: screen.finalText(text, now === lastShown), isOneLine: true, isFailed: end !== "well" });
  }
}

interface WatchScreen {
  changeKey(view: TaskView): unknown;
  show(view: TaskView): void;
  /** @param isShown whether the last view was already shown */
  finalText(text: string, isShown: boolean): string;
  clear(): void;
}

function jsonScreen({ io }: Cli): WatchScreen {
  return {
    changeKey: ({ data }) => data,
    show: ({ data }) => io.stdout(`${safeJsonLine(data)}\n`),
    finalText: () => "",
    clear: () => undefined,
  };
}

function lineScreen({ io }: Cli): WatchScreen {
  const line = (text: string): string => `${localTime(io.now())} ${oneLine(text, 400)}\n`;
  return {
    changeKey: ({ text }) => text,
    show: ({ text }) => io.stdout(safeText(line(text))),
    finalText: (text, isShown) => (isShown ? "" : line(text)),
    clear: () => undefined,
  };
}

function rowScreen({ io }: Cli): WatchScreen {
  const rows = new ProgressRows(io);
  return {
    changeKey: ({ rows: all }) => all,
    show: ({ rows: all }) => rows.show(all),
    finalText: (text) => `${oneLine(text, 400)}\n`,
    clear: () => rows.clear(),
  };
}

interface ProgressRow {
  readonly label: string;
  /** 0 to 1; null: unknown. */
  readonly share: number | null;
  readonly note: string;
}

const barCells = 20;

function rowText({ label, share, note }: ProgressRow, columns: number): string {
  const measure = share === null ? "" : `${bar(share)} `;
  const text = note === "" ? label : `${label} ${note}`;
  return safeText(`${measure}${oneLine(text, columns - 1 - measure.length)}`.slice(0, columns - 1));
}

function bar(share: number): string {
  const bounded = Math.max(0, Math.min(1, share));
  // Rounded down, so that only what is done looks full.
  const full = Math.floor(bounded * barCells);
  return `${"█".repeat(full)}${"░".repeat(barCells - full)} ${String(Math.floor(bounded * 100)).padStart(3)} %`;
}

class ProgressRows {
  readonly #io: Io;
  #height = 0;

  constructor(io: Io) {
    this.#io = io;
  }

  show(all: readonly ProgressRow[]): void {
    const { columns, rows } = this.#io.size();
    const maxRows = Math.max(1, rows - 2);
    const visibleRows = all.length > maxRows ? all.slice(0, maxRows - 1) : all;
    const lines = visibleRows.map((row) => rowText(row, columns));
    if (visibleRows.length < all.length) lines.push(`... and ${all.length - visibleRows.length} more`);
    this.#write(lines);
  }

  clear(): void {
    if (this.#height > 0) this.#write([]);
  }

  #write(lines: readonly string[]): void {
    const up = this.#height === 0 ? "" : `\u001b[${this.#height}A\r\u001b[J`;
    this.#io.stdout(`${up}${lines.map((line) => `${line}\n`).join("")}`);
    this.#height = lines.length;
  }
}
