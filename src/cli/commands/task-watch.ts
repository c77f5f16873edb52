import type { OutputOf } from "../../contract/operations.ts";
import type { TaskLine } from "../../contract/task-views.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Refused } from "../answer.ts";
import type { Cli, Outcome } from "../cli.ts";
import type { Coordination } from "../coordination.ts";
import { ProgressRows, type Row } from "../progress-rows.ts";
import { many, oneLine, safe, safeJsonLine } from "../screen-text.ts";
import { localTime } from "../times.ts";
import { progressText } from "./task-list.ts";

const pollEveryMs = 1_000;

/** One state of the watched tasks. */
interface View {
  /** For programs: what can change, without times. */
  readonly data: object;
  readonly text: string;
  /** In a terminal. */
  readonly rows: readonly Row[];
  readonly end: "open" | "well" | "badly";
}

type ViewResult = Result<View, Refused["error"]>;

/** Rows of tasks at most. */
const mostRows = 50;

/** [CL48] Until that one task has ended. */
export function watchTask(cli: Cli, link: Coordination, task: number, isJson: boolean): Promise<Outcome> {
  return follow(cli, isJson, async () => {
    const found = await link.call("tasks.get", { task });
    if (!found.ok) return found;
    const parts = await link.call("tasks.list", { parent: task, limit: mostRows });
    if (!parts.ok) return parts;
    if (parts.value.tasks.length === 0) return ok(viewOfOne(found.value));
    const whole = await link.call("tasks.progress", { parent: task });
    return whole.ok ? ok(viewOfWhole(found.value, parts.value.tasks, whole.value)) : whole;
  });
}

function viewOfOne(line: TaskLine): View {
  const { task, type, state, reason, detail, chat, failures, maxAttempts, isCancelAsked, progress } = line;
  const data = { task, type, state, reason, detail, chat, failures, maxAttempts, isCancelAsked, progress };
  return { data, text: taskText(line), rows: [rowOf(line)], end: endOf(state) };
}

/** With its direct parts. */
function viewOfWhole(line: TaskLine, parts: readonly TaskLine[], { completedTasks, totalTasks }: Totals): View {
  const { data, text, end } = viewOfOne(line);
  const label = `${text}, ${completedTasks} of ${many(totalTasks, "part")} done`;
  const first = { label, share: completedTasks / totalTasks, note: "" };
  return { data: { ...data, completedTasks, totalTasks }, text: label, rows: [first, ...parts.map(rowOf)], end };
}

function taskText(line: TaskLine): string {
  const { chat, state, failures, maxAttempts, isCancelAsked, progress, detail } = line;
  const news = [
    nameOf(line),
    chat === null ? "" : `by ${chat}`,
    isCancelAsked ? "asked to stop" : "",
    failures === 0 ? "" : `failed ${failures} of ${maxAttempts}`,
    state === "done" ? "" : progressText(progress),
    state === "done" ? "" : (detail ?? ""),
  ];
  return news.filter((text) => text !== "").join(", ");
}

function nameOf({ task, type, ref, state, reason }: TaskLine): string {
  return `task ${task} (${ref === null ? type : `${type} ${ref}`}): ${state}${reason === null ? "" : ` (${reason})`}`;
}

/** The bar says how much of it is done where it has told that. */
function rowOf(line: TaskLine): Row {
  const percent = line.state === "done" ? 100 : line.progress?.percent;
  if (percent === undefined) return { label: taskText(line), share: null, note: "" };
  const note = line.state === "done" ? "" : (line.progress?.note ?? "");
  return {
    label: [nameOf(line), line.chat === null ? "" : `by ${line.chat}`].filter(Boolean).join(", "),
    share: percent / 100,
    note,
  };
}

function endOf(state: TaskLine["state"]): View["end"] {
  if (state === "done") return "well";
  return state === "dead" || state === "cancelled" ? "badly" : "open";
}

/** [CL48] Until nothing is open; badly when more have not made it than at the beginning. */
export function watchAll(cli: Cli, link: Coordination, isJson: boolean): Promise<Outcome> {
  let before: number | null = null;
  return follow(cli, isJson, async () => {
    const found = await link.call("tasks.progress", {});
    if (!found.ok) return found;
    const running = await link.call("tasks.list", { state: "running", limit: mostRows });
    if (!running.ok) return running;
    const lost = lostOf(found.value);
    before ??= lost;
    return ok(viewOfAll(found.value, running.value.tasks, lost > before));
  });
}

type Totals = OutputOf<"tasks.progress">;

/** Dead or cancelled. */
function lostOf({ totalTasks, completedTasks, inProgressTasks, queuedTasks }: Totals): number {
  return totalTasks - completedTasks - inProgressTasks - queuedTasks;
}

function viewOfAll(totals: Totals, running: readonly TaskLine[], isWorse: boolean): View {
  const { totalTasks, completedTasks, inProgressTasks, queuedTasks, activeChats, isAll } = totals;
  const partly = isAll ? "" : " (of the newest 100,000)";
  const isOpen = inProgressTasks + queuedTasks > 0;
  const text = `${completedTasks} of ${totalTasks} done${partly}, ${inProgressTasks} under way (chats: ${activeChats}), ${queuedTasks} waiting, ${lostOf(totals)} dead or cancelled`;
  const first = { label: text, share: totalTasks === 0 ? null : completedTasks / totalTasks, note: "" };
  return {
    data: totals,
    text,
    rows: [first, ...running.map(rowOf)],
    end: isOpen ? "open" : isWorse ? "badly" : "well",
  };
}

function canRedraw({ isTty, env }: Cli["io"]): boolean {
  return isTty && env["TERM"] !== "dumb";
}

async function follow(cli: Cli, isJson: boolean, readView: () => Promise<ViewResult>): Promise<Outcome> {
  const screen = isJson ? jsonLines(cli) : canRedraw(cli.io) ? rowsOf(cli) : lines(cli);
  try {
    return await showChanges(cli, screen, readView);
  } finally {
    screen.clear();
  }
}

/** Polls, and answers with the last state: at the end, or at Ctrl-C. */
async function showChanges({ io }: Cli, screen: Screen, readView: () => Promise<ViewResult>): Promise<Outcome> {
  const signal = io.interrupted();
  for (let shown = ""; ;) {
    const read = await readView();
    if (!read.ok) return read;
    const { data, text, end } = read.value;
    const now = JSON.stringify(screen.newsOf(read.value));
    if (end === "open" && !signal.aborted) {
      if (now !== shown) screen.show(read.value);
      shown = now;
      await io.wait(pollEveryMs, signal);
      if (!signal.aborted) continue;
    }
    return ok({ data, text: screen.last(text, now === shown), isOneLine: true, isFailed: end !== "well" });
  }
}

interface Screen {
  /** Shown again when this has changed. */
  newsOf(view: View): unknown;
  show(view: View): void;
  /** What is said when nothing more comes; `isShown`: it was the last that was shown, too. */
  last(text: string, isShown: boolean): string;
  clear(): void;
}

function jsonLines({ io }: Cli): Screen {
  return {
    newsOf: ({ data }) => data,
    show: ({ data }) => io.stdout(`${safeJsonLine(data)}\n`),
    last: () => "",
    clear: () => undefined,
  };
}

function lines({ io }: Cli): Screen {
  const line = (text: string): string => `${localTime(io.now())} ${oneLine(text, 400)}\n`;
  return {
    newsOf: ({ text }) => text,
    show: ({ text }) => io.stdout(safe(line(text))),
    last: (text, isShown) => (isShown ? "" : line(text)),
    clear: () => undefined,
  };
}

function rowsOf({ io }: Cli): Screen {
  const rows = new ProgressRows(io);
  return {
    newsOf: ({ rows: all }) => all,
    show: ({ rows: all }) => rows.show(all),
    last: (text) => `${oneLine(text, 400)}\n`,
    clear: () => rows.clear(),
  };
}
