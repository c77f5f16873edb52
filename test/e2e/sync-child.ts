import { writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { forget } from "#src/machine/view/keeping/forget.ts";
import { recordTakeovers } from "#src/machine/sharing/takeover-notices.ts";
import { createSynchronizer } from "#src/machine/sharing/synchronizer.ts";
import { systemRuntime } from "#src/runtime/system-runtime.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

/**
 * A process of a machine that has joined a workspace (SHIM_HOME). `work <name>`: stores sessions, checkpoints and deletions until it is killed,
 * and syncs meanwhile; prints `+` for each stored checkpoint. `drain`: syncs until nothing is left, and prints the last report.
 */
const [mode, name = ""] = process.argv.slice(2);
const runtime = systemRuntime({ driver: openBetterSqlite3, busyMs: 5_000, log: () => undefined, env: process.env });
const synchronizer = createSynchronizer(runtime, recordTakeovers);

if (mode === "work") {
  synchronizer.start();
  for (let n = 0; ; n++) {
    store(`${name}.${n % 7}`, n);
    writeSync(1, "+\n");
    await pause(5 + (n % 11));
  }
} else {
  let report = await synchronizer.syncNow();
  for (let tries = 0; tries < 400 && (report.left > 0 || report.trouble); tries++) {
    await pause(50);
    report = await synchronizer.syncNow();
  }
  await synchronizer.stop();
  writeSync(1, `${JSON.stringify(report)}\n`);
  process.exit(0);
}

function store(session: string, n: number): void {
  const now = runtime.now();
  runtime.store.write((sql) => {
    if (n % 23 === 22) forget(sql, { session }, true);
    const sighting = { id: session, client: "test", origin: "startup", project: null, owner: null, isAlive: true };
    sessions.recordSighting(sql, now, sighting);
    sessions.update(sql, session, { toolCalls: 1 });
    journal.append(sql, session, now, `k${n}`, { kind: "prompt", text: `what was asked as number ${n} `.repeat(20) });
    if (n % 13 === 12) reportEnd(sql, runtime, session, "exit");
  });
  const captured = capture(runtime, { sessionId: session, trigger: "on_demand" });
  if (!captured.ok) throw new Error(captured.error.code);
}
