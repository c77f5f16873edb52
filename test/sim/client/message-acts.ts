import type { Priority, SendMessage, Target } from "../../../src/contract/messages.ts";
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
  const input: SendMessage = {
    self: client.self,
    target: target(rng),
    body: { n: rng.below(1_000) },
    priority: rng.pick(priorities),
    ttlMs: rng.pick([2_000, 30_000, 300_000, 3_600_000]),
  };
  // Without a name it is sent once: a copy would be another message.
  if (rng.chance(0.9)) client.call("messages.send", { ...input, requestId: client.newRequestId() }, () => undefined);
  else client.call("messages.send", input, () => undefined, { tries: 1 });
}

export const messageActs: readonly Act[] = [
  { name: "send", weight: 14, run: send },
  {
    name: "subscribe",
    weight: 3,
    run: (client, rng) =>
      client.call("messages.subscribe", { self: client.self, pattern: rng.pick(patterns) }, () => undefined, {
        tries: 2,
      }),
  },
  {
    name: "unsubscribe",
    weight: 2,
    run: (client, rng) =>
      client.call("messages.unsubscribe", { self: client.self, pattern: rng.pick(patterns) }, () => undefined, {
        tries: 2,
      }),
  },
  {
    name: "read messages",
    weight: 16,
    run: (client, rng) => client.inbox.pull(rng.pick([1, 3, 10, 50]), rng.chance(0.1)),
  },
];
