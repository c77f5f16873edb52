import { expect, it, onTestFinished } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { createLocalStore } from "#src/coordinator-client/local/local-store.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { value } from "#harness/edge/edge-clients.ts";
import { FakeTime, Machine, seededRandom } from "#harness/clock/fake-time.ts";
import { FakeProcesses } from "#harness/machine/temp-runtime.ts";
import { tempHome } from "#harness/store/temp-store.ts";

/** Clients of several processes of one machine. */
class Processes {
  readonly time = new FakeTime();
  readonly #machine = new Machine(this.time);
  readonly #processes = new FakeProcesses();
  readonly #home = tempHome().home;

  async chat(name: string, pid: number): Promise<WorkspaceClient> {
    const { clock, setTimer } = this.#machine;
    const now = (): number => Math.floor(clock.wall());
    const store = createLocalStore({ home: this.#home, driver: openBetterSqlite3, now, busyMs: 1_000 });
    const coordinator = new LocalCoordinator({ store, processes: this.#processes, machine: "m1", now });
    const client = WorkspaceClient.openLocal(
      {
        call: (operation, input) => coordinator.call(operation, input),
        version: () => coordinator.version(),
        close: () => store.close(),
      },
      { clock, setTimer, random: seededRandom() },
    );
    onTestFinished(() => client.close());
    const process = processKey(this.#processes.start(pid));
    const chat: InputOf<"chats.register"> = { chat: name, session: name, process, machine: "m1", client: "test" };
    value(await this.time.until(client.register(chat)));
    return client;
  }
}

it("[EC5] a message to a chat that is not there is refused, and its sender is not taken for lost", async () => {
  const processes = new Processes();
  const client = await processes.chat("a", 10);
  const lost: string[] = [];
  client.onLost((reason) => lost.push(reason));
  const sent = await processes.time.until(
    client.call("messages.send", { target: { to: "chat", chat: "nobody" }, body: "hello" }),
  );
  expect(sent).toMatchObject({ ok: false, error: { code: "unknown_chat" } });
  await processes.time.pass(1_000);
  expect([lost, client.self?.chat]).toEqual([[], "a"]);
});

it("[EM4] [EC12] who waits for a lease of this machine gets it once it is free, and hears of its loss", async () => {
  const processes = new Processes();
  const [one, two] = [await processes.chat("a", 10), await processes.chat("b", 11)];
  const held = value(await processes.time.until(one.hold({ resource: "db", ttlMs: 30_000 })));
  const waiting = two.hold({ resource: "db", ttlMs: 30_000, waitMs: 20_000 });
  await processes.time.pass(1_000);
  await processes.time.until(held.release());
  const next = value(await processes.time.until(waiting, 1_000));
  expect([held.isTrusted(), next.isTrusted()]).toEqual([false, true]);
  await processes.time.until(one.call("leases.force-release", { resource: "db", reason: "test" }));
  await processes.time.pass(5_000);
  expect(next.state).toBe("lost");
});

it("[EC15] [EM4] a watch in this process tells what other processes change, once and in order", async () => {
  const processes = new Processes();
  const [one, two] = [await processes.chat("a", 10), await processes.chat("b", 11)];
  const seen: (string | null)[] = [];
  const stop = one.onChanges("k/", (changes) =>
    seen.push(...(changes === null ? [null] : changes.map(({ key }) => key))),
  );
  await processes.time.pass(100);
  for (const key of ["k/1", "other", "k/2"]) await processes.time.until(two.call("state.set", { key, value: 1 }));
  await processes.time.pass(600);
  stop();
  await processes.time.until(two.call("state.set", { key: "k/3", value: 1 }));
  await processes.time.pass(600);
  expect(seen).toEqual([null, "k/1", "k/2"]);
});
