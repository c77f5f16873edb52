import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { aChat } from "../../bench/stress/wire.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";

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
  await Promise.all(
    sockets.map((socket) => socket.frame([{ method: "state.watch", params: { watch: "w", prefix: "k" } }])),
  );
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
