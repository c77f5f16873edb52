/** One operation after the other, with 1, 10 and 50 clients at once, against Redis with the same durability, in turn. */
import type { Redis } from "ioredis";
import Redlock from "redlock";
import { ms, sample, timed, type Row, type Sample } from "../figures.ts";
import { scaled } from "../size.ts";
import type { EdgeRig } from "./edge-rig.ts";
import type { WireClient } from "./wire-client.ts";
import type { Peers } from "./redis.ts";

/** One try of a subject by one of the clients. */
type Try = (client: number, round: number) => Promise<unknown>;

const roundsOf: Record<number, number> = { 1: scaled(400), 10: scaled(80), 50: scaled(24) };

export async function oneAtATime(rig: EdgeRig, { always: redis, everysec: rare }: Peers): Promise<Row[]> {
  const rows: Row[] = [];
  for (const clients of [1, 10, 50]) {
    const wires = await Promise.all(Array.from({ length: clients }, (_, n) => rig.client(`c${clients}-${n}`)));
    const always = Array.from({ length: clients }, () => redis.connect());
    const everysec = Array.from({ length: clients }, () => rare.connect());
    const subjects = subjectsOf(wires, always, everysec);
    const times = await inTurn(subjects, clients, roundsOf[clients] ?? 20);
    rows.push(...rowsOf(`${clients} client${clients === 1 ? "" : "s"}`, times));
    for (const wire of wires) wire.close();
    for (const one of [...always, ...everysec]) one.disconnect();
  }
  return rows;
}

function subjectsOf(wires: WireClient[], always: Redis[], everysec: Redis[]): Record<string, Try> {
  const wire = (n: number): WireClient => wires[n] as WireClient;
  const locks = always.map((client) => new Redlock([client], { retryCount: 0 }));
  return {
    empty: (n) => wire(n).raw("empty"),
    row: (n) => wire(n).raw("row"),
    heartbeat: (n, round) => wire(n).call("chats.heartbeat", { self: wire(n).self, progress: `round ${round}` }),
    unchanged: (n) => wire(n).call("chats.heartbeat", { self: wire(n).self }),
    "redis heartbeat": (n, round) => {
      const key = `chat:${n}`;
      return (
        always[n]
          ?.multi()
          .hset(key, { progress: `round ${round}` })
          .expire(key, 30)
          .exec() ?? Promise.resolve()
      );
    },
    lease: async (n, round) => {
      const { self } = wire(n);
      const resource = `lock-${n}`;
      const got = await wire(n).call<{ lease: { token: number } }>("leases.acquire", {
        self,
        resource,
        requestId: `r${round}`,
      });
      return wire(n).call("leases.release", { self, resource, token: got.lease.token });
    },
    redlock: async (n) => {
      const lock = await locks[n]?.lock(`lock-${n}`, 60_000);
      return lock?.unlock();
    },
    "state and notify": (n, round) => wire(n).call("state.set", { key: `k-${n}`, value: { round } }),
    "hset and publish": (n, round) => hsetPublish(always[n], n, round),
    "hset and publish, fsync each second": (n, round) => hsetPublish(everysec[n], n, round),
  };
}

async function hsetPublish(redis: Redis | undefined, n: number, round: number): Promise<void> {
  await redis?.multi().hset(`k-${n}`, { round }).publish("changes", `k-${n}`).exec();
}

/** All subjects have their turn in each round, so that what the machine does meanwhile meets them alike. */
async function inTurn(subjects: Record<string, Try>, clients: number, rounds: number): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>(Object.keys(subjects).map((name) => [name, []]));
  const warmUp = Math.ceil(rounds / 10);
  for (let round = 0; round < rounds + warmUp; round++) {
    for (const [name, subject] of Object.entries(subjects)) {
      const took = await Promise.all(Array.from({ length: clients }, (_, n) => timed(() => subject(n, round))));
      if (round >= warmUp) times.get(name)?.push(...took);
    }
  }
  return times;
}

function rowsOf(group: string, times: Map<string, number[]>): Row[] {
  const of = (name: string): Sample => sample(times.get(name) ?? []);
  const against = (name: string, peer: string): Row[] => {
    const [ours, theirs] = [of(name), of(peer)];
    return (["p50", "p99"] as const).map((share) => {
      const ratio = ours[share] / theirs[share];
      return {
        group,
        n: ours.n,
        name: `${name}, ${share}`,
        figure: ms(ours[share]),
        against: `${peer} ${ms(theirs[share])}: ${ratio.toFixed(2)} x; ${(ours[share] / of("empty")[share]).toFixed(2)} x an empty call, ${(ours[share] / of("row")[share]).toFixed(2)} x a bare row`,
        goal: "at most 2 x",
        isReached: ratio <= 2,
      };
    });
  };
  return [
    {
      group,
      n: of("empty").n,
      name: "empty call over the socket, p50 / p99",
      figure: `${ms(of("empty").p50)} / ${ms(of("empty").p99)}`,
    },
    {
      group,
      n: of("row").n,
      name: "bare durable row over the socket, p50 / p99",
      figure: `${ms(of("row").p50)} / ${ms(of("row").p99)}`,
    },
    ...against("heartbeat", "redis heartbeat"),
    {
      group,
      n: of("unchanged").n,
      name: "unchanged heartbeat, p50 / p99",
      figure: `${ms(of("unchanged").p50)} / ${ms(of("unchanged").p99)}`,
    },
    ...against("lease", "redlock"),
    ...against("state and notify", "hset and publish"),
    {
      group,
      n: of("hset and publish, fsync each second").n,
      name: "the same Redis with fsync each second, p50 / p99",
      figure: `${ms(of("hset and publish, fsync each second").p50)} / ${ms(of("hset and publish, fsync each second").p99)}`,
    },
  ];
}
