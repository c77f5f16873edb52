import { chmodSync, cpSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { expect, it, vi } from "vitest";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import { isAlive, systemProcesses } from "#src/platform/processes.ts";
import type { McpConnection, Message } from "#src/platform/mcp-connection.ts";
import * as spool from "#src/store/spool.ts";
import { MachineHome } from "#harness/machine/real-machine.ts";
import {
  answered,
  built,
  integrityOf,
  killAll,
  nextStepOf,
  setAside,
  spawnServer,
  startServer,
  storeOf,
} from "#harness/machine/mcp-process.ts";
import { hostsOf, killEvery, killHosts, servingHost } from "#harness/machine/process-tree.ts";
import { column } from "#harness/store/store-rows.ts";
import { tempHome } from "#harness/store/temp-store.ts";

/** The timeout is for what hangs. */
const polling = { timeout: 120_000, interval: 5 };

function toolEnd(server: McpConnection, id: string): Promise<Message> {
  const tool = { session_id: "s1", prompt_id: "p1", tool_name: "Bash", tool_use_id: id, "tool_input.command": id };
  return server.request("tools/call", { name: "shim_hook", arguments: { event: "PostToolUse", ...tool } });
}

function storedEnds(paths: Paths): unknown[] {
  const store = storeOf(paths);
  return store.read((sql) => column(sql, "SELECT key FROM journal WHERE kind = 'tool_end' ORDER BY seq"), []);
}

it("twenty clients that start at once share one host", async () => {
  const machine = new MachineHome();
  const { paths } = machine;
  const servers = Array.from({ length: 20 }, () => spawnServer(paths));
  await Promise.all(servers.map((server) => server.initialize("crowd")));
  const saved = await Promise.all(
    servers.map((server, n) => answered(server, "shim_force_checkpoint", { goal: `chat ${n}`, nextStep: `step ${n}` })),
  );
  // A second host that a slow start caused may still be about to find that the first one has the lock.
  expect((await machine.shim("host", "status")).out).toContain(": 20 chats connected.");
  const store = storeOf(paths);
  saved.forEach(({ checkpoint }, n) => expect(nextStepOf(store, String(checkpoint))).toBe(`step ${n}`));
});

it("a host that is killed is replaced: what was not answered is sent again, and nothing is stored twice", async () => {
  const paths = tempHome();
  const servers = await Promise.all([startServer(paths), startServer(paths)]);
  for (let round = 0; round < 5; round++) {
    const answers = servers.map((server, n) => toolEnd(server, `${round}-${n}`));
    killEvery(hostsOf(paths.home));
    for (const answer of await Promise.all(answers)) expect(answer).toEqual({ content: [] });
  }
  await vi.waitUntil(() => spool.isEmpty(paths.spool), polling);
  const ends = storedEnds(paths);
  expect(new Set(ends).size).toBe(ends.length);
  // Two hosts may have been killed while they read the same event.
  const aside = setAside(paths).join("\n");
  const ids = [0, 1, 2, 3, 4].flatMap((round) => [`${round}-0`, `${round}-1`]);
  expect(ids.filter((id) => !ends.includes(`end:${id}`) && !aside.includes(`"${id}"`))).toEqual([]);
  expect(integrityOf(storeOf(paths))).toEqual(["ok"]);
});

it("a host that hangs is ended by the front whose client waits, and its event is stored", async () => {
  const paths = tempHome();
  const server = await startServer(paths);
  const first = servingHost(paths.home);
  process.kill(first.pid, "SIGSTOP");
  expect(await toolEnd(server, "t1")).toEqual({ content: [] });
  expect(isAlive(systemProcesses, first)).toBe(false);
  // On a busy machine the next host starts too late for the event.
  await vi.waitUntil(() => spool.isEmpty(paths.spool), polling);
  expect(storedEnds(paths)).toEqual(["end:t1"]);
});

it("a host whose program was replaced ends, and the next one answers with what is installed now", async () => {
  const machine = new MachineHome();
  const { paths } = machine;
  const dist = join(dirname(paths.home), "dist");
  cpSync(dirname(built.mcp), dist, { recursive: true });
  const server = await startServer(paths, { args: [join(dist, "mcp.cjs")] });
  const first = servingHost(paths.home);
  renameSync(join(dist, "parts"), join(dist, "replaced"));
  // The host loads what does a command's work when the first command asks.
  const paused = machine.shim("pause");
  await vi.waitUntil(() => !isAlive(systemProcesses, first), polling);
  renameSync(join(dist, "replaced"), join(dist, "parts"));
  expect(await answered(server, "shim_session_status", {})).toHaveProperty("session");
  await paused;
});

it("a command that changes something ends a host that is stopped, says so, and is done by the next one", async () => {
  const machine = new MachineHome();
  expect(await machine.ask("pause")).toBeDefined();
  const first = servingHost(machine.paths.home);
  process.kill(first.pid, "SIGSTOP");
  const { code, err } = await machine.shim("pause");
  expect([code, err]).toEqual([0, expect.stringContaining("did not answer for five seconds, and was ended")]);
  expect(isAlive(systemProcesses, first)).toBe(false);
  await vi.waitFor(() => expect(hostsOf(machine.paths.home)).toHaveLength(1), polling);
});

it("where no host can start, an event waits in the spool, and the chat continues with the next one, which has it", async () => {
  const paths = tempHome();
  const server = await startServer(paths);
  // A folder where the mark of a start belongs: no front can start a host from then on.
  rmSync(join(paths.home, "host.starting"), { force: true });
  mkdirSync(join(paths.home, "host.starting"));
  await killHosts(paths.home);
  expect(await toolEnd(server, "t1")).toEqual({ content: [] });
  expect([spool.survey(paths.spool).waiting.length, storedEnds(paths)]).toEqual([1, []]);
  rmSync(join(paths.home, "host.starting"), { recursive: true });
  expect(await answered(server, "shim_session_status", {})).toHaveProperty("session");
  expect(storedEnds(paths)).toEqual(["end:t1"]);
});

it("a home whose path is too long for a socket has its host in the user's own folder, and a folder of others is refused", async () => {
  const paths = pathsIn(join(tempHome().home, "x".repeat(120)));
  const temporary = join(dirname(dirname(paths.home)), "t");
  for (const folder of [temporary, dirname(paths.home)]) mkdirSync(folder);
  const env = { TMPDIR: temporary };
  const server = await startServer(paths, { env });
  expect(await answered(server, "shim_session_status", {})).toHaveProperty("session");
  await killAll(server, paths);
  const folder = join(temporary, `shim-${userInfo().uid}`);
  chmodSync(folder, 0o777);
  await expect(spawnServer(paths, { env }).initialize("refused")).rejects.toThrow("others may enter it");
});

it("commands use the coordinator of the host, and a watch reports changes over the death of the host", async () => {
  const machine = new MachineHome();
  await machine.ask("task", "submit", "build");
  const watch = machine.start("task", "watch", "--json");
  const reported = (): unknown[] => watch.events.map(({ totalTasks }) => totalTasks);
  await vi.waitUntil(() => reported().includes(1), polling);
  const first = servingHost(machine.paths.home);
  await killHosts(machine.paths.home);
  await machine.ask("task", "submit", "lint");
  await vi.waitUntil(() => reported().includes(2), polling);
  expect(servingHost(machine.paths.home).pid).not.toBe(first.pid);
  watch.kill("SIGINT");
  await watch.ended;
  expect([...new Set(reported())]).toEqual([1, 2]);
});

it("`shim host status` and `shim host stop` say which process serves the chats, and an open chat starts the next one", async () => {
  const machine = new MachineHome();
  expect((await machine.shim("host", "status")).out).toBe("No host runs. The next chat starts one.\n");
  const server = await startServer(machine.paths);
  const first = servingHost(machine.paths.home);
  const status = await machine.shim("host", "status");
  expect(status.out).toMatch(
    new RegExp(`^The host \\(process ${first.pid}, SHIM .*\\) runs, .*: 1 chat connected\\.\\n$`),
  );
  expect((await machine.ask("doctor"))["checks"]).toContainEqual(
    expect.objectContaining({ name: "host", state: "ok", text: `process ${first.pid} serves 1 chat` }),
  );
  expect((await machine.shim("host", "stop")).out).toContain("Open chats continue with the next one.");
  // The first one may still answer this, before it closes the connection.
  await answered(server, "shim_session_status", {});
  await vi.waitFor(() => expect(servingHost(machine.paths.home).pid).not.toBe(first.pid), polling);
});

it("a worker keeps a host running: one that is killed is followed by another", async () => {
  const machine = new MachineHome();
  // A process that only starts the host, or finds another one, is none.
  const pid = async (): Promise<unknown> => {
    const { host } = (await machine.ask("host", "status")) as { host: { pid: number } | null };
    return host?.pid;
  };
  const worker = machine.start("worker", "--type", "build", "--json", "--", "true");
  await vi.waitFor(async () => expect(await pid()).toBeTypeOf("number"), polling);
  const first = await pid();
  process.kill(Number(first), "SIGKILL");
  await vi.waitFor(async () => expect([undefined, first]).not.toContain(await pid()), polling);
  worker.kill("SIGTERM");
  expect(await worker.ended).toBe(0);
});
