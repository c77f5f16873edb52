/** From the start of a send to the text in the receiver's hands: told over the socket, pulled, read; against Redis pub/sub, which keeps nothing. */
import { ms, sample, type Row } from "../figures.ts";
import type { EdgeRig } from "./edge-rig.ts";
import type { OwnRedis } from "./redis.ts";

const rounds = 300;

export async function messageLatency(rig: EdgeRig, redis: OwnRedis): Promise<Row[]> {
  const [from, to] = [await rig.client("sender"), await rig.client("receiver")];
  await to.call("messages.subscribe", { self: to.self, pattern: "bench" });
  const [publisher, subscriber] = [redis.connect(), redis.connect()];
  await subscriber.subscribe("messages");
  const times: Record<"ours" | "theirs", number[]> = { ours: [], theirs: [] };
  for (let round = 0; round < rounds; round++) {
    times.ours.push(await ours());
    times.theirs.push(await theirs());
  }
  for (const one of [from, to]) one.close();
  for (const one of [publisher, subscriber]) one.disconnect();
  const [a, b] = [sample(times.ours), sample(times.theirs)];
  const ratio = (share: "p50" | "p99"): string => (a[share] / b[share]).toFixed(2);
  return [
    {
      group: "messages",
      name: "from send to read, p50 / p99",
      figure: `${ms(a.p50)} / ${ms(a.p99)}`,
      against: `Redis pub/sub (nothing kept) ${ms(b.p50)} / ${ms(b.p99)}: ${ratio("p50")} x / ${ratio("p99")} x`,
    },
  ];

  async function ours(): Promise<number> {
    const told = new Promise<void>((resolve) => (to.onNotification = () => resolve()));
    const startedAt = performance.now();
    const sent = from.call("messages.send", {
      self: from.self,
      target: { to: "topic", topic: "bench" },
      body: "x".repeat(200),
    });
    await told;
    const { messages } = await to.call<{ messages: { id: number }[] }>("messages.pull", { self: to.self });
    const took = performance.now() - startedAt;
    await sent;
    await to.call("messages.ack", { self: to.self, cursor: messages.at(-1)?.id ?? 0 });
    return took;
  }

  async function theirs(): Promise<number> {
    const told = new Promise<void>((resolve) => subscriber.once("message", () => resolve()));
    const startedAt = performance.now();
    await publisher.publish("messages", "x".repeat(200));
    await told;
    return performance.now() - startedAt;
  }
}
