import { expect, it, vi } from "vitest";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import type { Paths } from "#src/platform/paths.ts";
import { identify, systemProcesses } from "#src/platform/processes.ts";
import { readProcessKey } from "#src/coordinator-client/local/process-key.ts";
import type { Store } from "#src/store/store.ts";
import { addKey } from "#src/local-mcp/sync/key-ring.ts";
import { createKey } from "#src/local-mcp/sync/workspace-key.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { answered, killAll, startServer, storeOf } from "#harness/machine/mcp-process.ts";
import { tempHome } from "#harness/store/temp-store.ts";

const key = createKey((bytes) => new Uint8Array(bytes).fill(5));
const soon = { timeout: 20_000, interval: 50 };

async function join(edge: EdgeRuntime, paths: Paths, machine: string): Promise<void> {
  const place = { url: edge.url, workspace: edge.workspace };
  const { token } = await edge.call("tokens.create", { machine, scope: "work" });
  writeEdgeConfig(paths.home, { ...place, machine, token });
  addKey(paths.home, place, key);
}

async function storedAt(edge: EdgeRuntime): Promise<string[]> {
  const { sessions } = await edge.call("sync.list", {});
  return sessions.flatMap(({ newest }) => newest?.checkpoint ?? []);
}

/** Pid of the process that sends. */
function senderOf(store: Store): number {
  const rows = store.read((sql) => sql.all<{ process: string }>("SELECT process FROM sync_uploader"), []);
  return readProcessKey(rows[0]?.process ?? "")?.pid ?? 0;
}

it("[SY63] [SY64] chats of a machine send what they save; when the sending process is killed another one sends", async () => {
  const edge = await EdgeRuntime.open();
  const [one, two] = [tempHome(), tempHome()];
  await join(edge, one, "m1");
  await join(edge, two, "m2");
  const [first, second] = [await startServer(one), await startServer(one)];
  const saved = await answered(first, "shim_force_checkpoint", { goal: "before the kill" });
  const store = storeOf(one);
  await vi.waitFor(async () => expect(await storedAt(edge)).toContain(saved["checkpoint"]), soon);
  const sender = senderOf(store);
  const [dead, alive] = first.process.pid === sender ? [first, second] : [second, first];
  expect(dead.process.pid).toBe(sender);
  // With its worker, which would send what is left when its front has ended.
  killAll(dead);
  await vi.waitFor(() => expect(identify(systemProcesses, sender)).toBeNull(), soon);
  const after = await answered(alive, "shim_force_checkpoint", { goal: "after the kill" });
  await vi.waitFor(async () => expect(await storedAt(edge)).toContain(after["checkpoint"]), soon);
  expect(senderOf(store)).toBe(alive.process.pid);
  // On a machine that only looks, whoever starts hears of both.
  await startServer(two);
  const there = storeOf(two);
  const known = (): number => there.read((sql) => sql.all("SELECT 1 FROM remote_sessions").length, 0);
  await vi.waitFor(() => expect(known()).toBe(2), soon);
});
