import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, failed, type CliHome } from "#harness/machine/cli-home.ts";

function write(home: CliHome, text: string): void {
  mkdirSync(home.paths.home, { recursive: true, mode: 0o700 });
  writeFileSync(home.paths.config, text);
}

it("[CL18] settings are read whole or one by one, with defaults for what is not set", async () => {
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

it("[CL18] a change keeps comments and other keys, and the file is private", async () => {
  const home = aCliHome();
  write(home, '{\n  // mine\n  "recovery": "ask", // for now\n}\n');
  expect((await home.shim("config set recovery resume")).out).toBe('recovery is "resume"\n');
  expect(readFileSync(home.paths.config, "utf8")).toBe('{\n  // mine\n  "recovery": "resume", // for now\n}\n');
  await home.shim("config set checkpoint.beforeTools", '["Bash", "mcp__*"]');
  expect(await home.json("config get checkpoint.beforeTools")).toMatchObject({
    value: ["Bash", "mcp__*"],
  });
  expect((await home.shim("config unset recovery")).out).toBe('recovery is "brief"\n');
  expect(readFileSync(home.paths.config, "utf8")).toContain("// mine");
  const fresh = aCliHome();
  expect((await fresh.shim("config set risk.levels.danger 0.5")).code).toBe(0);
  expect(JSON.parse(readFileSync(fresh.paths.config, "utf8"))).toEqual({ risk: { levels: { danger: 0.5 } } });
  expect(statSync(fresh.paths.config).mode & 0o777).toBe(0o600);
  expect(statSync(fresh.paths.home).mode & 0o777).toBe(0o700);
});

it("[CL18] values and keys that are not valid are refused, and nothing is written", async () => {
  const home = aCliHome();
  const wrong = ["recovery maybe", "risk.levels.danger 2", "checkpoint.everyToolCalls -1", "nonsense 1"];
  for (const change of [...wrong, "risk.level.danger 1"])
    expect([change, (await home.shim(`config set ${change}`)).code]).toEqual([change, 2]);
  expect(existsSync(home.paths.config)).toBe(false);
});

it("[CL18] an invalid file is named with what is wrong, and not changed", async () => {
  const home = aCliHome();
  write(home, '{ "recovry": "ask" }');
  for (const command of ["config", "config get recovery", "config set recovery ask"]) {
    const ran = await home.shim(command, "--json");
    expect(ran).toMatchObject({ ...failed(1, "recovry"), error: "config_invalid" });
  }
  expect(readFileSync(home.paths.config, "utf8")).toBe('{ "recovry": "ask" }');
});

it("[CL18] a link to a file elsewhere stays a link; a folder in its place is an error", async () => {
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
