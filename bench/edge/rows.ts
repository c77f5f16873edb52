import { range, scaled } from "../measure.ts";
import { freshRig } from "./edge-rig.ts";

/** Longer than the runtime waits before it puts an idle object to sleep. */
const idleMs = scaled(25_000, 1_000);
const pingMs = scaled(5_000, 500);

/** Rows that an operation writes, alarms among them, as the runtime counts them; `idle`: those of a chat that only pings. */
export async function rows() {
  const rig = await freshRig(true);
  const client = await rig.client("counted");
  const { self } = client;
  const count = async (work: () => Promise<unknown>): Promise<number> => {
    await client.counted();
    await work();
    const { written, alarms } = await client.counted();
    return written + alarms;
  };
  const acquire = (resource: string) =>
    client.call<{ lease: { token: number } }>("leases.acquire", { self, resource, requestId: "r" });
  // The first lease of a chat sets its alarm.
  await acquire("first");
  let token = 0;
  const written = {
    acquire: await count(async () => (token = (await acquire("second")).lease.token)),
    renew: await count(() => client.call("leases.renew", { self, resource: "second", token })),
    release: await count(() => client.call("leases.release", { self, resource: "second", token })),
    message: await count(() => client.call("messages.send", { self, target: { to: "all" }, body: "x" })),
    state: await count(() => client.call("state.set", { key: "k", value: 1 })),
    idle: await count(async () => {
      for (const _ of range(Math.ceil(idleMs / pingMs), (n) => n)) {
        await new Promise((resolve) => setTimeout(resolve, pingMs));
        await client.raw("ping");
      }
    }),
  };
  client.close();
  await rig.close();
  return written;
}
