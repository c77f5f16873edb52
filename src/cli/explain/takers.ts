import type { Chat } from "../../contract/chats.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Refused } from "../answer.ts";
import type { Coordination } from "../coordination.ts";
import { pages } from "../pages.ts";
import type { Task } from "./task-facts.ts";

/** A chat that lives, as far as one task is concerned. */
export interface Taker {
  readonly chat: string;
  /** Null: nothing keeps it from it. */
  readonly obstacle: "takes_none" | "draining" | "lacks_capability" | "full" | "other_types" | null;
  /** What it needs and the chat has not. */
  readonly lacks: readonly string[];
  readonly capacity: number;
  /** Tasks that it has; null: not asked, as something else keeps it from more. */
  readonly held: number | null;
  /** What it is given as it comes; null: it asks for itself. */
  readonly taskTypes: readonly string[] | null;
  readonly isConnected: boolean;
}

export async function takersOf(
  link: Coordination,
  task: Pick<Task, "type" | "capabilities">,
): Promise<Result<Taker[], Refused["error"]>> {
  const listed = await pages({ most: 200 }, "chats", (page) => link.call("chats.list", page));
  if (!listed.ok) return listed;
  const takers: Taker[] = [];
  for (const chat of listed.value.chats.filter(({ status }) => status !== "offline")) {
    const taker = takerOf(chat, task);
    const held = taker.obstacle === null ? await heldBy(link, chat) : ok(null);
    if (!held.ok) return held;
    const isFull = held.value !== null && held.value >= chat.capacity;
    takers.push({ ...taker, held: held.value, obstacle: isFull ? "full" : taker.obstacle });
  }
  return ok(takers);
}

function takerOf(chat: Chat, { type, capabilities }: Pick<Task, "type" | "capabilities">): Omit<Taker, "held"> {
  const { capacity, taskTypes, isConnected } = chat;
  const lacks = capabilities.filter((needed) => !chat.capabilities.includes(needed));
  const isOther = taskTypes !== null && !taskTypes.includes("*") && !taskTypes.includes(type);
  const obstacles = [
    chat.status === "draining" && "draining",
    capacity === 0 && "takes_none",
    lacks.length > 0 && "lacks_capability",
    isOther && "other_types",
  ] as const;
  return {
    chat: chat.chat,
    obstacle: obstacles.find((one) => one !== false) ?? null,
    lacks,
    capacity,
    taskTypes,
    isConnected,
  };
}

/** A chat has at most 100. */
async function heldBy(link: Coordination, { chat }: Chat): Promise<Result<number, Refused["error"]>> {
  const listed = await link.call("tasks.list", { chat, limit: 100 });
  return listed.ok ? ok(listed.value.tasks.length) : listed;
}
