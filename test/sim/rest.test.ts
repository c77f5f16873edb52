import { expect, it } from "vitest";
import { World } from "./days.ts";
import { calm } from "./faults.ts";
import { comeToRest } from "./rest.ts";

const chats = 10;
/** So long that clients come to their longest wait before they try again. */
const cutOffMs = 300_000;

async function runFor({ sim }: World, ms: number): Promise<void> {
  const until = sim.now + ms;
  while (await sim.step(until));
  sim.now = until;
}

/** Chats of which the coordinator has heard nothing for so long that they count as gone. */
async function cutOffWorld(seed: number): Promise<World> {
  const world = new World(seed);
  world.host.weather = calm;
  for (let index = 0; index < chats; index++) world.spawn(index);
  await runFor(world, 10_000);
  for (const client of world.clients) {
    client.isCut = true;
    client.socket?.breakOff();
  }
  await runFor(world, cutOffMs);
  return world;
}

it("a chat is no violation while its client waits to try again", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const world = await cutOffWorld(seed);
    await comeToRest(world);
    world.host.sql.close();
  }
});

it("a chat that runs and does not come back in time is a violation", async () => {
  const world = await cutOffWorld(1);
  const away = [...world.clients].find(({ identity }) => world.host.statusOf(identity.chat) === "offline");
  away?.edge.close();
  await expect(comeToRest(world)).rejects.toThrow(`${away?.name} runs, and counts as gone`);
  world.host.sql.close();
});
