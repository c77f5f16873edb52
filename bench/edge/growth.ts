/** What an operation costs while the workspace grows, and how many rows it reads and writes. */
import { ms, range, sample, type Row } from "../figures.ts";
import { Desk } from "./desk.ts";
import type { Counted, WireClient } from "./wire-client.ts";

const rounds = 200;
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
    client.call("messages.send", { self: client.self, target: { to: "all" }, body: round }),
};

export async function growth(): Promise<Row[]> {
  return [...(await overChats()), ...(await overKeys())];
}

async function overChats(): Promise<Row[]> {
  const desk = await Desk.open(false);
  await desk.set({ maxConcurrentChats: 10_000 });
  const client = await desk.client("own");
  const costs: { size: number; p50: Record<string, number>; p99: Record<string, number> }[] = [];
  let there = 1;
  for (const size of [10, 100, 1_000, 5_000]) {
    for (; there < size; there += 50)
      await Promise.all(range(Math.min(50, size - there), (n) => desk.register(`other-${there + n}`)));
    there = size;
    costs.push({ size, ...(await measure(client)) });
  }
  client.close();
  await desk.close();
  return rowsOf("growth: chats", costs, "10 to 5,000 chats");
}

async function overKeys(): Promise<Row[]> {
  const desk = await Desk.open(false);
  await desk.set({ maxKeys: 500_000 });
  const client = await desk.client("own");
  const { self } = client;
  const costs: { size: number; p50: Record<string, number>; p99: Record<string, number> }[] = [];
  let there = 0;
  for (const size of [100, 1_000, 10_000, 100_000]) {
    for (; there < size; there += 100) {
      await client.batch(range(100, (n) => ({ method: "state.set", params: { key: `k/${there + n}`, value: { n } } })));
      const leases = range(100, (n) => ({ resource: `l/${there + n}`, requestId: "r", ttlMs: 3_600_000 }));
      await client.batch(leases.map((lease) => ({ method: "leases.acquire", params: { self, ...lease } })));
    }
    costs.push({ size, ...(await measure(client)) });
  }
  client.close();
  await desk.close();
  return rowsOf("growth: keys and leases", costs, "100 to 100,000 keys and as many leases");
}

async function measure(client: WireClient): Promise<{ p50: Record<string, number>; p99: Record<string, number> }> {
  const times: Record<string, number[]> = {};
  for (let round = 0; round < rounds; round++) {
    for (const [name, work] of Object.entries(works)) {
      const startedAt = performance.now();
      await work(client, round);
      (times[name] ??= []).push(performance.now() - startedAt);
    }
  }
  const of = (share: "p50" | "p99"): Record<string, number> =>
    Object.fromEntries(Object.entries(times).map(([name, list]) => [name, sample(list)[share]]));
  return { p50: of("p50"), p99: of("p99") };
}

function rowsOf(
  group: string,
  costs: readonly { size: number; p50: Record<string, number>; p99: Record<string, number> }[],
  what: string,
): Row[] {
  const [first, last] = [costs[0], costs.at(-1)];
  return Object.keys(works).map((name) => {
    const ratio = (last?.p50[name] ?? NaN) / (first?.p50[name] ?? NaN);
    return {
      group,
      name: `${name}, p50`,
      figure: `${ratio.toFixed(2)} x`,
      against: `${what}: ${costs.map(({ p50 }) => ms(p50[name] ?? NaN)).join(", ")}`,
      goal: "at most 1.3 x",
      isReached: ratio <= 1.3,
    };
  });
}

/** Rows, alarms counted as rows, as the runtime itself counts them. */
export async function rowCounts(): Promise<Row[]> {
  const desk = await Desk.open(true);
  const client = await desk.client("counted");
  const { self } = client;
  const rows: Row[] = [];
  const count = async (name: string, most: number | null, work: () => Promise<unknown>): Promise<void> => {
    await client.counted();
    await work();
    const { read, written, alarms } = await client.counted();
    rows.push({
      group: "rows",
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
  await desk.close();
  return [...rows, ...(await idle())];
}

/** Longer than the runtime waits before it puts an idle object to sleep. */
const idleMs = 25_000;

async function idle(): Promise<Row[]> {
  const desk = await Desk.open(true);
  const client = await desk.client("idle");
  await client.counted();
  for (let waited = 0; waited < idleMs; waited += 5_000) {
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await client.raw("ping");
  }
  const { written, alarms, events, starts }: Counted = await client.counted();
  client.close();
  await desk.close();
  // The question itself is an event, and wakes a sleeping object.
  return [
    {
      group: "idle chat",
      name: `in ${idleMs / 1_000} s with a ping each 5 s`,
      figure: `${written + alarms} rows written, ${events - 1} events, ${starts === 0 ? "not" : "fell asleep and was"} started anew by the question`,
      against: "an hour has the same: pings are answered by the runtime",
      goal: "no row, no wake-up",
      isReached: written + alarms === 0 && events - 1 === 0,
    },
  ];
}
