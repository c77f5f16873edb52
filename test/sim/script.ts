import * as fc from "fast-check";
import type { Bug } from "./bug.ts";
import { acts } from "./client/acts.ts";
import type { Client } from "./client/client.ts";
import type { Machine } from "./machine.ts";
import { Faults, placeOf } from "./faults.ts";
import { comeToRest } from "./rest.ts";
import { Rng } from "./rng.ts";
import { follow, type Outcome, watched } from "./run.ts";
import { calm } from "./weather.ts";
import { World } from "./world.ts";
import { step } from "../rules/steps.ts";

/** A small world that does what a list says: what fast-check makes, and makes smaller when it finds something. */

const chats = 3;
const machines = 2;

const who = fc.nat(chats - 1);
const machine = fc.nat(machines - 1);
const ms = fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 1, max: 60_000 }));

/** One line of a list: plain data, so that it can be printed and run again. */
export const command = fc.oneof(
  step(12, "act", { who, what: fc.constantFrom(...acts.map(({ name }) => name)), seed: fc.nat(999) }),
  step(6, "wait", { ms }),
  step(2, ["pause", "cut"], { who, ms }),
  step(1, "crash", { who, isSeen: fc.boolean() }),
  step(2, ["break", "restart"], { who }),
  step(1, "suspend", { machine, ms, stepMs: fc.integer({ min: -300, max: 300 }) }),
  step(1, "set-wall", { machine, ms: fc.integer({ min: -600_000, max: 600_000 }) }),
  step(2, ["deploy", "lose-alarm", "lose-next", "lose-next-reply"]),
  step(2, ["copy-next", "delay-next"], { ms }),
);
export type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

/** Each command is done at once; time passes only in `wait`, and at the end, when all comes to rest. */
export async function play(
  commands: readonly Command[],
  bug: Bug | null = null,
  trace?: (line: string) => void,
): Promise<Outcome> {
  const world = new World(1, bug, { ...calm }, { machines, chats });
  follow(world, trace);
  const faults = new Faults(world, {
    later: (place, inMs) => world.sim.later(inMs, "process starts", () => void world.spawn(place)),
    beside: () => undefined,
  });
  const violation = await watched(world, async () => {
    for (let place = 0; place < chats; place++) world.spawn(place);
    await pass(world, 1_000);
    for (const command of commands) await perform(world, faults, command);
    await comeToRest(world);
  });
  world.host.sql.close();
  return { violation, events: world.sim.events, counts: world.sim.counts };
}

async function pass({ sim, oracle }: World, ms: number): Promise<void> {
  const until = sim.now + ms;
  while (await sim.step(until));
  sim.now = until;
  oracle.full.run();
}

/** The process of a chat; the newest where there are two. */
function clientOf(world: World, place: number): Client | undefined {
  return [...world.clients].findLast((client) => placeOf(client) === place);
}

type Performers = {
  readonly [Name in Command["kind"]]: (
    world: World,
    faults: Faults,
    command: Extract<Command, { kind: Name }>,
  ) => void | Promise<void>;
};

/** Does something with a client, where there is one. */
function withClient<C extends { readonly who: number }>(
  work: (faults: Faults, client: Client, command: C) => void,
): (world: World, faults: Faults, command: C) => void {
  return (world, faults, command) => {
    const client = clientOf(world, command.who);
    if (client) work(faults, client, command);
  };
}

const performers: Performers = {
  act: withClient((_, client, { what, seed }) => {
    if (!client.isRunning || !client.isUp || client.isLeaving) return;
    acts.find(({ name }) => name === what)?.run(client, new Rng(seed));
  }),
  wait: (world, _, { ms }) => pass(world, ms),
  pause: withClient((faults, client, { ms }) => faults.pause(client, ms)),
  cut: withClient((faults, client, { ms }) => faults.cut(client, ms)),
  crash: withClient((faults, client, { isSeen }) => faults.crash(client, isSeen, isSeen)),
  break: withClient((_, client) => client.socket?.breakOff()),
  restart: (world, _, { who }) => void world.spawn(who),
  suspend: ({ machines }, faults, { machine, ms, stepMs }) => faults.suspend(machines[machine] as Machine, ms, stepMs),
  "set-wall": ({ machines }, faults, { machine, ms }) => faults.setWall(machines[machine] as Machine, ms),
  deploy: ({ host }) => host.deploy(),
  "lose-alarm": ({ host }) => host.alarm.lose(),
  "lose-next": ({ network }) => void (network.next = { isLost: true }),
  "lose-next-reply": ({ network }) => void (network.next = { isReplyLost: true }),
  "copy-next": ({ network }, _, { ms }) => void (network.next = { copyAfterMs: ms }),
  "delay-next": ({ network }, _, { ms }) => void (network.next = { delayMs: ms }),
};

async function perform(world: World, faults: Faults, command: Command): Promise<void> {
  world.sim.note(() => JSON.stringify(command));
  await performers[command.kind](world, faults, command as never);
  await world.sim.settle();
}
