import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it, vi } from "vitest";
import * as spool from "#src/store/spool.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { recording } from "#harness/clients/recorded-client.ts";
import { startHost } from "#harness/machine/host-process.ts";
import {
  built,
  envOf,
  homeWithoutRetention,
  integrityOf,
  setAside,
  setting,
  storeOf,
} from "#harness/machine/mcp-process.ts";
import { hostsOf, killEvery, killHosts } from "#harness/machine/process-tree.ts";
import { column } from "#harness/store/store-rows.ts";

const events = setting("SHIM_HOOK_KILLS", 12);
const seed = setting("SHIM_HOOK_KILLS_SEED", 1);
const script = join(dirname(built.hook), "shim-hook");

it(
  `the host is killed during every other of ${events} events of hook processes: each is recorded once, although the client gives no ids`,
  { timeout: 240_000 + events * 5_000 },
  async () => {
    const paths = homeWithoutRetention();
    const random = seededRandom(seed);
    const { env, payload } = recording("gemini", "BeforeTool");
    for (let n = 0; n < events; n++) {
      const child = spawn("/bin/sh", [script, process.execPath, "BeforeTool", "--client", "gemini"], {
        env: { ...envOf(paths), NODE_NO_WARNINGS: "1", ...env },
        stdio: ["pipe", "pipe", "inherit"],
      });
      child.stdin.end(JSON.stringify({ ...payload, cwd: paths.home, tool_input: { command: `echo ${n}` } }));
      const ended = once(child, "exit");
      await pause(15 * random());
      // After the other events a host runs.
      if (n % 2 > 0) killEvery(hostsOf(paths.home));
      expect(await ended).toEqual([0, null]);
    }
    await killHosts(paths.home);
    await startHost(paths);
    await vi.waitUntil(() => spool.isEmpty(paths.spool), { timeout: 120_000 });
    const store = storeOf(paths);
    expect(integrityOf(store)).toEqual(["ok"]);
    const stored = store.read(
      (sql) => column(sql, "SELECT key FROM journal WHERE kind = 'tool_start' ORDER BY seq"),
      [],
    );
    // Two hosts may have been killed while they read the same event.
    expect(stored.length + setAside(paths).length).toBe(events);
    expect(stored.filter((key) => !String(key).endsWith(".0"))).toEqual([]);
  },
);
