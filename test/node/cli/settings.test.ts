import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { aHomeOnEdge } from "#harness/machine/cli-machines.ts";
import { aCliHome, failed, holding, type CliHome } from "#harness/machine/cli-home.ts";

/** More entries than one page has. */
function grantMany(home: CliHome, count: number): void {
  const coordinator = home.coordinator();
  const client = { session: "s1", process: "p1", machine: "vm", client: "test" };
  coordinator.call("chats.register", { chat: "c1", ...client });
  const self = { chat: "c1", incarnation: 1 };
  for (let at = 0; at < count; at++)
    coordinator.call("leases.acquire", { self, resource: `r${at}`, requestId: `r${at}` });
}

it("settings are listed, read, changed and put back, here and on the edge @night", async () => {
  for (const home of [aCliHome(), await aHomeOnEdge()]) {
    const set = await home.json("team settings set maxConcurrentChats 7");
    expect(set).toEqual({ key: "maxConcurrentChats", value: 7 });
    for (const one of ["budgets.day.costMicros 5000000", "budgets.chat.tokens 1000"])
      expect((await home.shim(`team settings set ${one}`)).code).toBe(0);
    expect((await home.shim("team settings")).out).toEqual(
      holding("maxConcurrentChats: 7 (default: 100)", /^maxKeys: 200000$/m),
    );
    expect(await home.json("team settings")).toMatchObject({
      settings: {
        budgets: { chat: { tokens: 1_000 }, day: { costMicros: 5_000_000 } },
      },
    });
    for (const key of ["maxConcurrentChats", "budgets.day.costMicros"]) {
      expect((await home.shim("team settings unset", key)).code).toBe(0);
    }
    for (const [key, value] of Object.entries({
      maxConcurrentChats: "100",
      "budgets.day.costMicros": "none",
      "budgets.chat.tokens": "1000",
    }))
      expect((await home.shim("team settings get", key)).out).toBe(`${value}\n`);
  }
});

it("a wrong key or value is wrong usage, and changes nothing", async () => {
  const home = aCliHome();
  await home.misuses("team settings", [
    ["get maxChats", /no setting "maxChats"[^]*maxConcurrentChats/],
    ["set maxConcurrentChats 0", /maxConcurrentChats/],
    ["set maxConcurrentChats many", /the value is not JSON/],
    ["unset nothing", /no setting "nothing"/],
  ]);
  expect((await home.shim("team settings")).out).not.toContain("default:");
});

it("without the admin token the edge refuses, and says what is needed @night", async () => {
  const home = await aHomeOnEdge(false);
  for (const command of ["team settings set maxConcurrentChats 7", "team audit"])
    expect([command, await home.shim(command)]).toMatchObject([command, failed(1, /admin token of http/)]);
  expect((await home.shim("team settings get maxConcurrentChats")).out).toBe("100\n");
});

it("the audit log is filtered, read over several pages, and says how to continue @night", async () => {
  const home = aCliHome();
  for (let at = 0; at < 3; at++) await home.shim("team settings set maxKeys", String(1_000 + at));
  grantMany(home, 600);
  home.now += 3_600_000;
  await home.shim("team settings set chatTtlMs 40000");
  const kinds = await home.json("team audit --kind settings.changed");
  expect(kinds).toMatchObject({ cursor: null, entries: [{ subject: "chatTtlMs" }, {}, {}, {}] });
  const found = await home.json("team audit --subject maxKeys --limit 2");
  const { entries, cursor } = found as OutputOf<"audit.list">;
  expect([entries.length, cursor]).toEqual([2, String(entries[1]?.seq)]);
  const rest = await home.json("team audit --subject maxKeys --cursor", String(cursor));
  expect(rest).toMatchObject({ cursor: null, entries: [{ subject: "maxKeys" }] });
  const recent = await home.json("team audit --kind settings.changed --max-age 10m");
  expect(recent).toMatchObject({ entries: [{ subject: "chatTtlMs" }] });
  expect((await home.shim("team audit --limit 1")).out).toMatch(/settings\.changed +chatTtlMs[^]*--cursor \d+/);
  expect((await home.shim("team audit --actor nobody")).out).toBe("No entries.\n");
  expect((await home.json("team audit --actor c1 --kind lease.granted --limit 1000"))["entries"]).toHaveLength(600);
  expect((await home.shim("team audit --max-age soon")).code).toBe(2);
});

it("what is sent is JSON, a text or stdin, and --json prints the answer as JSON", async () => {
  const home = aCliHome();
  expect(await home.json("team send all hello")).toMatchObject({ id: 1 });
  await home.misuses("team send", [["all", /missing required argument 'text'/]]);
  expect((await home.shimWith({ readInput: async () => '{"a": [1]}' }, "team send all -")).out).toBe("Sent to all.\n");
});

function write(home: CliHome, text: string): void {
  mkdirSync(home.paths.home, { recursive: true, mode: 0o700 });
  writeFileSync(home.paths.config, text);
}

it("settings are read whole or one by one, with defaults for what is not set", async () => {
  const home = aCliHome();
  expect((await home.shim("config path")).out).toBe(`${home.paths.config}\n`);
  expect(await home.json("config")).toMatchObject({
    config: { recovery: "brief", checkpoint: { everyToolCalls: 10 } },
  });
  expect((await home.shim("config get recovery")).out).toBe("brief\n");
  expect(await home.json("config get risk.levels")).toEqual({
    key: "risk.levels",
    value: { warning: 0.3, danger: 0.6, critical: 0.8 },
  });
  expect(await home.shim("config get risk.level")).toMatchObject(failed(2, "risk.levels.danger"));
  expect((await home.shim("config get recovery.x")).code).toBe(2);
});

it("a change keeps comments and other keys, and the file is private", async () => {
  const home = aCliHome();
  write(home, '{\n  // mine\n  "recovery": "ask", // for now\n}\n');
  expect((await home.shim("config set recovery resume")).out).toBe('recovery is "resume"\n');
  expect(readFileSync(home.paths.config, "utf8")).toBe('{\n  // mine\n  "recovery": "resume", // for now\n}\n');
  await home.shim("config set checkpoint.beforeTools", '["Bash", "mcp__*"]');
  expect(await home.json("config get checkpoint.beforeTools")).toMatchObject({ value: ["Bash", "mcp__*"] });
  expect((await home.shim("config unset recovery")).out).toBe('recovery is "brief"\n');
  expect(readFileSync(home.paths.config, "utf8")).toContain("// mine");
  const fresh = aCliHome();
  expect((await fresh.shim("config set risk.levels.danger 0.5")).code).toBe(0);
  expect(JSON.parse(readFileSync(fresh.paths.config, "utf8"))).toEqual({ risk: { levels: { danger: 0.5 } } });
  expect(statSync(fresh.paths.config).mode & 0o777).toBe(0o600);
  expect(statSync(fresh.paths.home).mode & 0o777).toBe(0o700);
});

it("values and keys that are not valid are refused, and nothing is written", async () => {
  const home = aCliHome();
  const wrong = ["recovery maybe", "risk.levels.danger 2", "checkpoint.everyToolCalls -1", "nonsense 1"];
  for (const change of [...wrong, "risk.level.danger 1"])
    expect([change, (await home.shim(`config set ${change}`)).code]).toEqual([change, 2]);
  expect(existsSync(home.paths.config)).toBe(false);
});

it("an invalid file is named with what is wrong, and not changed", async () => {
  const home = aCliHome();
  write(home, '{ "recovry": "ask" }');
  for (const command of ["config", "config get recovery", "config set recovery ask"]) {
    expect(await home.shim(command, "--json")).toMatchObject({ ...failed(1, "recovry"), error: "config_invalid" });
  }
  expect(readFileSync(home.paths.config, "utf8")).toBe('{ "recovry": "ask" }');
});

it("a link to a file elsewhere stays a link; a folder instead of it is an error", async () => {
  const home = aCliHome();
  mkdirSync(home.paths.home, { mode: 0o700 });
  const real = join(home.folder, "dotfiles.json");
  writeFileSync(real, "{}");
  symlinkSync(real, home.paths.config);
  await home.shim("config set recovery ask");
  expect(JSON.parse(readFileSync(real, "utf8"))).toEqual({ recovery: "ask" });
  const odd = aCliHome();
  mkdirSync(odd.paths.config, { recursive: true });
  expect((await odd.shim("config set recovery ask")).code).toBe(1);
});
