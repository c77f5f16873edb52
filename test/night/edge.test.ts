import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { overload } from "../../bench/stress/overload.ts";
import { targets, underAttack } from "../../bench/stress/attack-run.ts";
import { aChat } from "../../bench/stress/wire.ts";

/** What holds on every machine; how fast the neighbour is, and other attacks, `npm run stress -- neighbour` measures. */
it("under frames with large answers the coordinator's memory is bounded, and its neighbour is answered @night", async () => {
  const edge = await EdgeRuntime.open();
  // Below what a slow machine does, and above what the neighbour needs.
  await edge.call("settings.set", { settings: { maxOperationsPerSecond: 1_000 } });
  const attacked = await underAttack(edge, edge.folder, "answers", 3_000);
  expect(attacked.isHanging).toBe(false);
  // Twice the target: when garbage is collected is the runtime's choice.
  expect(attacked.memory).toBeLessThan(2 * targets.memoryMb * 1e6);
  expect(attacked.tally.refused["too_large"]).toBeGreaterThan(0);
  expect(attacked.neighbourRefused).toEqual({});
});

it("offered four times what it can, it refuses submits, loses none that it accepted, and refuses no heartbeat @night", async () => {
  const { produced, lost, refusedHeartbeats } = await overload(await EdgeRuntime.open(), 4, 3_000);
  expect(produced.accepted.length).toBeGreaterThan(0);
  expect(Object.keys(produced.refused)).toEqual(["overloaded"]);
  expect(lost).toBe(0);
  expect(refusedHeartbeats).toEqual([]);
});

const chats = 50;

/** Counted from the start of the object, which a hibernation ends. */
async function rowsSinceStart(edge: EdgeRuntime): Promise<number> {
  const { samples } = await edge.call("metrics", {});
  return samples.find(({ name }) => name === "shim_rows_written_total")?.value ?? 0;
}

it("a workspace whose chats only ping and watch hibernates within 15 s, and keeps their connections @night", async () => {
  const edge = await EdgeRuntime.open();
  const workspace = `${edge.url}/v1/workspaces/${edge.workspace}`;
  const all = Array.from({ length: chats }, (_, n) => aChat(workspace, edge.adminToken, "m1", `c${n}`));
  const sockets = (await Promise.all(all)).map(({ socket }) => socket);
  const watch = [{ method: "state.watch", params: { watch: "w", prefix: "k" } }];
  await Promise.all(sockets.map((socket) => socket.frame(watch)));
  // The hint of the second write waits for a second.
  for (const value of [1, 2]) await edge.call("state.set", { key: "k", value });
  expect(await rowsSinceStart(edge)).toBeGreaterThan(chats);
  for (let seconds = 0; seconds < 15; seconds++) {
    for (const socket of sockets) socket.ping();
    await pause(1_000);
  }
  expect(await rowsSinceStart(edge)).toBeLessThan(chats);
  expect(await edge.call("health", {})).toMatchObject({ sockets: chats, chats });
  for (const socket of sockets) socket.close();
});
