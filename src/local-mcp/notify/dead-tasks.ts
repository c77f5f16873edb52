import type { OpenedLink } from "../link/open-link.ts";
import type { Notification } from "./due-notifications.ts";
import { isWithin } from "../../shared/elapsed.ts";

/** The coordinator may be far away, and charges for questions. */
const askEveryMs = 60_000;
const withinMs = 5_000;
const mostPages = 5;

/** The workspace's dead tasks, asked for now and then; the same as before in between, and where nobody answers. */
export function deadTasks(
  now: () => number,
  reader: () => OpenedLink | null | Promise<OpenedLink | null>,
): () => Promise<readonly Notification[]> {
  let known: readonly Notification[] = [];
  let askedAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (isWithin(now() - askedAt, askEveryMs)) return known;
    askedAt = now();
    const opened = await reader();
    return (known = (opened && (await askFor(opened))) ?? known);
  };
}

async function askFor({ link, workspace }: OpenedLink): Promise<Notification[] | null> {
  const found: Notification[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < mostPages; page++) {
    const given = { state: "dead", limit: 200, ...(cursor === undefined ? {} : { cursor }) } as const;
    const answer = await link.call("tasks.list", given, withinMs);
    if (!answer.ok) return null;
    for (const { task, type, reason, failures } of answer.value.tasks) {
      const why = reason === null ? "" : ` (${reason.replaceAll("_", " ")})`;
      const key = `task_dead:${workspace}:${task}:${failures}`;
      found.push({ event: "task_dead", key, session: null, title: null, text: `task ${task} (${type}) is dead${why}` });
    }
    if (answer.value.cursor === null) return found;
    cursor = answer.value.cursor;
  }
  return found;
}
