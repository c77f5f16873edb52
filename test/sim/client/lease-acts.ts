import { atoms, elections, placesOf, resources } from "../resources.ts";
import type { Rng } from "../rng.ts";
import type { Holding } from "../beliefs.ts";
import type { Act } from "./acts.ts";
import type { Client } from "./client.ts";

const ttls = [3_000, 5_000, 10_000, 20_000, 60_000];
const waits = [0, 0, 5_000, 30_000, 120_000];

function acquire(client: Client, rng: Rng): void {
  client.leasing.want({
    resource: rng.pick(resources),
    ttlMs: rng.pick(ttls),
    waitMs: rng.pick(waits),
    lockDelayMs: rng.chance(0.2) ? rng.between(1_000, 10_000) : 0,
    isBound: rng.chance(client.around.habits.bound),
  });
}

function campaign(client: Client, rng: Rng): void {
  client.leasing.want({
    resource: `leader:${rng.pick(elections)}`,
    ttlMs: rng.pick(ttls),
    waitMs: rng.pick(waits),
    lockDelayMs: 15_000,
    isBound: false,
  });
}

function some(client: Client, rng: Rng): Holding | null {
  const all = [...client.leasing.holdings.values()];
  return all.length === 0 ? null : rng.pick(all);
}

function giveBack(client: Client, rng: Rng): void {
  const holding = some(client, rng);
  if (holding) client.leasing.giveBack(holding);
}

/** Before an act that relies on it. */
function confirm(client: Client, rng: Rng): void {
  const right = some(client, rng)?.right;
  if (right) client.run(() => right.confirm());
}

/** Work that a lease guards: only while it is trusted. */
function guarded(client: Client, rng: Rng): void {
  const holding = some(client, rng);
  if (!holding?.isTrusted()) return;
  const resource = rng.chance(0.5) ? holding.resource : (atoms[rng.pick(placesOf(holding.mask))] as string);
  write(client, rng, resource, holding.token);
}

/** A process that has not noticed that its time is over. */
function tooLate(client: Client, rng: Rng): void {
  const { old } = client.leasing;
  if (old.length === 0) return;
  const { resource, token } = rng.pick(old);
  write(client, rng, resource, token);
}

function write(client: Client, rng: Rng, resource: string, token: number): void {
  const key = `work/${rng.below(4)}`;
  const guard = { resource, token };
  const by = client.identity.chat;
  client.send("state.set", { key, value: `${by} ${token}`, guard, by });
}

function check(client: Client, rng: Rng): void {
  const holding = some(client, rng);
  if (holding?.right) client.send("leases.check", { resource: holding.resource, token: holding.token });
}

export const leaseActs: readonly Act[] = [
  { name: "acquire", weight: 24, run: acquire },
  { name: "campaign", weight: 6, run: campaign },
  { name: "give back", weight: 12, run: giveBack },
  { name: "confirm", weight: 5, run: confirm },
  { name: "guarded write", weight: 10, run: guarded },
  { name: "write with an old token", weight: 3, run: tooLate },
  { name: "check a token", weight: 2, run: check },
  { name: "list leases", weight: 1, run: (client) => client.send("leases.list", { prefix: "", limit: 50 }) },
  { name: "observe", weight: 2, run: (client, rng) => client.send("elections.observe", { name: rng.pick(elections) }) },
];
