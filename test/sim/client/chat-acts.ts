import type { Rng } from "../rng.ts";
import type { Act } from "./acts.ts";
import type { Client } from "./client.ts";
import { chatName } from "./message-acts.ts";

function heartbeat(client: Client, rng: Rng): void {
  const status = rng.pick(["idle", "busy", "stuck"] as const);
  client.send("chats.heartbeat", { status, progress: `${rng.below(5)}` });
}

export const chatActs: readonly Act[] = [
  { name: "heartbeat", weight: 4, run: heartbeat },
  { name: "register again", weight: 1, run: (client) => client.run(() => client.registerAgain()) },
  { name: "leave", weight: 1, run: (client) => client.run(() => client.leave()) },
  { name: "who is there", weight: 1, run: (client) => client.send("chats.list", { limit: 50 }) },
  {
    name: "look at a chat",
    weight: 1,
    run: (client, rng) => client.send("chats.get", { chat: chatName(rng.below(8)) }),
  },
  {
    name: "drain",
    weight: 1,
    run: (client, rng) => client.send("chats.drain", { chat: chatName(rng.below(8)), reason: "rest" }),
  },
];
