/** Submitting, one at a time and many at once, against `add` and `addBulk`. All take turns. */
import { ms, perSecond, range, ratio, sample, timed, type Row } from "../figures.ts";
import type { EdgeRig } from "../edge/edge-rig.ts";
import type { Peers } from "../edge/redis.ts";
import type { WireClient } from "../edge/wire-client.ts";
import { Bull } from "./bull.ts";
import { freshRig, newTasks } from "./fresh-rig.ts";
import { perSubmit } from "./sizes.ts";
import { scaled } from "../size.ts";

type Subjects = Readonly<Record<string, (n: number) => Promise<unknown>>>;

export async function submitting(peers: Peers): Promise<Row[]> {
  const rig = await freshRig();
  const client = await rig.client("submitter");
  const [always, everysec] = [await Bull.open(peers.always, "submit"), await Bull.open(peers.everysec, "submit")];
  try {
    return [
      ...(await oneAtATime(client, always, everysec)),
      ...(await concurrent(rig, always, everysec)),
      ...(await bulk(rig, client, always, everysec)),
    ];
  } finally {
    client.close();
    await Promise.all([always.close(), everysec.close(), rig.close()]);
  }
}

async function inTurns(rounds: number, subjects: Subjects): Promise<(name: string) => number[]> {
  const times = new Map<string, number[]>(Object.keys(subjects).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, work] of Object.entries(subjects)) times.get(name)?.push(await timed(() => work(round)));
  }
  return (name) => times.get(name) ?? [];
}

async function oneAtATime(client: WireClient, always: Bull, everysec: Bull): Promise<Row[]> {
  const times = await inTurns(scaled(1_000), {
    ours: () => client.call("tasks.submit", { tasks: newTasks("one", 1) }),
    always: (n) => always.add(n),
    everysec: (n) => everysec.add(n),
  });
  const both = (name: string): string => {
    const { p50, p99 } = sample(times(name));
    return `${ms(p50)} / ${ms(p99)}`;
  };
  return [
    {
      group: "submit",
      n: times("ours").length,
      name: "one at a time, p50 / p99",
      figure: both("ours"),
      against: `BullMQ, always: ${both("always")}; everysec: ${both("everysec")}`,
    },
  ];
}

/** Clients of ours that submit at the same time, each one after the other; of BullMQ as many `add` under way. */
const submitters = 50;

async function concurrent(rig: EdgeRig, always: Bull, everysec: Bull): Promise<Row[]> {
  const clients = await Promise.all(range(submitters, (n) => rig.client(`submitter-${n}`)));
  const times = await inTurns(scaled(40), {
    ours: () => Promise.all(clients.map((client) => client.call("tasks.submit", { tasks: newTasks("many", 1) }))),
    always: () => Promise.all(range(submitters, (n) => always.add(n))),
    everysec: () => Promise.all(range(submitters, (n) => everysec.add(n))),
  });
  for (const client of clients) client.close();
  const rate = (name: string): number => (submitters * 1_000) / sample(times(name)).p50;
  const against = (peer: string): string => `${perSecond(rate(peer))}: ${ratio(rate("ours") / rate(peer))}`;
  return [
    {
      group: "submit",
      n: times("ours").length,
      name: `${submitters} at a time`,
      figure: perSecond(rate("ours")),
      against: `BullMQ, always: ${against("always")}; everysec: ${against("everysec")}`,
    },
  ];
}

async function bulk(rig: EdgeRig, client: WireClient, always: Bull, everysec: Bull): Promise<Row[]> {
  const times = await inTurns(scaled(40), {
    frames: () => client.call("tasks.submit", { tasks: newTasks("bulk", perSubmit) }),
    bodies: () => rig.submit(newTasks("bulk", perSubmit)),
    always: () => always.addBulk(perSubmit),
    everysec: () => everysec.addBulk(perSubmit),
  });
  const rate = (name: string): number => {
    const all = times(name);
    return (all.length * perSubmit * 1_000) / all.reduce((sum, time) => sum + time, 0);
  };
  const against = (name: string): string => {
    const of = (peer: string): string => `${perSecond(rate(peer))}: ${ratio(rate(name) / rate(peer))}`;
    return `BullMQ, always: ${of("always")}; everysec: ${of("everysec")}`;
  };
  const times2 = rate("frames") / rate("always");
  return [
    {
      group: "submit",
      n: times("frames").length,
      name: `frames of ${perSubmit}`,
      figure: perSecond(rate("frames")),
      against: against("frames"),
      goal: "at least 2 x always",
      isReached: times2 >= 2,
    },
    {
      group: "submit",
      n: times("bodies").length,
      name: `HTTP bodies of ${perSubmit}`,
      figure: perSecond(rate("bodies")),
      against: against("bodies"),
    },
  ];
}
