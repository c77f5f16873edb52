import { expect, it, onTestFinished } from "vitest";
import { createLocalStore } from "#src/coordinator-client/local/local-store.ts";
import { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { FakeProcesses } from "#harness/machine/temp-runtime.ts";
import { T0, tempHome } from "#harness/store/temp-store.ts";

it("tasks are dispatched at once, however many, and those of a dead chat by the next caller", () => {
  let time = T0;
  const now = (): number => time;
  const processes = new FakeProcesses();
  const store = createLocalStore({ home: tempHome().home, driver: openBetterSqlite3, now, busyMs: 1_000 });
  onTestFinished(() => store.close());
  const at = new LocalCoordinator({ store, processes, machine: "here", now });
  for (const [chat, pid] of [["a", 10] as const, ["b", 11] as const]) {
    const process = processKey(processes.start(pid));
    const about = { machine: "here", client: "test", taskTypes: ["*"], capacity: 100 };
    given(at.call("chats.register", { chat, session: chat, process, ...about }));
  }
  const loads = (): Record<string, number> =>
    Object.fromEntries(
      given(at.call("tasks.load", {})).chats.map(({ chatId, currentTasks }) => [chatId, currentTasks]),
    );
  given(at.call("tasks.submit", { tasks: Array.from({ length: 150 }, () => ({ type: "build" })) }));
  expect(loads()).toEqual({ a: 75, b: 75 });
  processes.kill(10);
  time += 2_000;
  given(at.call("state.set", { key: "k", value: 1 }));
  expect(loads()).toEqual({ b: 100 });
});
