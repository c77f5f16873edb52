import type { OpenedLink } from "../../coordinator-client/open-link.ts";
import type { UserNotification } from "./due-notifications.ts";
import { isWithin } from "../../shared/elapsed.ts";

/** The coordinator may be remote and charge for requests. */
const askEveryMs = 60_000;
const timeoutMs = 5_000;
const maxPages = 5;

/** Repeats the last known tasks between requests and while the coordinator is unreachable. */
export function deadTasks(
  now: () => number,
  reader: () => OpenedLink | null | Promise<OpenedLink | null>,
): () => Promise<readonly UserNotification[]> {
  let lastNotifications: readonly UserNotification[] = [];
  let askedAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (isWithin(now() - askedAt, askEveryMs)) return lastNotifications;
    askedAt = now();
    const openedLink = await reader();
    return (lastNotifications = (openedLink && (await findDeadTasks(openedLink))) ?? lastNotifications);
  };
}

async function findDeadTasks({ link, workspace }: OpenedLink): Promise<UserNotification[] | null> {
  const notifications: UserNotification[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < maxPages; page++) {
    const query = { state: "dead", limit: 200, ...(cursor === undefined ? {} : { cursor }) } as const;
    const answer = await link.call("tasks.list", query, timeoutMs);
    if (!answer.ok) return null;
    for (const { task, type, reason, failures } of answer.value.tasks) {
      const reasonText = reason === null ? "" : ` (${reason.replaceAll("_", " ")})`;
      const key = `task_dead:${workspace}:${task}:${failures}`;
      notifications.push({
        event: "task_dead",
        key,
        session: null,
        title: null,
        text: `task ${task} (${type}) is dead${reasonText}`,
      });
    }
    if (answer.value.cursor === null) return notifications;
    cursor = answer.value.cursor;
  }
  return notifications;
}
