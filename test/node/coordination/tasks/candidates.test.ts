import * as fc from "fast-check";
import { expect, it, vi } from "vitest";
import type { TaskRow } from "#src/coordination/tasks/task-rows.ts";
import { selectChat, type Candidate } from "#src/coordination/tasks/candidates.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { assignQueued, takersOf, LocalHost } from "#harness/coordinator/local-host.ts";
import { ask, minute, calm, submit, type Peer } from "#harness/coordinator/peers.ts";

const taker = takersOf(2);
const chatCount = 160;
const types = ["x", "y", "z"];

interface ChatColumns {
  readonly chat: string;
  readonly status: string;
  readonly capabilities: string;
  readonly capacity: number;
  readonly taskTypes: string;
  readonly lastAssignedAt: number | null;
}

type TaskColumns = Pick<TaskRow, "task" | "type" | "lane" | "affinity" | "state" | "chat">;

/** Assignments by the rules of dispatch, from all rows: the chat of each task. */
function expectedAssignments({ sql }: LocalHost, connected: ReadonlySet<string>): Map<number, string> {
  const tasks = sql.all<TaskColumns>("SELECT * FROM tasks ORDER BY priority DESC, task");
  const candidates = new Map<string, Candidate & { readonly types: readonly string[] }>();
  for (const row of sql.all<ChatColumns>("SELECT * FROM chats WHERE taskTypes IS NOT NULL")) {
    if (!connected.has(row.chat) || ["offline", "draining", "stuck"].includes(row.status)) continue;
    candidates.set(row.chat, {
      chat: row.chat,
      running: tasks.filter(({ chat }) => chat === row.chat).length,
      capacity: row.capacity,
      capabilities: JSON.parse(row.capabilities) as string[],
      performance: null,
      lastAssignedAt: row.lastAssignedAt,
      types: JSON.parse(row.taskTypes) as string[],
    });
  }
  const performances = new Map(
    sql
      .all<{ key: string; successRate: number; durationMs: number | null }>(
        "SELECT chat || ' ' || type AS key, successRate, durationMs FROM chat_performance",
      )
      .map(({ key, ...performance }) => [key, performance]),
  );
  const assigned = new Map<number, string>();
  for (const { task, type, lane, affinity, state } of tasks) {
    if (state !== "queued" || assigned.size === 100) continue;
    const able = [...candidates.values()]
      .filter((one) => one.types.includes("*") || one.types.includes(type))
      .map((one) => Object.assign({}, one, { performance: performances.get(`${one.chat} ${type}`) ?? null }));
    const selected = selectChat(able, { capabilities: lane.split("\n").slice(1), affinity });
    const one = candidates.get(selected?.chat ?? "");
    if (!one) continue;
    candidates.set(one.chat, { ...one, running: one.running + 1 });
    assigned.set(task, one.chat);
  }
  return assigned;
}

const anyChat = fc.nat({ max: chatCount - 1 });
const anyAbilities = fc.record({
  capacity: fc.integer({ min: 0, max: 3 }),
  capabilities: fc.subarray(["web", "db"]),
  taskTypes: fc.oneof(fc.subarray(["*", ...types], { minLength: 1 }), fc.constant(["x"])),
});
const anyTask = fc.record({
  type: fc.constantFrom("x", "x", ...types),
  priority: fc.integer({ min: 4, max: 5 }),
  capabilities: fc.oneof(fc.constant<string[]>([]), fc.subarray(["web", "db"])),
  affinity: fc.oneof(
    fc.constant(undefined),
    anyChat.map((n) => `c${n}`),
  ),
});
const anyStep = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("submit" as const), tasks: fc.array(anyTask, { minLength: 1 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("crowd" as const), count: fc.integer({ min: 30, max: 120 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom("ack" as const, "nack" as const, "release" as const),
      chats: fc.uniqueArray(anyChat, { maxLength: 40 }),
      ms: fc.constantFrom(0, 100, 3_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("again" as const), chat: anyChat, abilities: anyAbilities }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("stuck" as const, "idle" as const, "drain" as const, "disconnect" as const, "end" as const),
      chat: anyChat,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(-2_000, 500, minute) }) },
);
type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never;

class Crowd {
  readonly host: LocalHost;
  readonly hands: Peer[] = [];
  readonly #connected = new Set<string>();

  constructor(host: LocalHost) {
    this.host = host;
  }

  async join(n: number, abilities: object): Promise<void> {
    this.hands[n] = await taker(this.host, `c${n}`, abilities);
    this.#connected.add(`c${n}`);
  }

  /** One dispatch; fails unless it assigns what all rows together ask for. */
  dispatch(): void {
    const expected = expectedAssignments(this.host, this.#connected);
    assignQueued(this.host);
    const assigned = [...expected.keys()].map((task) =>
      this.host.sql.all("SELECT chat FROM tasks WHERE task = ?", task).map((row) => [task, row]),
    );
    expect(assigned).toEqual([...expected].map(([task, chat]) => [[task, { chat }]]));
  }

  async do(step: Step): Promise<void> {
    const { host } = this;
    if (step.kind === "submit") await submit(host, ...step.tasks);
    else if (step.kind === "crowd") await submit(host, ...Array.from({ length: step.count }, () => ({ type: "x" })));
    else if (step.kind === "again") await this.join(step.chat, step.abilities);
    else if (step.kind === "wait") {
      host.wait(step.ms);
      for (const chat of this.#connected) await host.ping(chat);
    } else if ("chats" in step) {
      for (const n of step.chats) await this.#finish(n, step.kind, step.ms);
    } else await this.#change(step.chat, step.kind);
  }

  async #finish(n: number, how: "ack" | "nack" | "release", ms: number): Promise<void> {
    const hand = this.hands[n];
    if (!hand) return;
    const claimed = await hand.tryClaim({ limit: 2 });
    if (!claimed.ok) return;
    this.host.wait(ms % (n + 2));
    for (const held of claimed.value.claims) {
      if (how === "release") await hand.do("tasks.release", held, {});
      else await hand[how](held);
    }
  }

  async #change(n: number, kind: "stuck" | "idle" | "drain" | "disconnect" | "end"): Promise<void> {
    const { host } = this;
    const chat = `c${n}`;
    const self = this.hands[n]?.self;
    if (!self) return;
    if (kind === "disconnect") {
      this.#connected.delete(chat);
      await host.disconnect(chat);
    } else if (kind === "drain") await host.call("chats.drain", { chat });
    else if (kind === "end") await host.call("chats.unregister", { self });
    else await host.call("chats.heartbeat", { self, status: kind });
  }
}

it("a dispatch reads the chats once, however many tasks it assigns", async () => {
  const host = await calm(async () => new LocalHost(openBetterSqlite3));
  for (let n = 0; n < 20; n++) await taker(host, `c${n}`, { taskTypes: ["x"] });
  await submit(host, ...Array.from({ length: 30 }, () => ({ type: "x" })));
  const all = vi.spyOn(host.sql, "all");
  expect(assignQueued(host)).toBe(30);
  const read = all.mock.results.map(({ value }) => (value as unknown[]).length);
  expect(read.filter((rows) => rows === 20)).toHaveLength(1);
});

it("of 160 chats a dispatch selects as if it read them all, whatever happened to them before @night", async () => {
  const anyHistory = fc.tuple(
    fc.array(anyAbilities, { minLength: 3, maxLength: 6 }),
    fc.array(anyStep, { minLength: 10, maxLength: 40 }),
    fc.boolean(),
  );
  await fc.assert(
    fc.asyncProperty(anyHistory, async ([kinds, steps, isKnown]) => {
      const crowd = new Crowd(await calm(async () => new LocalHost(openBetterSqlite3)));
      await ask(crowd.host, "settings.set", { settings: { maxConcurrentChats: chatCount } });
      for (let n = 0; n < chatCount; n++)
        await crowd.join(n, kinds[n % (kinds.length * 2)] ?? { taskTypes: ["x"], capacity: 2 });
      if (isKnown)
        crowd.host.sql.run(
          "INSERT INTO chat_performance SELECT chat, 'x', 1, length(chat) * 1000 FROM chats WHERE chat <> 'c7'",
        );
      for (const step of steps) {
        await crowd.do(step);
        crowd.dispatch();
      }
    }),
    { numRuns: 6 },
  );
});
