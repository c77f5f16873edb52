import type { Priority, Target } from "#src/contract/messages.ts";
import type { CheckedInputOf } from "#src/contract/operations.ts";
import type { Entry, Write } from "#src/contract/state.ts";
import type { Rng } from "../sim.ts";
import { chatName, type Client } from "./client.ts";
import { leaseActs } from "./leasing.ts";
import { taskActs } from "./task-acts.ts";

/** Something that a process does by itself. All chance comes from the generator that it gets. */
export interface Act {
  readonly name: string;
  readonly weight: number;
  readonly run: (client: Client, rng: Rng) => void;
}

const counters = ["count/a", "count/b", "count/c"];
const accounts = ["acct/1", "acct/2", "acct/3"];

function increment(client: Client, rng: Rng): void {
  const key = rng.pick(counters);
  client.run(async () => {
    const found = await client.call("state.get", { key });
    if (!found.ok) return;
    const { entry } = found.value;
    const next = { key, value: valueOf(entry) + 1, ifVersion: entry?.version ?? 0 };
    if (rng.chance(0.7)) await client.call("state.set", { ...next, by: client.identity.chat });
    else client.post("state.set", next);
  });
}

function valueOf(entry: Pick<Entry, "value"> | null | undefined): number {
  return typeof entry?.value === "number" ? entry.value : 0;
}

async function transfer(client: Client, rng: Rng): Promise<void> {
  const from = rng.pick(accounts);
  const to = rng.pick(accounts.filter((key) => key !== from));
  const amount = rng.between(1, 9);
  const listed = await client.call("state.list", { prefix: "acct/", limit: 100 });
  if (!listed.ok) return;
  const found = new Map(listed.value.entries.map((entry) => [entry.key, entry]));
  const set = (key: string, by: number): Write => {
    const entry = found.get(key);
    return { op: "set", key, value: valueOf(entry) + by, ifVersion: entry?.version ?? 0 };
  };
  const writes = [set(from, -amount), set(to, amount)];
  await client.call("state.update", { writes, guards: [], by: client.identity.chat });
}

function ttlOf(key: string, rng: Rng): { ttlMs?: number } {
  return key.startsWith("tmp") || rng.chance(0.5) ? { ttlMs: rng.between(1_000, 60_000) } : {};
}

function setForAWhile(client: Client, rng: Rng): void {
  const key = `${rng.chance(0.2) ? "session" : "tmp"}/${rng.below(6)}`;
  const input = { key, ...ttlOf(key, rng), value: rng.below(1_000) };
  if (rng.chance(0.3)) client.send("state.set", input);
  else client.post("state.set", input);
}

function several(client: Client, rng: Rng): void {
  const keys = [0, 1, 2, 3].filter(() => rng.chance(0.6)).map((number) => `tmp/${number}`);
  if (keys.length === 0) return;
  const writes = keys.map((key): Write => {
    if (rng.chance(0.3)) return { op: "delete", key };
    const write = { op: "set", key, value: rng.below(1_000) } as const;
    return rng.chance(0.2) ? Object.assign(write, { ifVersion: 0 }) : write;
  });
  if (rng.chance(0.5)) client.send("state.update", { writes, guards: [] });
  else client.post("state.update", { writes, guards: [] });
}

function read(client: Client, rng: Rng): void {
  const key = rng.pick([...counters, ...accounts, `tmp/${rng.below(6)}`, `session/${rng.below(6)}`, "work/1"]);
  client.send("state.get", { key });
}

function readChanges(client: Client, rng: Rng): void {
  const { prefix, revision } = client.copy;
  client.send("state.changes", { prefix, after: revision, limit: rng.pick([1, 2, 5, 20, 200]) });
}

const stateActs: readonly Act[] = [
  { name: "increment", weight: 14, run: increment },
  { name: "transfer", weight: 6, run: (client, rng) => client.run(() => transfer(client, rng)) },
  { name: "set for a while", weight: 6, run: setForAWhile },
  { name: "delete", weight: 3, run: (client, rng) => client.send("state.delete", { key: `tmp/${rng.below(6)}` }) },
  { name: "several at once", weight: 5, run: several },
  { name: "read", weight: 5, run: read },
  { name: "read changes", weight: 14, run: readChanges },
];

const topics = ["build.web", "build.api", "build.web.css", "review", "chatter.x"];
const patterns = ["build.*", "build.**", "build.web", "**", "review", "*.x", "chatter.*"];
const priorities: readonly Priority[] = ["low", "normal", "normal", "high"];

function targetOf(rng: Rng): Target {
  if (rng.chance(0.15)) return { to: "all" };
  return rng.chance(0.5) ? { to: "topic", topic: rng.pick(topics) } : { to: "chat", chat: chatName(rng.below(8)) };
}

function send(client: Client, rng: Rng): void {
  const input: Omit<CheckedInputOf<"messages.send">, "self"> = {
    target: targetOf(rng),
    body: { n: rng.below(1_000) },
    priority: rng.pick(priorities),
    ttlMs: rng.pick([2_000, 30_000, 300_000, 3_600_000]),
  };
  const { self } = client;
  if (rng.chance(0.9) || !self) client.send("messages.send", input);
  else client.post("messages.send", { ...input, self });
}

/** Reads some messages beside the client's inbox, and acknowledges all or some of them. */
async function readMessages(client: Client, rng: Rng): Promise<void> {
  const isUrgent = rng.chance(0.1);
  const limit = rng.pick([1, 3, 10, 50]);
  const pulled = await client.call("messages.pull", { limit, ...(isUrgent ? { minPriority: "high" } : {}) });
  if (!pulled.ok || pulled.value.messages.length === 0) return;
  const ids = pulled.value.messages.map(({ id }) => id);
  // A cursor covers every older message, so it is used only when all are known.
  const isByCursor = !pulled.value.isMore && !isUrgent && rng.chance(0.4);
  const some = rng.chance(0.3) ? ids.filter(() => rng.chance(0.5)) : ids;
  await client.call("messages.ack", isByCursor ? { cursor: Math.max(...ids), ids: [] } : { ids: some });
}

const messageActs: readonly Act[] = [
  { name: "send", weight: 14, run: send },
  ...(["subscribe", "unsubscribe"] as const).map((name, index): Act => ({
    name,
    weight: 3 - index,
    run: (client, rng) => client.send(`messages.${name}`, { pattern: rng.pick(patterns) }),
  })),
  { name: "read messages", weight: 16, run: (client, rng) => client.run(() => readMessages(client, rng)) },
];

function heartbeat(client: Client, rng: Rng): void {
  const status = rng.pick(["idle", "busy", "stuck"] as const);
  client.send("chats.heartbeat", { status, progress: `${rng.below(5)}` });
}

const chatActs: readonly Act[] = [
  { name: "heartbeat", weight: 4, run: heartbeat },
  { name: "register again", weight: 1, run: (client) => client.run(() => client.registerAgain()) },
  { name: "leave", weight: 1, run: (client) => client.run(() => client.leave()) },
  {
    name: "drain",
    weight: 1,
    run: (client, rng) => client.send("chats.drain", { chat: chatName(rng.below(8)), reason: "x" }),
  },
];

export const acts: readonly Act[] = [...leaseActs, ...stateActs, ...messageActs, ...chatActs, ...taskActs];
