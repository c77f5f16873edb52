import type { Rng } from "../rng.ts";
import type { Act } from "./acts.ts";
import type { Client } from "./client.ts";
import { chatName } from "./message-acts.ts";

function heartbeat(client: Client, rng: Rng): void {
  const status = rng.pick(["idle", "busy", "stuck"] as const);
  client.call("chats.heartbeat", { self: client.self, status, progress: `${rng.below(5)}` }, () => undefined, {
    tries: 2,
  });
}

/** It leaves: what it has is not its own any more from the moment it says so. */
function leave(client: Client): void {
  const { self } = client;
  client.isLeaving = true;
  client.leasing.dropAll();
  client.working.dropAll();
  client.call("chats.unregister", { self }, () => client.end(), { tries: 4 });
}

export const chatActs: readonly Act[] = [
  { name: "heartbeat", weight: 4, run: heartbeat },
  { name: "register beside", weight: 1, run: (client) => client.link.registerBeside() },
  { name: "leave", weight: 1, run: leave },
  {
    name: "who is there",
    weight: 1,
    run: (client) => client.call("chats.list", { limit: 50 }, () => undefined, { tries: 1 }),
  },
  {
    name: "look at a chat",
    weight: 1,
    run: (client, rng) => client.call("chats.get", { chat: chatName(rng.below(8)) }, () => undefined, { tries: 1 }),
  },
  {
    name: "drain",
    weight: 1,
    run: (client, rng) =>
      client.call("chats.drain", { chat: chatName(rng.below(8)), reason: "rest" }, () => undefined, { tries: 1 }),
  },
];
