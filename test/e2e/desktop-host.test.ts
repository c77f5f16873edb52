import { expect, it, vi } from "vitest";
import type { HostStatus } from "#src/contract/machine/installation.ts";
import { runningHost as askHost } from "#src/local-mcp/host-client/host-client.ts";
import type { Paths } from "#src/platform/paths.ts";
import { connected, manifestOf, startOf, unpackedBundle } from "#harness/machine/claude-desktop.ts";
import { answered, integrityOf, nextStepOf, startServer, storeOf } from "#harness/machine/mcp-process.ts";
import { hostsOf } from "#harness/machine/process-tree.ts";
import { tempHome } from "#harness/store/temp-store.ts";

const { folder } = unpackedBundle();
const polling = { timeout: 120_000, interval: 5 };

async function aDesktop({ home }: Paths) {
  return connected(await startOf(folder, { home }));
}

async function runningHost(paths: Paths): Promise<HostStatus | null> {
  const answer = await askHost({ paths }, "GET", "/status");
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value.host;
}

/** Waits until another process than `pid` is the host. */
async function nextHost(paths: Paths, pid: number): Promise<HostStatus> {
  return vi.waitUntil(async () => {
    const host = await runningHost(paths).catch(() => null);
    return host !== null && host.pid !== pid && host;
  }, polling);
}

it.each(["is killed", "ends"])(
  "the process of Claude Desktop is the host of other chats, which go on at the next host when it %s",
  async (way) => {
    const paths = tempHome();
    const desktop = await aDesktop(paths);
    const saved = await desktop.ask("shim_force_checkpoint", { goal: "in the app", nextStep: "one" });
    const other = await startServer(paths);
    const { session } = await answered(other, "shim_force_checkpoint", { goal: "beside it", nextStep: "two" });
    const { pid, chats } = (await runningHost(paths)) ?? {};
    expect([pid, chats?.length, hostsOf(paths.home)]).toEqual([desktop.pid, 2, []]);
    if (way === "ends") expect(await desktop.close()).toBe("");
    else {
      process.kill(desktop.pid, "SIGKILL");
      await desktop.ended;
    }
    const status = await answered(other, "shim_session_status", {});
    expect(status["session"]).toBe(session);
    const next = await answered(other, "shim_force_checkpoint", { nextStep: "three" });
    expect(next["session"]).toBe(session);
    expect((await nextHost(paths, desktop.pid)).chats).toHaveLength(1);
    const store = storeOf(paths);
    expect(nextStepOf(store, String(saved.output["checkpoint"]))).toBe("one");
    expect(nextStepOf(store, String(next["checkpoint"]))).toBe("three");
    expect(integrityOf(store)).toEqual(["ok"]);
  },
);

it("a process of Claude Desktop beside a running host is its client, and hosts when that one has gone", async () => {
  const paths = tempHome();
  const first = await aDesktop(paths);
  await first.ask("shim_force_checkpoint", { goal: "first" });
  const second = await aDesktop(paths);
  const { output } = await second.ask("shim_force_checkpoint", { goal: "second" });
  expect(await runningHost(paths)).toMatchObject({
    pid: first.pid,
    chats: [{ front: first.pid }, { front: second.pid }],
  });
  // Texts for Claude Desktop come from whatever process is the host.
  expect(await second.prompt("resume")).toEqual(manifestOf(folder).prompts?.map(({ text }) => text));
  expect(await first.close()).toBe("");
  expect((await second.ask("shim_session_status")).output["session"]).toBe(output["session"]);
  expect((await nextHost(paths, first.pid)).pid).toBe(second.pid);
  expect(hostsOf(paths.home)).toEqual([]);
  expect(await second.close()).toBe("");
});

it("a host that is stopped leaves the process of Claude Desktop alive, and every chat goes on", async () => {
  const paths = tempHome();
  const desktop = await aDesktop(paths);
  const saved = await desktop.ask("shim_force_checkpoint", { goal: "in the app" });
  const other = await startServer(paths);
  const { session } = await answered(other, "shim_force_checkpoint", { goal: "beside it" });
  await askHost({ paths }, "POST", "/stop");
  expect((await answered(other, "shim_session_status", {}))["session"]).toBe(session);
  expect((await desktop.ask("shim_session_status")).output["session"]).toBe(saved.output["session"]);
  // The host that was stopped may have answered, before it closed its connections.
  const chats = async () => (await runningHost(paths).catch(() => null))?.chats;
  await vi.waitFor(async () => expect(await chats()).toHaveLength(2), polling);
  expect(await desktop.close()).toBe("");
});

it("the process of Claude Desktop hosts again where no other does it", async () => {
  const paths = tempHome();
  const desktop = await aDesktop(paths);
  const { output } = await desktop.ask("shim_force_checkpoint", { goal: "in the app" });
  await askHost({ paths }, "POST", "/stop");
  expect((await desktop.ask("shim_session_status")).output["session"]).toBe(output["session"]);
  const pid = async () => (await runningHost(paths).catch(() => null))?.pid;
  await vi.waitFor(async () => expect(await pid()).toBe(desktop.pid), polling);
  expect(await desktop.close()).toBe("");
});
