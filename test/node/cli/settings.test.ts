import { expect, it } from "vitest";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { openLocalCoordinator } from "#src/coordinator-client/open-link.ts";
import { aCliHome, holding, type CliHome } from "#harness/machine/cli-home.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";

/** More entries than one page has. */
function grantMany({ paths, runtime }: CliHome, count: number): void {
  const { driver, busyMs } = runtime.store.context;
  const site = { home: paths.home, driver, busyMs, processes: runtime.processes, now: runtime.now };
  const { coordinator, close } = openLocalCoordinator(site);
  const client = { session: "s1", process: "p1", machine: "vm", client: "test" };
  coordinator.call("chats.register", { chat: "c1", ...client });
  const self = { chat: "c1", incarnation: 1 };
  for (let at = 0; at < count; at++) {
    coordinator.call("leases.acquire", { self, resource: `r${at}`, requestId: `r${at}` });
  }
  close();
}

/** A machine in a workspace at the edge. */
async function joined(isAdmin: boolean): Promise<CliHome> {
  const runtime = await EdgeRuntime.open();
  const home = aCliHome();
  const { token } = await runtime.call("tokens.create", { machine: "m1", scope: "work" });
  const { url, workspace, adminToken } = runtime;
  writeEdgeConfig(home.paths.home, { url, workspace, machine: "m1", token, adminToken: isAdmin ? adminToken : token });
  return home;
}

it("[CL103] [CL104] settings are listed, read, changed and put back, here and on the edge", async () => {
  for (const home of [aCliHome(), await joined(true)]) {
    const set = await home.shim("settings set maxConcurrentChats 7 --json");
    expect([set.code, set.json()]).toEqual([0, { key: "maxConcurrentChats", value: 7 }]);
    await home.shim("settings set complexity.threshold 6");
    await home.shim("settings set complexity.kinds.most 2");
    await home.shim("settings set budgets.day.costMicros 5000000");
    await home.shim("settings set budgets.chat.tokens 1000");
    expect((await home.shim("settings")).out).toEqual(
      holding(
        /maxConcurrentChats +7 +default: 100/,
        /complexity\.threshold +6 +default: 8/,
        /complexity\.files\.full +40$/m,
      ),
    );
    expect(await home.json("settings")).toMatchObject({
      settings: {
        budgets: { chat: { tokens: 1_000 }, day: { costMicros: 5_000_000 } },
        complexity: { kinds: { most: 2 } },
      },
    });
    for (const key of ["maxConcurrentChats", "complexity.threshold", "budgets.day.costMicros"]) {
      expect((await home.shim("settings unset", key)).code).toBe(0);
    }
    expect((await home.shim("settings get maxConcurrentChats")).out).toBe("100\n");
    expect((await home.shim("settings get budgets.day.costMicros")).out).toBe("none\n");
    expect((await home.shim("settings get budgets.chat.tokens")).out).toBe("1000\n");
    expect((await home.shim("settings get complexity.kinds.most")).out).toBe("2\n");
  }
});

it("[CL103] [CL165] a wrong key or value is wrong usage, and changes nothing", async () => {
  const home = aCliHome();
  await home.misuses("settings", [
    ["get maxChats", /no setting "maxChats"[^]*maxConcurrentChats/],
    ["get complexity", /no setting "complexity"[^]*complexity\.threshold/],
    ["set maxConcurrentChats 0", /maxConcurrentChats/],
    ["set maxConcurrentChats many", /not a JSON value/],
    ["set complexity.files.full 0", /full/],
    ["unset nothing", /no setting "nothing"/],
  ]);
  expect((await home.shim("settings")).out).not.toContain("default:");
});

it("[CL166] [CL105] [CL106] without the admin token the edge refuses, and says what is needed", async () => {
  const home = await joined(false);
  for (const args of [
    ["settings", "set", "maxConcurrentChats", "7"],
    ["audit"],
    ["topic", "define", "build", "--schema", "{}"],
  ]) {
    const refused = await home.shim(...args);
    expect([args, refused.code, refused.err]).toEqual([args, 1, expect.stringMatching(/admin token of http/)]);
  }
  expect((await home.shim("settings get maxConcurrentChats")).out).toBe("100\n");
});

it("[CL105] the audit log is filtered, read over several pages, and says how to go on", async () => {
  const home = aCliHome();
  for (let at = 0; at < 3; at++) await home.shim("settings set maxKeys", String(1_000 + at));
  grantMany(home, 600);
  home.now += 3_600_000;
  await home.shim("settings set chatTtlMs 40000");
  const kinds = await home.json("audit --kind settings.changed");
  expect(kinds).toMatchObject({ before: null, entries: [{ subject: "chatTtlMs" }, {}, {}, {}] });
  const found = await home.json("audit --subject maxKeys --limit 2");
  const { entries, before } = found as { entries: { seq: number }[]; before: number };
  expect([entries.length, before]).toEqual([2, entries[1]?.seq]);
  const rest = await home.shim("audit --subject maxKeys --before", String(before), "--json");
  expect(rest.json()).toMatchObject({ before: null, entries: [{ subject: "maxKeys" }] });
  expect(await home.json("audit --kind settings.changed --since 10m")).toMatchObject({
    entries: [{ subject: "chatTtlMs" }],
  });
  expect((await home.shim("audit --limit 1")).out).toMatch(/settings\.changed +chatTtlMs[^]*--before \d+/);
  expect((await home.shim("audit --actor nobody")).out).toBe("No entries.\n");
  expect((await home.json("audit --actor c1 --kind lease.granted --limit 1000"))["entries"]).toHaveLength(600);
  expect((await home.shim("audit --since soon")).code).toBe(2);
});
