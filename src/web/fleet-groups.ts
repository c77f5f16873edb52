import {
  groupChats,
  stateOfRegistered,
  stateText,
  workProgress,
  type ChatGroups,
  type ChatRank,
} from "../contract/chat-state.ts";
import type { Chat } from "../contract/chats.ts";
import type { Fleet, FleetRow } from "../contract/machine/page.ts";
import type { OpenRequest } from "../contract/machine/requests.ts";
import { shortIds } from "../contract/short-id.ts";
import { matches } from "./format.ts";

/** Pure. */

function rankOf({ id, state, waitingMs, risk, seenAgeMs }: FleetRow): ChatRank {
  return { id, state, waited: waitingMs ?? 0, riskScore: risk?.score ?? 0, silence: seenAgeMs };
}

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

/** Permissions that chats ask for, the oldest first. */
export function requestsOf({ requests = [] }: Fleet, query: string): readonly OpenRequest[] {
  return requests.filter(({ session, title, tool, text }) => matches(query, [session, title, tool, text]));
}

export function toGroups(fleet: Pick<Fleet, "rows" | "chats">, query: string): ChatGroups<FleetRow> {
  const fitting = rowsOf(fleet).filter((row) =>
    matches(query, [row.id, row.title, row.project, row.machine, row.model, row.client, stateText(row)]),
  );
  return groupChats(fitting, rankOf);
}
