/** Whether an operation costs the same in a small and in a large workspace: the engine in memory, both in turns. */
import type { InputOf } from "../../src/contract/operations.ts";
import { median } from "../tasks/sizes.ts";
import { scaled } from "../size.ts";
import { range, ratio, type Row } from "../figures.ts";
import { corners, type Corner } from "./flat-corners.ts";
import { MemoryEngine } from "./memory-engine.ts";

interface Size {
  readonly chats: number;
  readonly tasks: number;
  readonly keys: number;
  readonly messages: number;
}

const small: Size = { chats: 100, tasks: 1_000, keys: 1_000, messages: 1_000 };
const large: Size = {
  chats: scaled(9_990, 150),
  tasks: scaled(1_000_000, 2_000),
  keys: scaled(990_000, 2_000),
  messages: scaled(90_000, 2_000),
};
const rounds = scaled(400);
const cornerRounds = scaled(40);
/** Calls of one round, whose mean counts. */
const perRound = 5;
const maxGrowth = 1.3;
const lanes = 50;

/** A workspace of one size, and what the measured chat has in it. */
interface FilledWorkspace {
  readonly engine: MemoryEngine;
  readonly size: Size;
  readonly self: Self;
}

interface Self {
  readonly chat: string;
  readonly incarnation: number;
}

function filled(size: Size): FilledWorkspace {
  const engine = new MemoryEngine();
  const settings = { maxConcurrentChats: 10_000, maxKeys: 1_000_000, maxTasks: 5_000_000, chatTtlMs: 600_000 };
  engine.call("settings.set", { settings: { ...settings, maxStateChars: 1_000_000_000 } });
  const self = engine.register("own", { capacity: 10 });
  for (let n = 1; n < size.chats; n++) {
    const other = engine.register(`chat-${n}`, { capacity: 10, session: `session-${n}` });
    engine.call("leases.acquire", { self: other, resource: `lease-${n}`, requestId: "r", ttlMs: 3_600_000 });
  }
  for (let from = 0; from < size.tasks; from += 500) {
    const count = Math.min(500, size.tasks - from);
    engine.call("tasks.submit", { tasks: range(count, (n) => taskOf(from + n)) });
  }
  for (let from = 0; from < size.keys; from += 100) {
    const writes = range(100, (n) => ({ op: "set" as const, key: `key/${from + n}`, value: { n } }));
    engine.call("state.update", { writes });
  }
  for (let n = 0; n < size.messages; n++) {
    // Within the time of one message of every twentieth to this chat.
    const target =
      n % 20 === 0 ? { to: "chat" as const, chat: "own" } : { to: "topic" as const, topic: `topic-${n % 10}` };
    const { id } = engine.call("messages.send", { self: { chat: "chat-1", incarnation: 1 }, target, body: { n } });
    if (n % 20 === 0) engine.call("messages.ack", { self, cursor: id });
  }
  return { engine, size, self };
}

function taskOf(n: number): InputOf<"tasks.submit">["tasks"][number] {
  return { type: `type-${n % lanes}`, payload: { n }, priority: n % 5 };
}

type Work = (place: FilledWorkspace, n: number) => unknown;

function claimed({ engine, self }: FilledWorkspace, n: number, types?: string[]): { task: number; claim: number } {
  const { claims } = engine.call("tasks.claim", { self, requestId: `c${n}`, limit: 1, ...(types ? { types } : {}) });
  const [claim] = claims;
  if (!claim) throw new Error("no task came");
  return { task: claim.task, claim: claim.claim };
}

/** A key that is there, another one in each call. */
function someKey({ size }: FilledWorkspace, n: number): string {
  return `key/${(n * 7_919) % size.keys}`;
}

const works: Readonly<Record<string, Work>> = {
  "heartbeat with news": ({ engine, self }, n) => engine.call("chats.heartbeat", { self, progress: `p${n}` }),
  "heartbeat without news": ({ engine, self }) => engine.call("chats.heartbeat", { self }),
  "register a chat, and unregister it": ({ engine }) => {
    const self = engine.register("passing");
    engine.call("chats.unregister", { self });
  },
  "connection lost": ({ engine }) => {
    engine.register("lost");
    engine.disconnect("lost");
  },
  "chats.get": ({ engine }) => engine.call("chats.get", { chat: "chat-7" }),
  "submit of one": ({ engine }, n) => engine.call("tasks.submit", { tasks: [taskOf(n)] }),
  "submit of 100": ({ engine }, n) => engine.call("tasks.submit", { tasks: range(100, (at) => taskOf(n + at)) }),
  "claim of a type, and acknowledge": (place, n) => {
    const held = claimed(place, n, [`type-${n % lanes}`]);
    place.engine.call("tasks.ack", { self: place.self, ...held, result: n });
  },
  [`claim of any of ${lanes} lanes, and release`]: (place, n) => {
    place.engine.call("tasks.release", { self: place.self, ...claimed(place, n) });
  },
  "heartbeat of a claim": (place, n) => {
    const held = claimed(place, n, [`type-${n % lanes}`]);
    place.engine.call("tasks.heartbeat", { self: place.self, ...held, progress: { percent: n % 100 } });
    place.engine.call("tasks.ack", { self: place.self, ...held, result: n });
  },
  "tasks.get": ({ engine, size }, n) => engine.call("tasks.get", { task: 1 + ((n * 7_919) % size.tasks) }),
  dispatch: ({ engine }) => engine.dispatch(),
  "state.get": (place, n) => place.engine.call("state.get", { key: someKey(place, n) }),
  "state.set of an existing key": (place, n) =>
    place.engine.call("state.set", { key: someKey(place, n), value: { n } }),
  "state.set of a new key, and delete": ({ engine }, n) => {
    engine.call("state.set", { key: `new/${n}`, value: n });
    engine.call("state.delete", { key: `new/${n}` });
  },
  "state.list of a page": ({ engine }) => engine.call("state.list", { prefix: "key/5", limit: 20 }),
  "state.changes, newest": ({ engine }) => engine.call("state.changes", { after: newestRevision(engine), prefix: "" }),
  "lease acquire and release": ({ engine, self }, n) => {
    const granted = engine.call("leases.acquire", { self, resource: "own", requestId: `l${n}` });
    if (granted.state === "granted")
      engine.call("leases.release", { self, resource: "own", token: granted.lease.token });
  },
  "lease check": ({ engine }) => engine.call("leases.check", { resource: "lease-7", token: 1 }),
  "message to a chat, pull and acknowledge": ({ engine, self }, n) => {
    const sender = { chat: "chat-1", incarnation: 1 };
    const { id } = engine.call("messages.send", { self: sender, target: { to: "chat", chat: "own" }, body: n });
    engine.call("messages.pull", { self });
    engine.call("messages.ack", { self, cursor: id });
  },
  "message to a topic": ({ engine, self }, n) =>
    engine.call("messages.send", { self, target: { to: "topic", topic: "topic-3" }, body: n }),
  "all due times": ({ engine }) => engine.nextDue(),
  "alarm with one expired key": ({ engine }, n) => {
    engine.call("state.set", { key: `expiring/${n}`, value: n, ttlMs: 1_000 });
    engine.now += 1_000;
    engine.ring();
  },
};

function newestRevision(engine: MemoryEngine): number {
  const [row] = engine.sql.all<{ revision: number }>("SELECT max(revision) AS revision FROM changes");
  return row?.revision ?? 0;
}

export async function flat(): Promise<Row[]> {
  const places = [small, large].map(filled);
  const rows: Row[] = [];
  for (const [name, work] of Object.entries(works)) {
    rows.push(
      rowOf(
        name,
        rounds,
        inTurns(
          rounds,
          places.map((place) => (n: number) => work(place, n)),
        ),
      ),
    );
  }
  for (const { engine } of places) engine.close();
  return rows;
}

export async function flatCorners(): Promise<Row[]> {
  return corners.map((corner) => cornerRow(corner));
}

function cornerRow({ name, small: few, large: many, prepare }: Corner): Row {
  const places = [few, many].map(prepare);
  const row = rowOf(
    `${name}: ${few.toLocaleString("en")} and ${many.toLocaleString("en")}`,
    cornerRounds,
    inTurns(
      cornerRounds,
      places.map(({ work }) => work),
    ),
  );
  for (const { engine } of places) engine.close();
  return row;
}

/** @returns the median µs of one call of each */
function inTurns(count: number, works: readonly ((n: number) => unknown)[]): number[] {
  const times: number[][] = works.map(() => []);
  for (let round = -3; round < count; round++) {
    for (const [at, work] of works.entries()) {
      const before = performance.now();
      for (let n = 0; n < perRound; n++) work(round * perRound + n + 1_000);
      if (round >= 0) times[at]?.push((1_000 * (performance.now() - before)) / perRound);
    }
  }
  return times.map(median);
}

function rowOf(name: string, n: number, [few = NaN, many = NaN]: readonly number[]): Row {
  const growth = many / few;
  return {
    group: "flat",
    n,
    name,
    figure: ratio(growth),
    against: `${few.toFixed(1)} and ${many.toFixed(1)} µs`,
    goal: `at most ${maxGrowth} x`,
    isReached: growth <= maxGrowth,
  };
}
