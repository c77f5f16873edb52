/** What one workspace carries: an open load of mixed events rises until answers come late. */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { descendantsOf } from "../../scripts/local-edge.ts";
import { median } from "../tasks/sizes.ts";
import { scaled } from "../size.ts";
import { ms, perSecond, range, ratio, sample, type Row } from "../figures.ts";
import { EdgeRig } from "./edge-rig.ts";
import type { WireClient } from "./wire-client.ts";

const chats = scaled(1_000, 20);
const stepMs = scaled(4_000, 500);
const firstRate = 200;
const stepFactor = 1.4;
/** Above this an answer is late. */
const maxP99Ms = 250;
/** What is offered must also be done. */
const minShareDone = 0.95;

type Event = (client: WireClient, n: number) => Promise<unknown>;

const heartbeat: Event = (client, n) => client.call("chats.heartbeat", { self: client.self, progress: `p${n}` });
const submit: Event = (client, n) => client.call("tasks.submit", { tasks: [{ type: "task", payload: { n } }] });

async function claimAndAck(client: WireClient, n: number): Promise<void> {
  const { self } = client;
  const { claims } = await client.call<Claims>("tasks.claim", { self, requestId: `r${n}`, limit: 1 });
  const [held] = claims;
  if (held) await client.call("tasks.ack", { self, task: held.task, claim: held.claim, result: n });
}

interface Claims {
  readonly claims: readonly { readonly task: number; readonly claim: number }[];
}

/** Of twenty events of a team at work: eight heartbeats, four tasks from submit to end (12 calls), the rest once each. */
const mix: readonly Event[] = [
  ...range(4, () => [heartbeat, submit, heartbeat, claimAndAck]).flat(),
  (client, n) =>
    client.call("messages.send", { self: client.self, target: { to: "chat", chat: chatName(n % chats) }, body: n }),
  (client) => client.call("messages.pull", { self: client.self }),
  (client, n) => client.call("state.set", { key: `k${n % 1_000}`, value: n }),
  (client, n) => client.call("state.get", { key: `k${n % 1_000}` }),
];
/** claimAndAck makes two. */
const callsPerMix = mix.length + 4;

function chatName(n: number): string {
  return `chat-${n}`;
}

export async function capacity(): Promise<Row[]> {
  const rig = await EdgeRig.open(false);
  // The clients of the bench do not ping.
  await rig.set({ chatTtlMs: 600_000, maxConcurrentChats: 10_000 });
  const clients: WireClient[] = [];
  try {
    while (clients.length < chats) {
      const more = range(Math.min(50, chats - clients.length), (n) =>
        rig.client(chatName(clients.length + n), { capacity: 10 }),
      );
      clients.push(...(await Promise.all(more)));
    }
    const mixed = await risen(clients, mix);
    const beats = await risen(clients, [heartbeat]);
    const empty = await closedRate(clients, "empty");
    const bare = await closedRate(clients, "row");
    const callsPerEvent = callsPerMix / mix.length;
    const calls = callsPerEvent * mixed.sustained;
    const beside = `empty frames ${perSecond(empty.rate)} (${ratio(calls / empty.rate)}), frames with one bare row ${perSecond(bare.rate)} (${ratio(calls / bare.rate)})`;
    return [
      row(mixed.count, `mixed calls of ${chats} connected chats, p99 at most ${maxP99Ms} ms`, perSecond(calls), beside),
      row(
        mixed.count,
        "processor time of the runtime for a mixed call",
        `${Math.round(mixed.cpuUs / callsPerEvent)} µs: ${perSecond(1e6 / (mixed.cpuUs / callsPerEvent))} of it`,
        `a heartbeat ${Math.round(beats.cpuUs)} µs, an empty frame ${Math.round(empty.cpuUs)} µs, a frame with one bare row ${Math.round(bare.cpuUs)} µs`,
      ),
      row(mixed.count, "p50 / p99 at a rate of mixed events", mixed.steps.join("; ")),
      row(
        beats.count,
        "heartbeats alone",
        perSecond(beats.sustained),
        `so chats that do nothing else: ${chatCount(beats.sustained, 10)} at one each 10 s, ${chatCount(beats.sustained, 30)} at 30 s`,
      ),
      row(beats.count, "p50 / p99 at a rate of heartbeats", beats.steps.join("; ")),
      ...(await storageRows(rig, clients)),
    ];
  } finally {
    for (const client of clients) client.close();
    await rig.close();
  }
}

function row(n: number, name: string, figure: string, against?: string): Row {
  return { group: "capacity", n, name, figure, ...(against === undefined ? {} : { against }) };
}

function chatCount(rate: number, seconds: number): string {
  return (Math.round((rate * seconds) / 1_000) * 1_000).toLocaleString("en");
}

interface Risen {
  /** The highest rate of events a second that was done in time. */
  readonly sustained: number;
  /** Of one event, in all steps. */
  readonly cpuUs: number;
  readonly steps: readonly string[];
  readonly count: number;
}

async function risen(clients: readonly WireClient[], events: readonly Event[]): Promise<Risen> {
  const steps: string[] = [];
  let sustained = 0;
  let failed = 0;
  // The first step opens what the runtime opens once. Other work of the machine may spoil a step: it has another try.
  await offered(clients, events, firstRate / 2);
  const cpuBefore = runtimeCpuUs();
  let count = 0;
  for (let rate = firstRate; failed < 2;) {
    const { times, refused, done } = await offered(clients, events, rate);
    const { p50, p99 } = sample(times);
    const all = times.length + refused;
    count += all;
    const shed = refused === 0 ? "" : `, ${((100 * refused) / all).toFixed(0)} % refused`;
    steps.push(`${perSecond(rate)}: ${ms(p50)} / ${ms(p99)}${shed}`);
    const isLate = p99 > maxP99Ms || refused > 0 || done < all * minShareDone;
    failed = isLate ? failed + 1 : 0;
    if (!isLate) [sustained, rate] = [rate, rate * stepFactor];
  }
  return { sustained, cpuUs: (runtimeCpuUs() - cpuBefore) / count, steps, count };
}

/** Ticks of a hundredth of a second, as proc(5) has them. */
const usPerTick = 10_000;

/** Processor time of all workerd below this process; NaN where there is no /proc. */
function runtimeCpuUs(): number {
  if (process.platform !== "linux") return NaN;
  const stats = descendantsOf(process.pid).map((pid) => readFileSync(`/proc/${pid}/stat`, "utf8"));
  const times = stats
    .filter((text) => text.includes("(workerd)"))
    .map((text) => text.slice(text.lastIndexOf(")")).split(" "));
  return times.reduce((sum, fields) => sum + usPerTick * (Number(fields[12]) + Number(fields[13])), 0);
}

interface Offered {
  /** From the moment when each should have begun, in ms: a late start counts. */
  readonly times: number[];
  readonly refused: number;
  /** Within the time of the step. */
  readonly done: number;
}

async function offered(clients: readonly WireClient[], events: readonly Event[], rate: number): Promise<Offered> {
  const times: number[] = [];
  let [refused, done] = [0, 0];
  const startedAt = performance.now();
  const count = Math.floor((rate * stepMs) / 1_000);
  const underWay: Promise<void>[] = [];
  const begin = async (n: number): Promise<void> => {
    const dueAt = startedAt + (n * 1_000) / rate;
    const [client, event] = [clients[n % clients.length], events[n % events.length]];
    if (!client || !event) throw new Error("no chat or no event");
    try {
      await event(client, number());
      times.push(performance.now() - dueAt);
      if (performance.now() < startedAt + stepMs + maxP99Ms) done += 1;
    } catch {
      refused += 1;
    }
  };
  for (let n = 0; n < count; await pause(1)) {
    const dueBy = Math.min(count, ((performance.now() - startedAt) * rate) / 1_000);
    for (; n < dueBy; n++) underWay.push(begin(n));
  }
  await Promise.all(underWay);
  return { times, refused, done };
}

let numbered = 0;
function number(): number {
  return (numbered += 1);
}

/** Frames a second, one under way on each connection: the median of three. */
async function closedRate(clients: readonly WireClient[], text: string): Promise<{ rate: number; cpuUs: number }> {
  const rates: number[] = [];
  const cpuBefore = runtimeCpuUs();
  let all = 0;
  for (let round = 0; round < 3; round++) {
    const [startedAt, until] = [performance.now(), performance.now() + stepMs / 2];
    let count = 0;
    const loop = async (client: WireClient): Promise<void> => {
      for (; performance.now() < until; count++) await client.raw(text);
    };
    await Promise.all(clients.map(loop));
    rates.push((1_000 * count) / (performance.now() - startedAt));
    all += count;
  }
  return { rate: median(rates), cpuUs: (runtimeCpuUs() - cpuBefore) / all };
}

/** Bytes that one of each adds, and how many reach the bound of storage in the 10 GB that an object may have. */
async function storageRows(rig: EdgeRig, [client]: readonly WireClient[]): Promise<Row[]> {
  if (!client) throw new Error("no chat");
  const count = scaled(20_000, 100);
  const many = (make: (n: number) => { method: string; params: object }) => async (): Promise<void> => {
    for (let there = 0; there < count; there += 100) await client.batch(range(100, (n) => make(there + n)));
  };
  const text = "x".repeat(200);
  const kinds: Record<string, () => Promise<unknown>> = {
    "waiting task with a payload of 200 characters": many((n) => ({
      method: "tasks.submit",
      params: { tasks: [{ type: "stored", payload: `${n} ${text}` }] },
    })),
    "key with a value of 200 characters, and its newest change": many((n) => ({
      method: "state.set",
      params: { key: `stored/${n}`, value: text },
    })),
    "message of 200 characters": many((n) => ({
      method: "messages.send",
      params: { self: client.self, target: { to: "chat", chat: chatName(n % chats) }, body: text },
    })),
  };
  const rows: Row[] = [];
  for (const [name, add] of Object.entries(kinds)) {
    const before = await storedBytes(client);
    await add();
    const each = ((await storedBytes(client)) - before) / count;
    const fitting = Math.round(usableBytes / each / 100_000) / 10;
    rows.push(
      row(count, `storage of a ${name}`, `${Math.round(each)} bytes`, `${fitting} million fill four fifths of 10 GB`),
    );
  }
  return rows;
}

const usableBytes = 0.8 * 10e9;

async function storedBytes(client: WireClient): Promise<number> {
  return (await client.call<{ storage: { bytes: number } }>("health", {})).storage.bytes;
}
