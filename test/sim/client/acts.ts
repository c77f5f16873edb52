import type { Rng } from "../rng.ts";
import type { Client } from "./client.ts";
import { leaseActs } from "./lease-acts.ts";
import { frameActs } from "./frame-acts.ts";
import { chatName, messageActs } from "./message-acts.ts";
import { stateActs } from "./state-acts.ts";
import { taskActs } from "./task-acts.ts";

/** Something that a client does of its own accord. All chance comes from the generator that it is given. */
export interface Act {
  readonly name: string;
  /** How often, beside the others. */
  readonly weight: number;
  readonly run: (client: Client, rng: Rng) => void;
}

function heartbeat(client: Client, rng: Rng): void {
  const status = rng.pick(["idle", "busy", "stuck"] as const);
  client.send("chats.heartbeat", { status, progress: `${rng.below(5)}` });
}

const chatActs: readonly Act[] = [
  { name: "heartbeat", weight: 4, run: heartbeat },
  { name: "register again", weight: 1, run: (client) => client.run(() => client.registerAgain()) },
  { name: "leave", weight: 1, run: (client) => client.run(() => client.leave()) },
  { name: "who is there", weight: 1, run: (client) => client.send("chats.list", { limit: 50 }) },
  { name: "read a chat", weight: 1, run: (client, rng) => client.send("chats.get", { chat: chatName(rng.below(8)) }) },
  {
    name: "drain",
    weight: 1,
    run: (client, rng) => client.send("chats.drain", { chat: chatName(rng.below(8)), reason: "x" }),
  },
];

export const acts: readonly Act[] = [
  ...leaseActs,
  ...stateActs,
  ...messageActs,
  ...chatActs,
  ...taskActs,
  ...frameActs,
];
