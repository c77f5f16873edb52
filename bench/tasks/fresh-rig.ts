/** A coordinator for one part, so that no part stands on what another has left. */
import { EdgeRig } from "../edge/edge-rig.ts";
import type { WireClient } from "../edge/wire-client.ts";
import { range } from "../figures.ts";
import { payload, perSubmit } from "./sizes.ts";

export async function freshRig(isCounting = false): Promise<EdgeRig> {
  const rig = await EdgeRig.open(isCounting);
  // The clients of the bench do not ping.
  await rig.set({ chatTtlMs: 600_000 });
  return rig;
}

export function newTasks(type: string, count: number): object[] {
  return range(count, (n) => ({ type, payload: payload(n) }));
}

/** Frame by frame. */
export async function submitAll(client: WireClient, type: string, count: number): Promise<void> {
  for (let left = count; left > 0; left -= perSubmit) {
    await client.call("tasks.submit", { tasks: newTasks(type, Math.min(perSubmit, left)) });
  }
}
