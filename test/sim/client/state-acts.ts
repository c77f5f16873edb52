import type { Write } from "../../../src/contract/state.ts";
import type { Rng } from "../rng.ts";
import type { Act } from "./acts.ts";
import type { Client } from "./client.ts";

const counters = ["count/a", "count/b", "count/c"];
const accounts = ["acct/1", "acct/2", "acct/3"];

/** Tries at one increment, when others were first. */
const mostTries = 5;

/** The client's `atomicUpdate`: reads, and writes only where nobody was first. */
function increment(client: Client, rng: Rng): void {
  const key = rng.pick(counters);
  const isNamed = rng.chance(0.7);
  const again = (left: number): void => {
    client.call(
      "state.get",
      { key },
      (reply) => {
        if (!reply?.ok) return;
        const { entry } = reply.value;
        const value = (typeof entry?.value === "number" ? entry.value : 0) + 1;
        const requestId = isNamed ? { requestId: client.newRequestId() } : {};
        const input = { key, value, ifVersion: entry?.version ?? 0, by: client.identity.chat, ...requestId };
        // Without a name a lost reply cannot be told from a lost request: it is not asked again.
        client.call(
          "state.set",
          input,
          (written) => {
            if (written && !written.ok && written.error.code === "version_mismatch" && left > 0) again(left - 1);
          },
          isNamed ? {} : { tries: 1 },
        );
      },
      { tries: 3 },
    );
  };
  again(mostTries);
}

/** From one account to another: the sum stays. */
function transfer(client: Client, rng: Rng): void {
  const from = rng.pick(accounts);
  const to = rng.pick(accounts.filter((key) => key !== from));
  const amount = rng.between(1, 9);
  client.call(
    "state.list",
    { prefix: "acct/", limit: 100 },
    (reply) => {
      if (!reply?.ok) return;
      const found = new Map(reply.value.entries.map((entry) => [entry.key, entry]));
      const set = (key: string, by: number) => ({
        op: "set" as const,
        key,
        value: Number(found.get(key)?.value ?? 0) + by,
        ifVersion: found.get(key)?.version ?? 0,
      });
      const writes = [set(from, -amount), set(to, amount)];
      const requestId = client.newRequestId();
      client.call("state.update", { writes, guards: [], by: client.identity.chat, requestId }, () => undefined);
    },
    { tries: 3 },
  );
}

function passing(client: Client, rng: Rng): void {
  const key = `${rng.chance(0.2) ? "session" : "tmp"}/${rng.below(6)}`;
  const ttlMs = key.startsWith("tmp") || rng.chance(0.5) ? { ttlMs: rng.between(1_000, 60_000) } : {};
  const input = { key, value: rng.below(1_000), ...ttlMs };
  client.call("state.set", rng.chance(0.3) ? { ...input, requestId: client.newRequestId() } : input, () => undefined, {
    tries: 2,
  });
}

function remove(client: Client, rng: Rng): void {
  const requestId = client.newRequestId();
  client.call("state.delete", { key: `tmp/${rng.below(6)}`, requestId }, () => undefined, { tries: 3 });
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
  const requestId = rng.chance(0.5) ? { requestId: client.newRequestId() } : {};
  client.call("state.update", { writes, guards: [], ...requestId }, () => undefined, { tries: 2 });
}

function read(client: Client, rng: Rng): void {
  const key = rng.pick([...counters, ...accounts, `tmp/${rng.below(6)}`, `session/${rng.below(6)}`, "work/1"]);
  client.call("state.get", { key }, () => undefined, { tries: 1 });
}

export const stateActs: readonly Act[] = [
  { name: "increment", weight: 14, run: increment },
  { name: "transfer", weight: 6, run: transfer },
  { name: "set for a while", weight: 6, run: passing },
  { name: "delete", weight: 3, run: remove },
  { name: "several at once", weight: 5, run: several },
  { name: "read", weight: 5, run: read },
  { name: "watch", weight: 14, run: (client, rng) => client.watch.pull(rng.pick([1, 2, 5, 20, 200])) },
];
