import type { Chat } from "../contract/chats.ts";
import type { Fleet, FleetRow } from "../contract/live-page.ts";
import { matches, shortIn } from "./format.ts";

/** Pure. The order in which a user has to act. */

export const groupNames = ["waits", "died", "stuck", "works", "idle", "ended"] as const;
export type GroupName = (typeof groupNames)[number];

export const groupTitles: Readonly<Record<GroupName, string>> = {
  waits: "Waits for you",
  died: "Died, and can come back",
  stuck: "Stuck",
  works: "At work",
  idle: "Idle",
  ended: "Ended in the last day",
};

export interface FleetGroup {
  readonly name: GroupName;
  readonly rows: readonly FleetRow[];
}

const waitingProgress = "waits for its user";
const diedStates: ReadonlySet<string> = new Set(["incomplete", "offered", "closed", "unheard"]);
const endedStates: ReadonlySet<string> = new Set(["finished", "recovered", "dismissed", "empty", "offline"]);

/** An idle prompt waits for nothing that is under way; a permission or a question does. */
export function groupOf({ state, activity, waiting, progress }: FleetRow): GroupName {
  const over = diedStates.has(state) ? "died" : endedStates.has(state) ? "ended" : null;
  if (over) return over;
  if (waiting || activity === "waiting" || progress === waitingProgress) return "waits";
  return atWork[activity ?? state] ?? "idle";
}

const atWork: Readonly<Record<string, GroupName>> = { stuck: "stuck", busy: "works", draining: "works" };

/** Longest waiting first; among the others, the highest risk, then the last that was active. */
function compare(a: FleetRow, b: FleetRow): number {
  const order = orders.map((keyOf) => keyOf(a) - keyOf(b)).find((difference) => difference !== 0);
  return order ?? a.id.localeCompare(b.id);
}

const orders: readonly ((row: FleetRow) => number)[] = [
  ({ waiting }) => -(waiting?.ageMs ?? 0),
  ({ risk }) => -(risk?.score ?? 0),
  ({ seenAgeMs }) => seenAgeMs,
];

/** A chat of another machine: the content of its session is there. */
function toRow(chat: Chat, short: (id: string) => string): FleetRow {
  const unknown = { activity: null, waiting: null, project: null, model: null, risk: null, cause: null, offer: null };
  return {
    ...unknown,
    id: chat.chat,
    shortId: short(chat.chat),
    title: typeof chat.metadata["title"] === "string" ? chat.metadata["title"] : null,
    state: chat.isRecoverable ? "incomplete" : chat.status,
    client: chat.client,
    machine: chat.machine,
    contextFill: chat.health.contextFill ?? null,
    causeDetail: null,
    seenAgeMs: chat.lastSeenAgeMs,
    savedAgeMs: null,
    costUsdToday: null,
    taskCount: chat.taskCount,
    progress: chat.progress,
    resumeCommand: chat.isRecoverable ? `shim resume ${short(chat.session)}` : null,
  };
}

export function rowsOf({ rows, chats }: Pick<Fleet, "rows" | "chats">): FleetRow[] {
  const short = shortIn(chats.flatMap(({ chat, session }) => [chat, session]));
  return [...rows, ...chats.map((chat) => toRow(chat, short))];
}

export function toGroups(fleet: Pick<Fleet, "rows" | "chats">, query: string): FleetGroup[] {
  const fitting = rowsOf(fleet).filter((row) =>
    matches(query, [row.id, row.title, row.project, row.machine, row.model, row.client, row.state, row.activity]),
  );
  const byName = Map.groupBy(fitting, groupOf);
  return groupNames.flatMap((name) => {
    const found = byName.get(name);
    return found ? [{ name, rows: found.toSorted(compare) }] : [];
  });
}

const waitingTexts = {
  permission: "waits for your permission",
  dialog: "waits for your answer",
  prompt: "waits for your next prompt",
};

export function activityText({ waiting, activity, state, progress, offer }: FleetRow): string {
  if (waiting) return waitingTexts[waiting.for];
  if (activity === "waiting" || progress === waitingProgress) return "waits for you";
  if (state !== "alive") return offer ?? state;
  return activity === "busy" ? "works" : (activity ?? state);
}
