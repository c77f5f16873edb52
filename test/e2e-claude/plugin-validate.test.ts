import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { apply } from "#src/installer/apply.ts";
import * as backups from "#src/installer/backups.ts";
import { readText } from "#src/installer/client-files.ts";
import { inspect } from "#src/installer/inspect.ts";
import { planInstall } from "#src/installer/plan.ts";
import { detect } from "#src/installer/targets.ts";
import { planUninstall } from "#src/installer/uninstall.ts";
import { CLAUDE_VERSION, claudeBinary } from "../../scripts/install-claude.ts";

/** The real Claude Code: the path of its binary. It needs no network and no account for any of this. */
const claude = claudeBinary();
const root = join(import.meta.dirname, "..", "..");

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
}

function run(home: string, ...args: string[]): Ran {
  const env = { HOME: home, PATH: "/usr/bin:/bin", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" };
  return spawnSync(claude, args, { cwd: home, env, encoding: "utf8", timeout: 60_000, input: "" });
}

function aHome(): string {
  const home = mkdtempSync(join(tmpdir(), "shim-claude-"));
  if (home === homedir()) throw new Error("the user's own home is not for tests");
  return home;
}

it("[IN14] claude plugin validate accepts the plugin and the marketplace", () => {
  const home = aHome();
  const plugin = run(home, "plugin", "validate", "--strict", "--json", join(root, "plugin"));
  const report = JSON.parse(plugin.stdout) as {
    success: boolean;
    provides: { hooks: unknown[]; mcpServers: unknown[] };
  };
  expect([plugin.status, report.success]).toEqual([0, true]);
  expect([report.provides.hooks.length, report.provides.mcpServers.length]).toEqual([16, 1]);
  expect(run(home, "plugin", "validate", "--strict", root).status).toBe(0);
});

it("[IN13] inspect knows the plugin as claude plugin install leaves it", () => {
  const home = aHome();
  expect(run(home, "plugin", "marketplace", "add", root).status).toBe(0);
  expect(run(home, "plugin", "install", "shim@shim").status).toBe(0);
  const [target] = detect({ platform: "linux", env: {}, homedir: home, exists: () => true, list: () => [] }).slice(-1);
  if (!target) throw new Error("Claude Code was not found");
  const launch = { node: process.execPath, script: "/x/bin/shim.mjs", hookScript: "/x/dist/hook.cjs" };
  const seen: string[] = [];
  const exists = (path: string): boolean => seen.push(path) > 0;
  const context = {
    read: readText,
    exists,
    nodeVersion: () => process.version,
    minNodeVersion: [22, 16],
    launch,
    claudeVersion: CLAUDE_VERSION,
  } as const;
  expect(inspect({ ...target, serversFile: join(home, ".claude.json") }, context).map(({ text }) => text)).toEqual([
    "Claude Code: SHIM is installed as the plugin shim@shim",
    expect.stringContaining("shim init --todo-tools"),
  ]);
  expect(seen).toEqual([join(root, "plugin", "dist", "hook.cjs")]);
});

it(`[IN5] claude mcp get finds the server that init wrote, and uninstall takes it out`, () => {
  const home = aHome();
  mkdirSync(join(home, ".claude"));
  run(home, "mcp", "list");
  const before = readFileSync(join(home, ".claude.json"), "utf8");
  const target = {
    client: "claude-code",
    platform: "linux",
    label: "Claude Code",
    serversFile: join(home, ".claude.json"),
    settingsFile: join(home, ".claude", "settings.json"),
    pluginsFolder: join(home, ".claude", "plugins"),
  } as const;
  const context = { shimConfig: join(home, "shim", "config.json"), read: readText, claudeVersion: CLAUDE_VERSION };
  const launch = { node: process.execPath, script: "/x/bin/shim.mjs", hookScript: "/x/dist/hook.cjs" };
  const folder = join(home, "shim", "backups");
  const installed = planInstall(target, launch, context);
  if (!installed.ok) throw new Error(installed.error.message);
  expect(apply(installed.value, { now: 1_700_000_000_000, backups: folder }).ok).toBe(true);
  const found = run(home, "mcp", "get", "shim").stdout;
  expect(found).toContain("Scope: User config");
  expect(found).toContain(`Command: ${process.execPath}`);
  expect(found).toContain("Args: /x/bin/shim.mjs mcp");
  const removed = planUninstall(target, { ...context, backups: backups.list(folder) });
  if (!removed.ok) throw new Error(removed.error.message);
  expect(apply(removed.value, { now: 1_700_000_000_001, backups: folder }).ok).toBe(true);
  expect(readText(target.settingsFile)).toEqual({ ok: true, value: null });
  expect(Object.keys(JSON.parse(readFileSync(target.serversFile, "utf8")) as object).includes("mcpServers")).toBe(
    before.includes("mcpServers"),
  );
  expect(run(home, "mcp", "get", "shim").status).not.toBe(0);
});
