import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { expect, it } from "vitest";
import { aClientHome, launch } from "#harness/machine/client-home.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { CLAUDE_VERSION, claudeBinary } from "../../scripts/install-claude.ts";

/** The real Claude Code: the path of its binary. It needs no network and no account for any of this. */
const claude = claudeBinary();

const root = join(import.meta.dirname, "..", "..");

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
}

function run(home: string, ...args: string[]): Ran {
  const path = [dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter);
  const env = { HOME: home, PATH: path, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" };
  return spawnSync(claude, args, { cwd: home, env, encoding: "utf8", timeout: 240_000, input: "" });
}

it("claude plugin validate accepts the plugin and the marketplace @night", () => {
  const home = temporaryFolder();
  const plugin = run(home, "plugin", "validate", "--strict", "--json", join(root, "plugin"));
  const report = JSON.parse(plugin.stdout) as {
    success: boolean;
    provides: { hooks: unknown[]; mcpServers: unknown[] };
  };
  expect([plugin.status, report.success]).toEqual([0, true]);
  expect([report.provides.hooks.length, report.provides.mcpServers.length]).toEqual([16, 1]);
  expect(run(home, "plugin", "validate", "--strict", root).status).toBe(0);
});

it("the npm package is a marketplace, and the server of its plugin connects @night", () => {
  const home = temporaryFolder();
  const scratch = temporaryFolder();
  execFileSync(process.execPath, [join(root, "scripts", "pack.ts"), scratch]);
  const folder = join(scratch, "package");
  expect(run(home, "plugin", "validate", "--strict", folder).status).toBe(0);
  expect(run(home, "plugin", "marketplace", "add", folder).status).toBe(0);
  expect(run(home, "plugin", "install", "shim@shim").status).toBe(0);
  expect(run(home, "mcp", "list").stdout).toMatch(/^plugin:shim:shim: .*Connected$/m);
});

it(`claude mcp get finds the server that init wrote, and uninstall takes it out @night`, () => {
  const home = aClientHome(CLAUDE_VERSION);
  mkdirSync(join(home.folder, ".claude"));
  run(home.folder, "mcp", "list");
  const hasServers = (): boolean => "mcpServers" in (JSON.parse(home.read(home.servers) ?? "{}") as object);
  const before = hasServers();
  home.install(home.code, { ...launch, node: process.execPath });
  const found = run(home.folder, "mcp", "get", "shim").stdout;
  for (const line of ["Scope: User config", `Command: ${process.execPath}`, `Args: ${launch.script} mcp`])
    expect(found).toContain(line);
  home.uninstall();
  expect(home.read(home.settings)).toBeNull();
  expect(hasServers()).toBe(before);
  expect(run(home.folder, "mcp", "get", "shim").status).not.toBe(0);
});
