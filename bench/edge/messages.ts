/** From the start of a send to the text in the receiver's hands: from the hint where that has it, as clients do, else pulled; against Redis pub/sub, which keeps nothing. */
import { ms, sample, type Row } from "../figures.ts";
import { scaled } from "../size.ts";
import type { EdgeRig } from "./edge-rig.ts";
import type { Peers } from "./redis.ts";

const rounds = scaled(300);
const text = "x".repeat(200);

interface Received {
  readonly id: number;
  readonly body: string;
}

function both(times: readonly number[]): string {
  const { p50, p99 } = sample(times);
  return `${ms(p50)} / ${ms(p99)}`;
}

export async function messageLatency(rig: EdgeRig, { always: redis }: Peers): Promise<Row[]> {
  const [from, to] = [await rig.client("sender"), await rig.client("receiver")];
  await to.call("messages.subscribe", { self: to.self, pattern: "bench" });
  let fromHints = 0;
  const [publisher, subscriber] = [redis.connect(), redis.connect()];
  await subscriber.subscribe("messages");
  const times: Record<"ours" | "pulled" | "theirs", number[]> = { ours: [], pulled: [], theirs: [] };
  for (let round = 0; round < rounds; round++) {
    times.ours.push(await ours(text));
    // Too long for a hint.
    times.pulled.push(await ours(text.repeat(25)));
    times.theirs.push(await theirs());
  }
  for (const one of [from, to]) one.close();
  for (const one of [publisher, subscriber]) one.disconnect();
  const [a, b] = [sample(times.ours), sample(times.theirs)];
  const ratio = (share: "p50" | "p99"): string => (a[share] / b[share]).toFixed(2);
  return [
    {
      group: "messages",
      n: a.n,
      name: "from send to read, p50 / p99",
      figure: `${ms(a.p50)} / ${ms(a.p99)}`,
      against: `Redis pub/sub (nothing kept) ${ms(b.p50)} / ${ms(b.p99)}: ${ratio("p50")} x / ${ratio("p99")} x; ${fromHints} of ${rounds} came with the hint; of 5,000 characters, pulled: ${both(times.pulled)}`,
    },
  ];

  async function ours(body: string): Promise<number> {
    const told = new Promise<string>((resolve) => (to.onNotification = resolve));
    const startedAt = performance.now();
    const sent = from.call("messages.send", {
      self: from.self,
      target: { to: "topic", topic: "bench" },
      body,
    });
    const { params } = JSON.parse(await told) as { params: { message?: Received } };
    if (params.message) fromHints += 1;
    const messages = params.message
      ? [params.message]
      : (await to.call<{ messages: Received[] }>("messages.pull", { self: to.self })).messages;
    if (messages.length !== 1 || messages[0]?.body !== body) throw new Error("it is not the message that was sent");
    const took = performance.now() - startedAt;
    await sent;
    await to.call("messages.ack", { self: to.self, ids: messages.map(({ id }) => id) });
    return took;
  }

  async function theirs(): Promise<number> {
    const told = new Promise<void>((resolve) => subscriber.once("message", () => resolve()));
    const startedAt = performance.now();
    await publisher.publish("messages", text);
    await told;
    return performance.now() - startedAt;
  }
}
