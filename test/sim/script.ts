import * as fc from "fast-check";
import { step } from "../rules/sync-model.test.ts";
import type { Bug } from "./bugs.ts";
import { acts } from "./client/acts.ts";
import type { Client } from "./client/client.ts";
import type { Machine } from "./client-platform.ts";
import { outcomeOf, type Outcome } from "./days.ts";
import { chatIndexOf, Faults, calm } from "./faults.ts";
import { comeToRest } from "./rest.ts";
import { Rng } from "./sim.ts";
import { World } from "./world.ts";

/** A small world that obeys a list of commands, which fast-check makes, and shrinks when it breaks a rule. */

const chats = 3;
const machines = 2;
const who = fc.nat(chats - 1);
const machine = fc.nat(machines - 1);
const ms = fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 1, max: 60_000 }));

/** Plain data, so that a list can be printed and run again. */
export const command = fc.oneof(
  step(24, "act", { who, what: fc.constantFrom(...acts.map(({ name }) => name)), seed: fc.nat(999) }),
  step(12, "wait", { ms }),
  step(2, "pause", { who, ms }),
  step(2, "cut", { who, ms }),
  step(2, "crash", { who, isSeen: fc.boolean() }),
  step(2, "break", { who }),
  step(2, "restart", { who }),
  step(2, "suspend", { machine, ms, stepMs: fc.integer({ min: -300, max: 300 }) }),
  step(2, "set-wall", { machine, ms: fc.integer({ min: -600_000, max: 600_000 }) }),
  step(1, "deploy"),
  step(1, "lose-alarm"),
  step(1, "lose-next"),
  step(1, "lose-next-reply"),
  step(2, "copy-next", { ms }),
  step(2, "delay-next", { ms }),
);
export type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

/** Runs each command at once. Time passes only in `wait`, and at the end, when everything comes to rest. */
export function play(
  commands: readonly Command[],
  bug: Bug | null = null,
  trace?: (line: string) => void,
): Promise<Outcome> {
  const world = new World(1, bug, { ...calm }, { machines, chats });
  const faults = new Faults(world, {
    later: (index, inMs) => world.sim.later(inMs, "process starts", () => void world.spawn(index)),
    beside: () => undefined,
  });
  const work = async (): Promise<void> => {
    for (let index = 0; index < chats; index++) world.spawn(index);
    await pass(world, 1_000);
    for (const one of commands) {
      world.sim.note(() => JSON.stringify(one));
      await perform(world, faults, one);
      await world.sim.settle();
    }
    await comeToRest(world);
  };
  return outcomeOf(world, work, trace);
}

async function pass({ sim, oracle }: World, waitMs: number): Promise<void> {
  const until = sim.now + waitMs;
  while (await sim.step(until));
  sim.now = until;
  oracle.full.run();
}

async function perform(world: World, faults: Faults, one: Command): Promise<void> {
  const { host, network } = world;
  if (one.kind === "wait") await pass(world, one.ms);
  else if (one.kind === "restart") world.spawn(one.who);
  else if (one.kind === "suspend") faults.suspend(world.machines[one.machine] as Machine, one.ms, one.stepMs);
  else if (one.kind === "set-wall") faults.setWall(world.machines[one.machine] as Machine, one.ms);
  else if (one.kind === "deploy") host.deploy();
  else if (one.kind === "lose-alarm") host.alarm.lose();
  else if (one.kind === "lose-next") network.next = { isLost: true };
  else if (one.kind === "lose-next-reply") network.next = { isReplyLost: true };
  else if (one.kind === "copy-next") network.next = { copyAfterMs: one.ms };
  else if (one.kind === "delay-next") network.next = { delayMs: one.ms };
  else {
    // The newest process of the chat, where it has two.
    const client = [...world.clients].findLast((other) => chatIndexOf(other) === one.who);
    if (client) performBy(client, faults, one);
  }
}

type ByClient = Extract<Command, { readonly kind: "act" | "pause" | "cut" | "crash" | "break" }>;

function performBy(client: Client, faults: Faults, one: ByClient): void {
  if (one.kind === "pause") faults.pause(client, one.ms);
  else if (one.kind === "cut") faults.cut(client, one.ms);
  else if (one.kind === "crash") faults.crash(client, one.isSeen, one.isSeen);
  else if (one.kind === "break") client.socket?.breakOff();
  else if (client.isRunning && client.isUp && !client.isLeaving) {
    acts.find(({ name }) => name === one.what)?.run(client, new Rng(one.seed));
  }
}
