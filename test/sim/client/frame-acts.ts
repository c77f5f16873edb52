import type { Call } from "../host/front.ts";
import { atoms } from "../resources.ts";
import type { Rng } from "../rng.ts";
import type { Act } from "./acts.ts";
import type { Client, Framed } from "./client.ts";

/** What another program of a chat sends in frames, without the client: the object runs them as sets where they apply. */

const names = atoms.filter((name) => !name.startsWith("leader:"));

function some<T>(rng: Rng, all: readonly T[], most: number): T[] {
  const left = [...all];
  const picked: T[] = [];
  for (let count = rng.between(2, most); count > 0 && left.length > 0; count--) {
    picked.push(...left.splice(rng.below(left.length), 1));
  }
  return picked;
}

/** Plain leases only, which a copy may take again; some are renewed, and most are released. */
function acquire(client: Client, rng: Rng): void {
  const { self } = client;
  if (!self) return;
  const lockDelayMs = rng.chance(0.2) ? rng.between(1_000, 10_000) : 0;
  const calls = some(rng, names, 4).map((resource): Call => {
    const requestId = client.newRequestId();
    return {
      name: "leases.acquire",
      input: { self, resource, requestId, ttlMs: rng.pick([3_000, 10_000, 20_000]), waitMs: 0, lockDelayMs },
    };
  });
  client.postFrame(calls, (replies) => {
    for (const reply of replies) {
      const lease = reply.ok ? (reply.value as { readonly lease?: Framed }).lease : undefined;
      if (lease) client.framed.push({ resource: lease.resource, token: lease.token });
    }
    client.later(1_000, "goes on in frames", () => renewOrRelease(client, rng));
  });
}

/** Of leases that it was granted, as far as it knows. */
function renewOrRelease(client: Client, rng: Rng): void {
  const { self, framed } = client;
  if (!self || framed.length === 0) return;
  if (rng.chance(0.5)) {
    client.postFrame(framed.map((lease): Call => ({ name: "leases.renew", input: { self, ...lease } })));
    return client.later(1_000, "goes on in frames", () => renewOrRelease(client, rng));
  }
  client.postFrame(framed.splice(0).map((lease): Call => ({ name: "leases.release", input: { self, ...lease } })));
}

/** Writes, some with a condition or a lease, then reads, then deletes. */
function keys(client: Client, rng: Rng): void {
  const all = [0, 1, 2, 3, 4, 5].flatMap((place) => [`tmp/${place}`, `session/${place}`]);
  const written = some(rng, all, 5);
  const isNamed = rng.chance(0.5);
  const [lease] = client.framed;
  const guard = lease && rng.chance(0.3) ? { guard: lease } : {};
  const calls: Call[] = written.map((key) => {
    const ttlMs = key.startsWith("tmp") || rng.chance(0.5) ? { ttlMs: rng.between(1_000, 60_000) } : {};
    const named = isNamed ? { requestId: client.newRequestId() } : {};
    const condition = rng.chance(0.05) ? { ifVersion: 0 } : {};
    return { name: "state.set", input: { key, value: rng.below(1_000), ...ttlMs, ...named, ...condition, ...guard } };
  });
  calls.push(...some(rng, all, 5).map((key): Call => ({ name: "state.get", input: { key } })));
  if (rng.chance(0.5)) calls.push(...some(rng, all, 3).map((key): Call => ({ name: "state.delete", input: { key } })));
  client.postFrame(calls);
}

function finish(client: Client, rng: Rng): void {
  const { self, working, around } = client;
  if (!self) return;
  const ended = working.finish(rng.between(1, 4));
  if (ended.length === 0) return;
  const calls = ended.map((end): Call => ({ name: "tasks.ack", input: { self, ...end } }));
  client.postFrame(calls, (replies) => {
    for (const [at, reply] of replies.entries()) {
      const end = ended[at];
      if (end && reply.ok) around.oracle.queue.counted(end.task, end.claim);
    }
  });
}

export const frameActs: readonly Act[] = [
  { name: "acquire in a frame", weight: 5, run: acquire },
  { name: "renew or release in a frame", weight: 4, run: renewOrRelease },
  { name: "write in a frame", weight: 4, run: keys },
  { name: "finish in a frame", weight: 2, run: finish },
];
