/** The worker of the bench: the real one, whose object also counts its rows and requests, answers empty calls, and can be put later. */
import { ChatCoordinator as Real } from "../../src/durable/chat-coordinator.ts";
import type { Env } from "../../src/worker/env.ts";
import worker from "../../src/worker/worker-entry.ts";

/** A message of the second queue does nothing but come back: the least that the way through a queue takes. */
export { RestoreMarks } from "../../src/durable/restore-marks.ts";

export default {
  fetch: worker.fetch,
  async queue(batch: MessageBatch, env: Env): Promise<void> {
    if (batch.queue !== "bench-empty") return worker.queue(batch, env);
    const objects = env.COORDINATOR as unknown as DurableObjectNamespace<ChatCoordinator>;
    for (const message of batch.messages) {
      await objects.get(objects.idFromName("bench")).cameBack();
      message.ack();
    }
  },
};

interface Counted {
  read: number;
  written: number;
  alarms: number;
  starts: number;
  events: number;
  calls: number;
  looks: number;
  rings: number;
  tokens: number;
}

const none = (): Counted => ({
  read: 0,
  written: 0,
  alarms: 0,
  starts: 0,
  events: 0,
  calls: 0,
  looks: 0,
  rings: 0,
  tokens: 0,
});

/** What was counted since it was last asked for; in memory, since the bench asks at once. */
let counted = none();

/** How far the object's clock is ahead, in ms. */
let ahead = 0;

/** The runtime takes no proxy for an object's state, so its own methods are wrapped. */
function counting(ctx: DurableObjectState): DurableObjectState {
  const { storage } = ctx;
  const { sql } = storage;
  const exec = sql.exec.bind(sql);
  Object.defineProperty(sql, "exec", {
    value: (query: string, ...values: SqlStorageValue[]) => {
      const cursor = exec(query, ...values);
      const all = cursor.toArray();
      counted.read += cursor.rowsRead;
      counted.written += cursor.rowsWritten;
      return { toArray: () => all, rowsRead: cursor.rowsRead, rowsWritten: cursor.rowsWritten };
    },
  });
  const setAlarm = storage.setAlarm.bind(storage);
  Object.defineProperty(storage, "setAlarm", {
    value: (at: number) => {
      counted.alarms += 1;
      return setAlarm(at);
    },
  });
  return ctx;
}

interface CountingEnv extends Env {
  readonly COUNT_ROWS?: string;
  readonly EMPTY: Queue<string>;
}

/** Its queue counts what it is given. */
function countingQueue(env: CountingEnv): CountingEnv {
  const send: Env["DISPATCH"]["send"] = (...given) => {
    counted.tokens += 1;
    return env.DISPATCH.send(...given);
  };
  return { ...env, DISPATCH: { send } as Env["DISPATCH"] };
}

/** Ways out of the object. */
type Way = "hop" | "queue";

function isWay(message: string | ArrayBuffer): message is Way {
  return message === "hop" || message === "queue";
}

export class ChatCoordinator extends Real {
  readonly #storage: DurableObjectStorage;
  readonly #env: CountingEnv;
  #hasRows = false;

  constructor(ctx: DurableObjectState, env: CountingEnv) {
    super(env.COUNT_ROWS === "1" ? counting(ctx) : ctx, env.COUNT_ROWS === "1" ? countingQueue(env) : env);
    counted.starts += 1;
    this.#storage = ctx.storage;
    this.#env = env;
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void | Promise<void> {
    counted.events += 1;
    if (message === "empty") return socket.send("empty");
    if (message === "row") {
      this.#bareRow();
      return socket.send("row");
    }
    if (typeof message === "string" && message.startsWith("bare ")) {
      // The least that a frame can be: JSON in, a durable row for each part, JSON out.
      const parts = JSON.parse(message.slice(5)) as { id: number }[];
      return socket.send(JSON.stringify(parts.map(({ id }) => ({ id, result: this.#bareRow() }))));
    }
    if (message === "counted") {
      socket.send(JSON.stringify({ counted }));
      counted = none();
      return undefined;
    }
    if (isWay(message)) return this.#leave(socket, message);
    if (typeof message === "string" && message.startsWith("later ")) {
      ahead += Number(message.slice(6));
      this.alarm();
      return socket.send("later");
    }
    return super.webSocketMessage(socket, message);
  }

  /** The least that another object can be asked. */
  hop(): string {
    return "hop";
  }

  /** To another object, or to a queue whose consumer comes back. */
  async #leave(socket: WebSocket, way: Way): Promise<void> {
    if (way === "queue") {
      await this.#env.EMPTY.send("empty");
      return;
    }
    const objects = this.#env.COORDINATOR as unknown as DurableObjectNamespace<ChatCoordinator>;
    socket.send(await objects.get(objects.idFromName("bench-other")).hop());
  }

  cameBack(): void {
    for (const socket of this.ctx.getWebSockets()) socket.send("queue");
  }

  protected override now(): number {
    return super.now() + ahead;
  }

  override call(...given: Parameters<Real["call"]>): ReturnType<Real["call"]> {
    counted.calls += 1;
    return super.call(...given);
  }

  override dispatch(): void {
    counted.looks += 1;
    super.dispatch();
  }

  override alarm(info?: AlarmInvocationInfo): void {
    counted.rings += 1;
    super.alarm(info);
  }

  #bareRow(): number {
    if (!this.#hasRows) this.#storage.sql.exec("CREATE TABLE bench_rows (id INTEGER PRIMARY KEY, value TEXT)");
    this.#hasRows = true;
    return this.#storage.sql.exec("INSERT INTO bench_rows (value) VALUES ('x')").rowsWritten;
  }
}
