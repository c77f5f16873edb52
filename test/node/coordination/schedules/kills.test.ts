import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it, onTestFinished } from "vitest";
import { migrations } from "#src/coordination/schema.ts";
import { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { Store } from "#src/store/store.ts";
import { FakeProcesses } from "#harness/machine/temp-runtime.ts";
import { given, minute } from "#harness/coordinator/state-calls.ts";
import { tempHome, T0 } from "#harness/store/temp-store.ts";

const script = join(import.meta.dirname, "..", "..", "..", "harness", "coordinator", "schedule-child.ts");

/** Kills the process after so many times. */
async function runAndKill(path: string, from: number, times: number): Promise<void> {
  const child = spawn(process.execPath, [script, path, String(from)], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let left = times;
  for await (const _ of createInterface(child.stdout)) if ((left -= 1) === 0) child.kill("SIGKILL");
  if (child.signalCode === null) await once(child, "exit");
  expect(child.signalCode).toBe("SIGKILL");
}

it("processes that are killed at any moment submit one task for each time @night", { timeout: 240_000 }, async () => {
  const path = join(tempHome().home, "coordination", "coordination.db");
  let at = T0;
  const now = (): number => at;
  const store = new Store({ path, driver: openNodeSqlite, now, migrations });
  onTestFinished(() => store.close());
  const coordinator = new LocalCoordinator({ store, processes: new FakeProcesses(), machine: "m1", now });
  const schedule = { name: "s", cron: "* * * * *", task: { type: "build" }, overlap: "submit" } as const;
  const [first = 0] = given(coordinator.call("schedules.create", schedule)).nextTimes;
  for (let round = 1; round <= 8; round++) {
    await runAndKill(path, at, round * 3);
    const [stored] = given(coordinator.call("schedules.list", {})).schedules;
    if (!stored) throw new Error("the schedule is gone");
    // What the killed process was about to do is asked for again.
    at = stored.last?.at ?? at;
    const { runs, nextAt } = stored;
    const tasks = store.read(
      (sql) => sql.all<{ n: number }>("SELECT count(*) AS n FROM tasks WHERE schedule = 's'"),
      [],
    );
    const passed = ((nextAt ?? 0) - first) / minute;
    expect([runs, tasks[0]?.n]).toEqual([passed, passed]);
    expect(passed).toBeGreaterThan(0);
  }
});
