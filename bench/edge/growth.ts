/** What an operation costs while the workspace grows, and how many rows it reads and writes. */
import { ms, range, sample, timed, type Row } from "../figures.ts";
import { scaled } from "../size.ts";
import { EdgeRig } from "./edge-rig.ts";
import type { Counted, WireClient } from "./wire-client.ts";

const rounds = scaled(200);
/** Of a workspace that is not measured in full. */
const leastSize = 100;
type Work = (client: WireClient, round: number) => Promise<unknown>;

const works: Record<string, Work> = {
  heartbeat: (client, round) => client.call("chats.heartbeat", { self: client.self, progress: `r${round}` }),
  "lease acquire and release": async (client, round) => {
    const { self } = client;
    const { lease } = await client.call<{ lease: { token: number } }>("leases.acquire", {
      self,
      resource: "own",
      requestId: `r${round}`,
    });
    return client.call("leases.release", { self, resource: "own", token: lease.token });
  },
  "state set": (client, round) => client.call("state.set", { key: "own", value: round }),
  "state get": (client) => client.call("state.get", { key: "own" }),
  "message send": (client, round) =>
    client.call("messages.send", { self: client.self, target: { to: "topic", topic: "growth" }, body: round }),
};

/** A workspace of one size. */
interface Place {
  readonly size: number;
  readonly rig: EdgeRig;
  readonly client: WireClient;
  readonly times: Record<string, number[]>;
}

export async function growth(): Promise<Row[]> {
  return [
    ...(await compared([10, 100, 1_000, 5_000], withChats, "growth: chats", "chats")),
    ...(await compared([100, 1_000, 10_000, 100_000], withKeys, "growth: keys and leases", "keys and as many leases")),
  ];
}

/** Chats with a socket each, which do nothing. */
export function socketGrowth(): Promise<Row[]> {
  return compared([10, 100, 2_000], withSockets, "growth: sockets", "connected chats");
}

/** All sizes are there at once and take turns: a machine that becomes slower or faster meanwhile does so for all of them. */
async function compared(
  sizes: readonly number[],
  fill: (rig: EdgeRig, client: WireClient, size: number) => Promise<void>,
  group: string,
  what: string,
): Promise<Row[]> {
  const places: Place[] = [];
  for (const whole of sizes.slice(0, scaled(sizes.length, 2))) {
    const size = scaled(whole, Math.min(whole, leastSize));
    const rig = await EdgeRig.open(false);
    // The clients of the bench do not ping.
    await rig.set({ chatTtlMs: 600_000, maxConcurrentChats: 10_000, maxKeys: 500_000 });
    const client = await rig.client("own");
    await fill(rig, client, size);
    places.push({ size, rig, client, times: {} });
  }
  // The first round opens what the runtime opens once.
  for (let round = -1; round < rounds; round++) {
    for (const at of places.keys()) await once(places[(round + 1 + at) % places.length], round);
  }
  for (const { client, rig } of places) {
    client.close();
    await rig.close();
  }
  return rowsOf(group, places, what);
}

async function withChats(rig: EdgeRig, _own: WireClient, size: number): Promise<void> {
  for (let there = 1; there < size; there += 50) {
    await Promise.all(range(Math.min(50, size - there), (n) => rig.register(`other-${there + n}`)));
  }
}

async function withSockets(rig: EdgeRig, _own: WireClient, size: number): Promise<void> {
  for (let there = 1; there < size; there += 50) {
    await Promise.all(range(Math.min(50, size - there), (n) => rig.client(`other-${there + n}`)));
  }
}

/** As many leases as one chat may hold. */
const leasesPerChat = 1_000;

async function withKeys(rig: EdgeRig, client: WireClient, size: number): Promise<void> {
  for (let there = 0; there < size; there += 100) {
    await client.batch(range(100, (n) => ({ method: "state.set", params: { key: `k/${there + n}`, value: { n } } })));
  }
  for (let there = 0; there < size; there += leasesPerChat) {
    const holder = await rig.client(`holder-${there}`);
    const { self } = holder;
    for (let from = there; from < Math.min(size, there + leasesPerChat); from += 100) {
      const leases = range(100, (n) => ({ resource: `l/${from + n}`, requestId: "r", ttlMs: 3_600_000 }));
      await holder.batch(leases.map((lease) => ({ method: "leases.acquire", params: { self, ...lease } })));
    }
    holder.close();
  }
}

/** Each work once, in one of them; round -1 does not count. */
async function once(place: Place | undefined, round: number): Promise<void> {
  if (!place) return;
  for (const [name, work] of Object.entries(works)) {
    const spent = await timed(() => work(place.client, round));
    if (round >= 0) (place.times[name] ??= []).push(spent);
  }
}

function rowsOf(group: string, places: readonly Place[], what: string): Row[] {
  const p50 = (place: Place | undefined, name: string): number => sample(place?.times[name] ?? []).p50;
  const [from = 0, to = 0] = [places[0]?.size, places.at(-1)?.size];
  return Object.keys(works).map((name) => {
    const ratio = p50(places.at(-1), name) / p50(places[0], name);
    return {
      group,
      n: places.at(-1)?.times[name]?.length ?? 0,
      name: `${name}, p50`,
      figure: `${ratio.toFixed(2)} x`,
      against: `${from.toLocaleString("en")} to ${to.toLocaleString("en")} ${what}: ${places.map((place) => ms(p50(place, name))).join(", ")}`,
      goal: "at most 1.3 x",
      isReached: ratio <= 1.3,
    };
  });
}

/** Rows, alarms counted as rows, as the runtime itself counts them. */
export async function rowCounts(): Promise<Row[]> {
  const rig = await EdgeRig.open(true);
  const client = await rig.client("counted");
  const { self } = client;
  const rows: Row[] = [];
  const count = async (name: string, most: number | null, work: () => Promise<unknown>): Promise<void> => {
    await client.counted();
    await work();
    const { read, written, alarms } = await client.counted();
    rows.push({
      group: "rows",
      n: 1,
      name,
      figure: `${written + alarms} written, ${read} read`,
      against: alarms === 0 ? "no alarm set" : `${alarms} of them the alarm`,
      ...(most === null ? {} : { goal: `at most ${most} written`, isReached: written + alarms <= most }),
    });
  };
  const acquire = (resource: string): Promise<{ lease: { token: number } }> =>
    client.call("leases.acquire", { self, resource, requestId: "r" });
  await count("first lease of a chat", null, () => acquire("first"));
  let token = 0;
  await count("lease acquire", 4, async () => (token = (await acquire("second")).lease.token));
  await count("lease renew", 2, () => client.call("leases.renew", { self, resource: "second", token }));
  await count("lease release", null, () => client.call("leases.release", { self, resource: "second", token }));
  await count("unchanged heartbeat", 0, () => client.call("chats.heartbeat", { self }));
  await count("changed heartbeat", null, () => client.call("chats.heartbeat", { self, status: "busy" }));
  await count("state set", null, () => client.call("state.set", { key: "k", value: 1 }));
  await count("message send", null, () => client.call("messages.send", { self, target: { to: "all" }, body: "x" }));
  client.close();
  await rig.close();
  return [...rows, ...(await idle())];
}

/** Longer than the runtime waits before it puts an idle object to sleep. */
const idleMs = scaled(25_000, 1_000);
const pingMs = scaled(5_000, 500);

async function idle(): Promise<Row[]> {
  const rig = await EdgeRig.open(true);
  const client = await rig.client("idle");
  await client.counted();
  for (let waited = 0; waited < idleMs; waited += pingMs) {
    await new Promise((resolve) => setTimeout(resolve, pingMs));
    await client.raw("ping");
  }
  const { written, alarms, events, starts }: Counted = await client.counted();
  client.close();
  await rig.close();
  // The question itself is an event, and wakes a sleeping object.
  return [
    {
      group: "idle chat",
      n: 1,
      name: `in ${idleMs / 1_000} s with a ping each ${pingMs / 1_000} s`,
      figure: `${written + alarms} rows written, ${events - 1} events, ${starts === 0 ? "not" : "fell asleep and was"} started anew by the question`,
      against: "an hour has the same: pings are answered by the runtime",
      goal: "no row, no wake-up",
      isReached: written + alarms === 0 && events - 1 === 0,
    },
  ];
}
