/** The worker of the bench: the real one, whose object also counts the rows it reads and writes, and answers two empty calls. */
import { ChatCoordinator as Real } from "../../src/durable/chat-coordinator.ts";
import type { Env } from "../../src/durable/env.ts";

export { default } from "../../src/worker/worker-entry.ts";

interface Counted {
  read: number;
  written: number;
  alarms: number;
  starts: number;
  events: number;
}

const none = (): Counted => ({ read: 0, written: 0, alarms: 0, starts: 0, events: 0 });

/** What was counted since it was last asked for; in memory, since the bench asks at once. */
let counted = none();

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
      return { toArray: () => all, rowsWritten: cursor.rowsWritten };
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

export class ChatCoordinator extends Real {
  readonly #storage: DurableObjectStorage;
  #hasRows = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(env.COUNT_ROWS === "1" ? counting(ctx) : ctx, env);
    counted.starts += 1;
    this.#storage = ctx.storage;
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
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
    return super.webSocketMessage(socket, message);
  }

  #bareRow(): number {
    if (!this.#hasRows) this.#storage.sql.exec("CREATE TABLE bench_rows (id INTEGER PRIMARY KEY, value TEXT)");
    this.#hasRows = true;
    return this.#storage.sql.exec("INSERT INTO bench_rows (value) VALUES ('x')").rowsWritten;
  }
}

declare module "../../src/durable/env.ts" {
  interface Env {
    readonly COUNT_ROWS?: string;
  }
}
