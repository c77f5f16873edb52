import type { Entry, Write } from "#src/contract/state.ts";
import type { Rng } from "../rng.ts";
import type { Act } from "./acts.ts";
import type { Client } from "./client.ts";

const counters = ["count/a", "count/b", "count/c"];
const accounts = ["acct/1", "acct/2", "acct/3"];

/** Now and then by another program, without an id. */
const named = 0.7;

function increment(client: Client, rng: Rng): void {
  const key = rng.pick(counters);
  client.run(async () => {
    const found = await client.call("state.get", { key });
    if (!found.ok) return;
    const { entry } = found.value;
    const next = { key, value: valueOf(entry) + 1, ifVersion: entry?.version ?? 0 };
    if (rng.chance(named)) await client.call("state.set", { ...next, by: client.identity.chat });
    else client.post("state.set", next);
  });
}

function valueOf(entry: Pick<Entry, "value"> | null | undefined): number {
  return typeof entry?.value === "number" ? entry.value : 0;
}

/** From one account to another: the sum stays. */
async function transfer(client: Client, rng: Rng): Promise<void> {
  const from = rng.pick(accounts);
  const to = rng.pick(accounts.filter((key) => key !== from));
  const amount = rng.between(1, 9);
  const listed = await client.call("state.list", { prefix: "acct/", limit: 100 });
  if (!listed.ok) return;
  const found = new Map(listed.value.entries.map((entry) => [entry.key, entry]));
  const set = (key: string, by: number) => ({
    op: "set" as const,
    key,
    value: valueOf(found.get(key)) + by,
    ifVersion: found.get(key)?.version ?? 0,
  });
  const writes = [set(from, -amount), set(to, amount)];
  await client.call("state.update", { writes, guards: [], by: client.identity.chat });
}

function passing(client: Client, rng: Rng): void {
  const key = `${rng.chance(0.2) ? "session" : "tmp"}/${rng.below(6)}`;
  const ttlMs = key.startsWith("tmp") || rng.chance(0.5) ? { ttlMs: rng.between(1_000, 60_000) } : {};
  const input = { key, value: rng.below(1_000), ...ttlMs };
  if (rng.chance(0.3)) client.send("state.set", input);
  else client.post("state.set", input);
}

/** Several at once, some with conditions, some to be deleted. */
function several(client: Client, rng: Rng): void {
  const keys = [0, 1, 2, 3].filter(() => rng.chance(0.6)).map((place) => `tmp/${place}`);
  if (keys.length === 0) return;
  const writes = keys.map((key): Write => {
    if (rng.chance(0.3)) return { op: "delete", key };
    const value = rng.below(1_000);
    return rng.chance(0.2) ? { op: "set", key, value, ifVersion: 0 } : { op: "set", key, value };
  });
  if (rng.chance(0.5)) client.send("state.update", { writes, guards: [] });
  else client.post("state.update", { writes, guards: [] });
}

function read(client: Client, rng: Rng): void {
  const key = rng.pick([...counters, ...accounts, `tmp/${rng.below(6)}`, `session/${rng.below(6)}`, "work/1"]);
  client.send("state.get", { key });
}

/** From where the copy stands, few at a time. */
function readChanges(client: Client, rng: Rng): void {
  const { prefix, revision } = client.copy;
  client.send("state.changes", { prefix, after: revision, limit: rng.pick([1, 2, 5, 20, 200]) });
}

export const stateActs: readonly Act[] = [
  { name: "increment", weight: 14, run: increment },
  { name: "transfer", weight: 6, run: (client, rng) => client.run(() => transfer(client, rng)) },
  { name: "set for a while", weight: 6, run: passing },
  { name: "delete", weight: 3, run: (client, rng) => client.send("state.delete", { key: `tmp/${rng.below(6)}` }) },
  { name: "several at once", weight: 5, run: several },
  { name: "read", weight: 5, run: read },
  { name: "read changes", weight: 14, run: readChanges },
];
