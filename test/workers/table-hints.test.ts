import { evictDurableObject } from "cloudflare:test";
import { expect, onTestFinished, vi } from "vitest";
import type { Connection } from "./connection.ts";
import { counted } from "./costs.ts";
import { it, wait, type TestWorkspace } from "./support.ts";

const second = 1_000;

/** Timers of the object, which the test lets ring; all others are the runtime's. */
function holdTimers(): { readonly ms: () => number[]; readonly ring: (workspace: TestWorkspace) => Promise<void> } {
  let held: { readonly work: () => void; readonly ms: number }[] = [];
  const real = globalThis.setTimeout;
  const spy = vi.spyOn(globalThis, "setTimeout").mockImplementation(((work: () => void, ms = 0) => {
    if (ms === 0 || ms > second) return real(work, ms);
    held.push({ work, ms });
    return 0;
  }) as typeof setTimeout);
  onTestFinished(() => spy.mockRestore());
  return {
    ms: () => held.map(({ ms }) => ms),
    ring: async (workspace) => {
      const due = held;
      held = [];
      await workspace.inside(() => {
        for (const { work } of due) work();
      });
    },
  };
}

async function watch(connection: Connection, ...prefixes: readonly string[]): Promise<void> {
  const { revision } = await connection.ask("health", {});
  for (const prefix of prefixes)
    await connection.ask("state.watch", { watch: prefix.slice(1, -1) || "all", prefix, after: revision });
}

async function hints(connection: Connection): Promise<unknown[]> {
  return (await connection.told()).map(({ method }) => method).filter((method) => method?.endsWith(".changed"));
}

it("[DO56] changes of tasks are hinted to who watches them: at once, then once a second, and never while nothing changes", async ({
  workspace,
}) => {
  const timers = holdTimers();
  const [page, chat] = [await workspace.connect(), await workspace.connect()];
  await watch(page, "$task/");
  await watch(chat, "$chat/", "");
  const submit = (): Promise<unknown> => workspace.ask("tasks.submit", { tasks: [{ type: "build" }] });
  await submit();
  expect(await hints(page)).toEqual(["tasks.changed"]);
  wait(400);
  for (let times = 0; times < 5; times++) await submit();
  expect([await hints(page), timers.ms()]).toEqual([[], [600]]);
  wait(600);
  await timers.ring(workspace);
  expect([await hints(page), timers.ms()]).toEqual([["tasks.changed"], []]);
  wait(10 * second);
  await workspace.ask("tasks.list", {});
  await workspace.ask("state.set", { key: "k", value: 1 });
  expect([await hints(page), timers.ms()]).toEqual([[], []]);
  await submit();
  expect(await hints(page)).toEqual(["tasks.changed"]);
  expect(await hints(chat)).toEqual([]);
});

it("[DO56] messages and what is acknowledged are hinted, and tasks are not with them", async ({ workspace }) => {
  const timers = holdTimers();
  const page = await workspace.connect();
  const [from, to] = [await workspace.register("c1"), await workspace.register("c2")];
  wait(second);
  await timers.ring(workspace);
  await watch(page, "$task/", "$message/");
  wait(second);
  await workspace.ask("messages.send", { self: from, target: { to: "chat", chat: "c2" }, body: "hi" });
  wait(second);
  expect(await hints(page)).toEqual(["messages.changed"]);
  await workspace.ask("messages.ack", { self: to, cursor: 1 });
  expect(await hints(page)).toEqual(["messages.changed"]);
});

it("[DO56] a hint writes no row, and a connection is still hinted after a hibernation", async ({ workspace }) => {
  const submit = (): Promise<unknown> => workspace.ask("tasks.submit", { tasks: [{ type: "build" }] });
  await submit();
  wait(second);
  const before = await counted(workspace, submit);
  const page = await workspace.connect();
  await watch(page, "$task/");
  wait(second);
  expect((await counted(workspace, submit)).written).toBe(before.written);
  expect(await hints(page)).toEqual(["tasks.changed"]);
  await evictDurableObject(workspace.stub);
  wait(second);
  await submit();
  expect(await hints(page)).toEqual(["tasks.changed"]);
});
