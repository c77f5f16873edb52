import { writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { openStoreFor, type ChildTask } from "./store-task.ts";

/**
 * A process that writes to a store. Prints `+<key>` for each acknowledged row, `!<code> <message>` for each refusal, `ready` at first.
 * stdout is written synchronously, so what was printed was acknowledged, whenever it is killed.
 */
const task = JSON.parse(process.argv[2] ?? "") as ChildTask;
const store = await openStoreFor(task);
writeSync(1, "ready\n");
const end = performance.now() + task.forMs;
for (let n = 0; performance.now() < end && n < (task.rows ?? Infinity); n++) {
  const key = `${task.name}.${n}`;
  try {
    store.write((sql) => {
      sql.run(
        "INSERT INTO journal (session_id, at, kind, key, body) VALUES (?, ?, 'prompt', ?, ?)",
        task.name,
        n,
        key,
        JSON.stringify({ kind: "prompt", text: key.padEnd(task.bytes ?? 500, " x") }),
      );
    });
    writeSync(1, `+${key}\n`);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    writeSync(1, `!${code} ${message}\n`);
    if (task.isStoppedByError) break;
  }
  if (task.everyMs) await pause(task.everyMs);
}
store.close();
writeSync(1, "done\n");
