/** The worker of the bench: the real one, whose object also counts its rows and requests, answers empty calls, and can be put later. */
import { ChatCoordinator as Real } from "../../src/durable/chat-coordinator.ts";
import type { Env } from "../../src/worker/env.ts";
import worker from "../../src/worker/worker-entry.ts";

// Its own object goes before the one of the same name here.
export * from "../../src/worker/worker-entry.ts";

export default worker;

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
}

/** Its queue counts what it is given. */
function countingQueue(env: CountingEnv): CountingEnv {
  const send: Env["DISPATCH"]["send"] = (...given) => {
    counted.tokens += 1;
    return env.DISPATCH.send(...given);
  };
  return { ...env, DISPATCH: { send } as Env["DISPATCH"] };
}

export class ChatCoordinator extends Real {
  readonly #storage: DurableObjectStorage;
  #hasRows = false;

  constructor(ctx: DurableObjectState, env: CountingEnv) {
    super(env.COUNT_ROWS === "1" ? counting(ctx) : ctx, env.COUNT_ROWS === "1" ? countingQueue(env) : env);
    counted.starts += 1;
    this.#storage = ctx.storage;
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void | Promise<void> {
    counted.events += 1;
    if (message === "empty") return socket.send("empty");
    if (message === "row") {
      this.#bareRow();
      return socket.send("row");
    }
    if (message === "counted") {
      socket.send(JSON.stringify({ counted }));
      counted = none();
      return undefined;
    }
    if (typeof message === "string" && message.startsWith("later ")) {
      ahead += Number(message.slice(6));
      this.alarm();
      return socket.send("later");
    }
    return super.webSocketMessage(socket, message);
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

  #bareRow(): void {
    if (!this.#hasRows) this.#storage.sql.exec("CREATE TABLE bench_rows (id INTEGER PRIMARY KEY, value TEXT)");
    this.#hasRows = true;
    this.#storage.sql.exec("INSERT INTO bench_rows (value) VALUES ('x')");
  }
}
