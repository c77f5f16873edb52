/** Corners of a large workspace, each in engines of its own: what is refused, what is offline, who takes tasks, many lanes. */
import { newestExpiry } from "../../src/coordination/messages/unread.ts";
import { range } from "../figures.ts";
import { scaled } from "../size.ts";
import { MemoryEngine } from "./memory-engine.ts";

export interface Corner {
  readonly name: string;
  readonly small: number;
  readonly large: number;
  /** Answers what is measured. */
  readonly prepare: (size: number) => { readonly engine: MemoryEngine; readonly work: (n: number) => unknown };
}

const dayMs = 86_400_000;

function submitAll(engine: MemoryEngine, count: number, typeOf: (n: number) => string): void {
  for (let from = 0; from < count; from += 500) {
    const tasks = range(Math.min(500, count - from), (n) => ({ type: typeOf(from + n), payload: 1 }));
    engine.call("tasks.submit", { tasks });
  }
}

function withTakers(chats: number): MemoryEngine {
  const engine = new MemoryEngine();
  engine.call("settings.set", { settings: { maxConcurrentChats: 10_000, chatTtlMs: 600_000 } });
  for (let n = 0; n < chats; n++) engine.register(`chat-${n}`, { taskTypes: ["other"], capacity: 2 });
  return engine;
}

export const corners: readonly Corner[] = [
  {
    name: "submit refused at twice maxTasks",
    small: 1_000,
    large: scaled(1_000_000, 2_000),
    prepare: (size) => {
      const engine = new MemoryEngine();
      engine.call("settings.set", { settings: { maxTasks: 5_000_000 } });
      submitAll(engine, size, () => "type");
      engine.call("settings.set", { settings: { maxTasks: size / 2 } });
      const work = (): void => {
        try {
          engine.call("tasks.submit", { tasks: [{ type: "type", payload: 1 }] });
        } catch {
          return;
        }
        throw new Error("the submit was accepted");
      };
      return { engine, work };
    },
  },
  {
    name: "submit, where chats take tasks of another type",
    small: 100,
    large: scaled(9_999, 200),
    prepare: (size) => {
      const engine = withTakers(size);
      return { engine, work: () => engine.call("tasks.submit", { tasks: [{ type: "type", payload: 1 }] }) };
    },
  },
  {
    name: "submit and dispatch to one of many idle chats",
    small: 100,
    large: scaled(9_999, 200),
    prepare: (size) => {
      const engine = withTakers(size);
      const work = (): void => {
        engine.call("tasks.submit", { tasks: [{ type: "other", payload: 1 }] });
        engine.dispatch();
      };
      return { engine, work };
    },
  },
  {
    name: "claim of any lane, by the number of lanes",
    small: 10,
    large: 1_000,
    prepare: (size) => {
      const engine = new MemoryEngine();
      const self = engine.register("own", { capacity: 10 });
      submitAll(engine, 10_000, (n) => `type-${n % size}`);
      const work = (n: number): void => {
        const [claim] = engine.call("tasks.claim", { self, requestId: `c${n}`, limit: 1 }).claims;
        if (claim) engine.call("tasks.release", { self, task: claim.task, claim: claim.claim });
      };
      return { engine, work };
    },
  },
  {
    name: "submit where no chat takes tasks, by the number of lanes with a queued one",
    small: 10,
    large: 1_000,
    prepare: (size) => {
      const engine = new MemoryEngine();
      submitAll(engine, size, (n) => `type-${n}`);
      return { engine, work: () => engine.call("tasks.submit", { tasks: [{ type: "type-3", payload: 1 }] }) };
    },
  },
  {
    name: "check of an offline chat's inbox, behind later messages to all",
    small: 1_000,
    large: scaled(99_000, 2_000),
    prepare: (size) => {
      const engine = new MemoryEngine();
      const self = engine.register("sender");
      engine.register("gone");
      const send = (): unknown =>
        engine.call("messages.send", { self, target: { to: "all" }, body: 1, ttlMs: 7 * dayMs });
      send();
      engine.now += 2 * dayMs;
      for (let n = 0; n < size; n++) send();
      return { engine, work: () => newestExpiry(engine.tx(), "gone", engine.now + dayMs) };
    },
  },
];
