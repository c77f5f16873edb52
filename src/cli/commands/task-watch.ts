import type { OutputOf } from "../../contract/operations.ts";
import type { TaskLine } from "../../contract/task-views.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Refused } from "../answer.ts";
import type { Cli, Outcome } from "../cli.ts";
import type { Coordination } from "../coordination.ts";
import { oneLine, safe, safeJsonLine } from "../screen-text.ts";
import { localTime } from "../times.ts";
import { progressText } from "./task-list.ts";

const lookEveryMs = 1_000;

/** What one look shows. */
interface Look {
  /** For programs: what can change, without times. */
  readonly data: object;
  readonly text: string;
  readonly end: "open" | "well" | "badly";
}

type Looked = Result<Look, Refused["error"]>;

/** [CL48] Until that one task has ended. */
export function watchTask(cli: Cli, link: Coordination, task: number, isJson: boolean): Promise<Outcome> {
  return follow(cli, isJson, async () => {
    const found = await link.call("tasks.get", { task });
    return found.ok ? ok(lookAt(found.value)) : found;
  });
}

function lookAt(line: TaskLine): Look {
  const { task, type, state, reason, detail, chat, failures, maxAttempts, isCancelAsked, progress } = line;
  const news = [
    `task ${task} (${type}): ${state}${reason === null ? "" : ` (${reason})`}`,
    chat === null ? "" : `by ${chat}`,
    isCancelAsked ? "told to stop" : "",
    failures === 0 ? "" : `failed ${failures} of ${maxAttempts}`,
    state === "done" ? "" : progressText(progress),
    state === "done" ? "" : (detail ?? ""),
  ];
  return {
    data: { task, type, state, reason, detail, chat, failures, maxAttempts, isCancelAsked, progress },
    text: news.filter((text) => text !== "").join(", "),
    end: endOf(state),
  };
}

function endOf(state: TaskLine["state"]): Look["end"] {
  if (state === "done") return "well";
  return state === "dead" || state === "cancelled" ? "badly" : "open";
}

/** [CL48] Until nothing is open; badly when more have not made it than at the beginning. */
export function watchAll(cli: Cli, link: Coordination, isJson: boolean): Promise<Outcome> {
  let before: number | null = null;
  return follow(cli, isJson, async () => {
    const found = await link.call("tasks.progress", {});
    if (!found.ok) return found;
    const lost = lostOf(found.value);
    before ??= lost;
    return ok(lookAtAll(found.value, lost > before));
  });
}

type Totals = OutputOf<"tasks.progress">;

/** Dead or cancelled. */
function lostOf({ totalTasks, completedTasks, inProgressTasks, queuedTasks }: Totals): number {
  return totalTasks - completedTasks - inProgressTasks - queuedTasks;
}

function lookAtAll(totals: Totals, isWorse: boolean): Look {
  const { totalTasks, completedTasks, inProgressTasks, queuedTasks, activeChats, isAll } = totals;
  const partly = isAll ? "" : " (of the newest 100,000)";
  const isOpen = inProgressTasks + queuedTasks > 0;
  return {
    data: totals,
    text: `${completedTasks} of ${totalTasks} done${partly}, ${inProgressTasks} under way (chats: ${activeChats}), ${queuedTasks} waiting, ${lostOf(totals)} dead or cancelled`,
    end: isOpen ? "open" : isWorse ? "badly" : "well",
  };
}

async function follow(cli: Cli, isJson: boolean, look: () => Promise<Looked>): Promise<Outcome> {
  const screen = isJson ? jsonLines(cli) : cli.io.isTty ? oneRow(cli) : lines(cli);
  try {
    return await showChanges(cli, screen, look);
  } finally {
    screen.clear();
  }
}

/** Looks again and again, and answers with the last look: at the end, or at Ctrl-C. */
async function showChanges({ io }: Cli, screen: Screen, look: () => Promise<Looked>): Promise<Outcome> {
  const signal = io.interrupted();
  for (let shown = ""; ;) {
    const looked = await look();
    if (!looked.ok) return looked;
    const { data, text, end } = looked.value;
    const now = JSON.stringify(data);
    if (end === "open" && !signal.aborted) {
      if (now !== shown) screen.show(looked.value);
      shown = now;
      await io.wait(lookEveryMs, signal);
      if (!signal.aborted) continue;
    }
    return ok({ data, text: screen.last(text, now === shown), isOneLine: true, isFailed: end !== "well" });
  }
}

interface Screen {
  show(look: Look): void;
  /** What is said when nothing more comes; `isShown`: it was the last that was shown, too. */
  last(text: string, isShown: boolean): string;
  clear(): void;
}

function jsonLines({ io }: Cli): Screen {
  return { show: ({ data }) => io.stdout(`${safeJsonLine(data)}\n`), last: () => "", clear: () => undefined };
}

function lines({ io }: Cli): Screen {
  const line = (text: string): string => `${localTime(io.now())} ${oneLine(text, 400)}\n`;
  return {
    show: ({ text }) => io.stdout(safe(line(text))),
    last: (text, isShown) => (isShown ? "" : line(text)),
    clear: () => undefined,
  };
}

/** Written over itself; cut, as a line that wraps could not be. */
function oneRow({ io }: Cli): Screen {
  let width = 0;
  const write = (text: string): void => {
    io.stdout(`\r${text.padEnd(width)}`);
    width = text.length;
  };
  return {
    show: ({ text }) => write(safe(oneLine(text, io.size().columns - 1))),
    last: (text) => `${oneLine(text, 400)}\n`,
    clear: () => {
      if (width === 0) return;
      write("");
      io.stdout("\r");
    },
  };
}
