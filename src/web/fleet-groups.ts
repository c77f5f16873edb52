import { chatStates, stateOfRegistered, stateText, workProgress, type ChatState } from "../contract/chat-state.ts";
import type { Chat } from "../contract/chats.ts";
import type { Fleet, FleetRow } from "../contract/machine/page.ts";
import { shortIds } from "../contract/short-id.ts";
import { matches } from "./format.ts";

/** Pure. */

export const groupTitles: Readonly<Record<ChatState, string>> = {
  waits: "Waits for you",
  died: "Died, and can come back",
  stuck: "Stuck",
  works: "Works",
  idle: "Idle",
  ended: "Ended in the last day",
};

export interface FleetGroup {
  readonly name: ChatState;
  readonly rows: readonly FleetRow[];
}

/** Longest waiting first; among the others, the highest risk, then the last that was active. */
function compare(a: FleetRow, b: FleetRow): number {
  const order = orders.map((keyOf) => keyOf(a) - keyOf(b)).find((difference) => difference !== 0);
  return order ?? a.id.localeCompare(b.id);
}

const orders: readonly ((row: FleetRow) => number)[] = [
  ({ waitingMs }) => -(waitingMs ?? 0),
  ({ risk }) => -(risk?.score ?? 0),
  ({ seenAgeMs }) => seenAgeMs,
];

/** A chat of another machine: the content of its session is there. */
function toRow(chat: Chat, short: (id: string) => string): FleetRow {
  const unknown = { waitingMs: null, project: null, model: null, risk: null, cause: null };
  return {
    ...unknown,
    id: chat.chat,
    shortId: short(chat.chat),
    title: typeof chat.metadata["title"] === "string" ? chat.metadata["title"] : null,
    ...stateOfRegistered(chat),
    client: chat.client,
    machine: chat.machine,
    contextFill: chat.health.contextFill ?? null,
    causeDetail: null,
    seenAgeMs: chat.lastSeenAgeMs,
    savedAgeMs: null,
    costUsdToday: null,
    taskCount: chat.taskCount,
    progress: workProgress(chat),
    resumeCommand: chat.isRecoverable ? `shim resume ${short(chat.session)}` : null,
  };
}

export function rowsOf({ rows, chats }: Pick<Fleet, "rows" | "chats">): FleetRow[] {
  const short = shortIds(chats.flatMap(({ chat, session }) => [chat, session]));
  return [...rows, ...chats.map((chat) => toRow(chat, short))];
}

export function toGroups(fleet: Pick<Fleet, "rows" | "chats">, query: string): FleetGroup[] {
  const fitting = rowsOf(fleet).filter((row) =>
    matches(query, [row.id, row.title, row.project, row.machine, row.model, row.client, stateText(row)]),
  );
  const byName = Map.groupBy(fitting, ({ state }) => state);
  return chatStates.flatMap((name) => {
    const found = byName.get(name);
    return found ? [{ name, rows: found.toSorted(compare) }] : [];
  });
}
