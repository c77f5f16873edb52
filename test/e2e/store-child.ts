import { migrations, Store } from "#src/store/store.ts";
import { loadDriver } from "#src/store/open-driver.ts";
import type { DriverName } from "#src/store/driver.ts";
import { writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { codeOf } from "#src/shared/error.ts";

export interface ChildTask {
  readonly path: string;
  readonly name: string;
  readonly driver: DriverName;
  readonly forMs: number;
  readonly rows?: number;
  readonly bytes?: number;
  readonly everyMs?: number;
  readonly upgrade?: "large";
}

const large: readonly string[] = [
  "CREATE TABLE large (n INTEGER PRIMARY KEY, text TEXT) STRICT",
  `INSERT INTO large WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 200000)
   SELECT n, hex(randomblob(100)) FROM counter`,
  "CREATE INDEX large_by_text ON large (text)",
  "ALTER TABLE sessions ADD COLUMN extra TEXT",
];

/**
 * A process that writes to a store. Prints events as lines of JSON: each acknowledged row with its key, each refusal with its reason.
 * stdout is written synchronously, so what was printed was acknowledged, whenever it is killed.
 */
const task = JSON.parse(process.argv[2] ?? "") as ChildTask;
const { open: driver, fallbackReason } = await loadDriver(task.driver);
if (fallbackReason) throw new Error(fallbackReason);
const { path, upgrade } = task;
const added = upgrade ? [{ id: migrations.length + 1, name: upgrade, statements: large }] : [];
const store = new Store({ path, driver, now: Date.now, busyMs: 20_000, migrations: [...migrations, ...added] });
const query = "INSERT INTO journal (session, at, kind, key, body) VALUES (?, ?, 'prompt', ?, ?)";
const end = performance.now() + task.forMs;
for (let n = 0; performance.now() < end && n < (task.rows ?? Infinity); n++) {
  const key = `${task.name}.${n}`;
  try {
    const body = JSON.stringify({ kind: "prompt", text: key.padEnd(task.bytes ?? 500, " x") });
    store.write((sql) => sql.run(query, task.name, n, key, body));
    say({ event: "row", key });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    say({ event: "refused", why: `${code} ${message}` });
  }
  if (task.everyMs) await pause(task.everyMs);
}
store.close();

/** The pipe is full while its reader has no turn; this process, which does all at once, can only wait for it. */
function say(event: object): void {
  for (;;) {
    try {
      writeSync(1, `${JSON.stringify(event)}\n`);
      return;
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
