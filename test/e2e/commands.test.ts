import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { expect, it, onTestFinished, vi } from "vitest";
import { answered, startServer } from "#harness/machine/mcp-process.ts";
import { hostsOf, killHosts } from "#harness/machine/process-tree.ts";
import { outputOf } from "#harness/machine/programs.ts";
import { MachineHome } from "#harness/machine/real-machine.ts";

/** A second host that a slow start caused ends when it finds that the first one has the lock. */
async function becomesOneHost({ paths }: MachineHome): Promise<void> {
  await vi.waitFor(() => expect(hostsOf(paths.home)).toHaveLength(1), { timeout: 120_000, interval: 5 });
}

/** Accepts connections, and never answers. */
async function aSilentServer(): Promise<{ readonly url: string; readonly asked: Promise<void> }> {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const server = createServer(() => resolve());
  onTestFinished(() => void server.close());
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("the server has no port");
  return { url: `http://127.0.0.1:${address.port}`, asked };
}

it("a command that changes something starts a host, which writes; one that shows starts none", async () => {
  const machine = new MachineHome();
  expect(await machine.ask("sessions")).toMatchObject({ sessions: [] });
  expect([existsSync(machine.paths.home), hostsOf(machine.paths.home)]).toEqual([false, []]);
  await machine.ask("pause", "2h");
  await becomesOneHost(machine);
  expect((await machine.ask("call", "pauses.list"))["pauses"]).toHaveLength(1);
});

it("commands at once write through one host, and each read has the newest commit", async () => {
  const machine = new MachineHome();
  const server = await startServer(machine.paths);
  const { session } = await answered(server, "shim_force_checkpoint", { goal: "one", nextStep: "two" });
  const names = ["a", "b", "c", "d"];
  await Promise.all(names.map((name) => machine.ask("sessions", "name", String(session), name)));
  await becomesOneHost(machine);
  for (const name of names) {
    await machine.ask("sessions", "name", String(session), name);
    expect((await machine.ask("sessions"))["sessions"]).toMatchObject([{ name }]);
  }
});

it("a host that is killed during an operation: the command says that it may have been done, and does not repeat it", async () => {
  const machine = new MachineHome();
  const { url, asked } = await aSilentServer();
  const joining = machine.spawn(["workspace", "join", "team", "--url", url], ["pipe", "pipe", "pipe"]);
  const ended = outputOf(joining, "shim_eyJtIjoiaGVyZSJ9.secret\n");
  await asked;
  await killHosts(machine.paths.home);
  const { code, err } = await ended;
  expect([code, err]).toEqual([1, expect.stringContaining("It may have done workspace.join")]);
  expect(hostsOf(machine.paths.home)).toEqual([]);
});

it("the status line has its readings stored by a host that runs; without one it shows the same, and starts none", async () => {
  const machine = new MachineHome();
  const server = await startServer(machine.paths);
  const { session } = await answered(server, "shim_force_checkpoint", { goal: "one", nextStep: "two" });
  const line = async (used: number): Promise<string> => {
    const readings = { context_window_size: 1_000_000, current_usage: { input_tokens: used } };
    const input = { session_id: session, model: { id: "claude-opus-5-5" }, context_window: readings };
    return (await outputOf(machine.spawn(["statusline"], "pipe"), JSON.stringify(input))).out;
  };
  const fill = async (): Promise<unknown> => (await machine.ask("sessions"))["sessions"];
  expect(await line(900_000)).toMatch(/^SHIM: saved at \d\d:\d\d \| risk .* warning\n$/);
  expect(await fill()).toMatchObject([{ contextFill: 0.9 }]);
  server.process.kill("SIGKILL");
  await server.ended;
  await killHosts(machine.paths.home);
  expect(await line(100_000)).toMatch(/^SHIM: saved at \d\d:\d\d \| risk .*\n$/);
  expect(await fill()).toMatchObject([{ contextFill: 0.9 }]);
  expect(hostsOf(machine.paths.home)).toEqual([]);
});
