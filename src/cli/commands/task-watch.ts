import type { Command } from "commander";
import * as z from "zod";
import { localTime } from "../../contract/age.ts";
import type { TaskLine } from "../../contract/task-views.ts";
import { counter } from "../../contract/values.ts";
import { pollEveryMs } from "../../contract/protocol.ts";
import type { Workspace } from "../../machine/sharing/operations/workspace.ts";
import { oneLine, pluralize, progressText } from "../../shared/format.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { define } from "../operation-command.ts";
import { safeJsonLine, safeText } from "../screen-text.ts";

interface Seen {
  /** Changing fields only, without times; for programs. */
  readonly data: object;
  readonly text: string;
  readonly end: "open" | "well" | "badly";
}

type Read = () => Promise<Result<Seen>>;

export function addWatch(task: Command, cli: Cli): void {
  define(cli, task, "watch", {
    input: z.object({ task: counter.optional() }),
    summary: "State and progress of a task, or of all, until the end.",
    example: { task: 5 },
    args: ["task"],
    run: ({ task: number }, { json }) =>
      cli.withWorkspace((link) =>
        follow(cli, link, json === true, number === undefined ? allReader(link) : taskReader(link, number)),
      ),
  });
}

function taskReader(link: Workspace, task: number): Read {
  return async () => {
    const found = await link.call("tasks.get", { task });
    if (!found.ok) return found;
    const parts = await link.call("tasks.progress", { parent: task });
    if (!parts.ok) return parts;
    const { completedTasks, totalTasks } = parts.value;
    const seen = seeTask(found.value);
    if (totalTasks === 0) return ok(seen);
    const text = `${seen.text}, ${completedTasks} of ${pluralize(totalTasks, "part")} done`;
    return ok({ ...seen, data: { ...seen.data, completedTasks, totalTasks }, text });
  };
}

function seeTask(line: TaskLine): Seen {
  const { task, type, state, reason, detail, chat, failures, maxAttempts, isCancelAsked, progress } = line;
  const data = { task, type, state, reason, detail, chat, failures, maxAttempts, isCancelAsked, progress };
  const end = state === "done" ? "well" : state === "dead" || state === "cancelled" ? "badly" : "open";
  return { data, text: taskText(line), end };
}

function taskText(line: TaskLine): string {
  const { task, type, ref, state, reason, chat, failures, maxAttempts, isCancelAsked, progress, detail } = line;
  const name = `task ${task} (${ref === null ? type : `${type} ${ref}`}): ${state}`;
  const details = [
    `${name}${reason === null ? "" : ` (${reason})`}${chat === null ? "" : `, by ${chat}`}`,
    isCancelAsked ? "asked to stop" : "",
    failures === 0 ? "" : `failed ${failures} of ${maxAttempts}`,
    ...(state === "done" ? [] : [progressText(progress), detail ?? ""]),
  ];
  return details.filter((text) => text !== "").join(", ");
}

/** Ends when no task is open; badly if more are dead or cancelled than at the start. */
function allReader(link: Workspace): Read {
  let lostAtStart: number | null = null;
  return async () => {
    const found = await link.call("tasks.progress", {});
    if (!found.ok) return found;
    const { totalTasks, completedTasks, inProgressTasks, queuedTasks, activeChats, isAll } = found.value;
    const lost = totalTasks - completedTasks - inProgressTasks - queuedTasks;
    lostAtStart ??= lost;
    const partly = isAll ? "" : " (of the newest 100,000)";
    const text = `${completedTasks} of ${totalTasks} done${partly}, ${inProgressTasks} under way (chats: ${activeChats}), ${queuedTasks} waiting, ${lost} dead or cancelled`;
    const isOpen = inProgressTasks + queuedTasks > 0;
    return ok({ data: found.value, text, end: isOpen ? "open" : lost > lostAtStart ? "badly" : "well" });
  };
}

/** Polls, and reads at once what has changed on this machine. */
async function follow({ io }: Cli, link: Workspace, isJson: boolean, read: Read): Promise<CommandResult> {
  const signal = io.interrupted();
  let hint = new AbortController();
  link.onChange(() => hint.abort());
  for (let lastShown = ""; ;) {
    hint = new AbortController();
    const seen = await read();
    if (!seen.ok) return seen;
    const { data, text, end } = seen.value;
    const now = isJson ? safeJsonLine(data) : safeText(oneLine(text, 400));
    const line = `${isJson ? "" : `${localTime(io.now())} `}${now}\n`;
    if (end === "open" && !signal.aborted) {
      if (now !== lastShown) io.stdout(line);
      lastShown = now;
      await io.wait(pollEveryMs, AbortSignal.any([signal, hint.signal]));
      if (!signal.aborted) continue;
    }
    return ok({ data, text: now === lastShown ? "" : line, isOneLine: true, isFailed: end !== "well" });
  }
}
