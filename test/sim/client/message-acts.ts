import type { CheckedInputOf } from "#src/contract/operations.ts";
import type { Priority, Target } from "#src/contract/messages.ts";
import type { Rng } from "../rng.ts";
import type { Act } from "./acts.ts";
import type { Client } from "./client.ts";

const topics = ["build.web", "build.api", "build.web.css", "review", "chatter.x"];
const patterns = ["build.*", "build.**", "build.web", "**", "review", "*.x", "chatter.*"];
const priorities: readonly Priority[] = ["low", "normal", "normal", "high"];

/** Chats are named so by the world; some of them do not exist yet. */
export function chatName(place: number): string {
  return `c${place}`;
}

function target(rng: Rng): Target {
  if (rng.chance(0.15)) return { to: "all" };
  return rng.chance(0.5) ? { to: "topic", topic: rng.pick(topics) } : { to: "chat", chat: chatName(rng.below(8)) };
}

function send(client: Client, rng: Rng): void {
  const input: Omit<CheckedInputOf<"messages.send">, "self"> = {
    target: target(rng),
    body: { n: rng.below(1_000) },
    priority: rng.pick(priorities),
    ttlMs: rng.pick([2_000, 30_000, 300_000, 3_600_000]),
  };
  const { self } = client;
  if (rng.chance(0.9) || !self) client.send("messages.send", input);
  else client.post("messages.send", { ...input, self });
}

/** Beside the inbox of the client: some, in any number, and not all of them acknowledged. */
async function read(client: Client, rng: Rng): Promise<void> {
  const isUrgent = rng.chance(0.1);
  const limit = rng.pick([1, 3, 10, 50]);
  const pulled = await client.call("messages.pull", { limit, ...(isUrgent ? { minPriority: "high" } : {}) });
  if (!pulled.ok || pulled.value.messages.length === 0) return;
  const ids = pulled.value.messages.map(({ id }) => id);
  // All up to the newest by cursor, when all are known; else each by its id, or only some.
  const isByCursor = !pulled.value.isMore && !isUrgent && rng.chance(0.4);
  const some = rng.chance(0.3) ? ids.filter(() => rng.chance(0.5)) : ids;
  await client.call("messages.ack", isByCursor ? { cursor: Math.max(...ids), ids: [] } : { ids: some });
}

export const messageActs: readonly Act[] = [
  { name: "send", weight: 14, run: send },
  {
    name: "subscribe",
    weight: 3,
    run: (client, rng) => client.send("messages.subscribe", { pattern: rng.pick(patterns) }),
  },
  {
    name: "unsubscribe",
    weight: 2,
    run: (client, rng) => client.send("messages.unsubscribe", { pattern: rng.pick(patterns) }),
  },
  { name: "read messages", weight: 16, run: (client, rng) => client.run(() => read(client, rng)) },
];
