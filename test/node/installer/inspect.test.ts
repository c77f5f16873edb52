import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { detect, type Machine } from "#src/installer/targets.ts";
import { blockingSince } from "#src/contract/hook-tool.ts";
import { readText } from "#src/installer/client-files.ts";
import type { Launch } from "#src/platform/launch.ts";
import { inspect, type Finding, type InspectContext, wantsBlocking } from "#src/installer/inspect.ts";
import { remove, set } from "#harness/machine/settings-edits.ts";
import { aClientHome, launch, type ClientHome } from "#harness/machine/client-home.ts";

/** A machine whose root is a fresh folder; `C:\a\b` stands in `<root>/C/a/b`. */
function aMachine(platform: NodeJS.Platform, paths: readonly string[], env: Record<string, string> = {}): Machine {
  const root = mkdtempSync(join(tmpdir(), "shim-machine-"));
  const real = (path: string): string => join(root, path.replaceAll("\\", "/").replace(":", ""));
  for (const path of paths) {
    mkdirSync(dirname(real(path)), { recursive: true });
    if (path.endsWith(".json") || path.endsWith(".cmd")) writeFileSync(real(path), "{}");
    else mkdirSync(real(path), { recursive: true });
  }
  return {
    platform,
    env,
    homedir: platform === "win32" ? "C:\\Users\\me" : "/home/me",
    exists: (path) => existsSync(real(path)),
    list: (folder) => (existsSync(real(folder)) ? readdirSync(real(folder)) : []),
  };
}

const files = (machine: Machine): string[] => detect(machine).map(({ serversFile }) => serversFile);

it("finds Claude Desktop on macOS", () => {
  const folder = "/home/me/Library/Application Support/Claude";
  expect(files(aMachine("darwin", [folder]))).toEqual([`${folder}/claude_desktop_config.json`]);
});

it("finds Claude Desktop on Linux, also where XDG_CONFIG_HOME says", () => {
  expect(files(aMachine("linux", ["/home/me/.config/Claude"]))).toEqual([
    "/home/me/.config/Claude/claude_desktop_config.json",
  ]);
  expect(files(aMachine("linux", ["/cfg/Claude"], { XDG_CONFIG_HOME: "/cfg" }))).toEqual([
    "/cfg/Claude/claude_desktop_config.json",
  ]);
});

it("finds every Claude Desktop on Windows: the installer's, and both places of the Store's", () => {
  const local = "C:\\Users\\me\\AppData\\Local";
  const found = detect(
    aMachine("win32", [
      "C:\\Users\\me\\AppData\\Roaming\\Claude",
      `${local}\\Packages\\Claude_pzs8sxrjxfjjc\\LocalCache\\Roaming\\Claude`,
      `${local}\\Packages\\Other_1\\LocalCache\\Roaming\\Claude`,
      `${local}\\Claude-Data\\claude_abc`,
    ]),
  );
  expect(found.map(({ label, serversFile }) => [label, serversFile])).toEqual([
    ["Claude Desktop", "C:\\Users\\me\\AppData\\Roaming\\Claude\\claude_desktop_config.json"],
    [
      "Claude Desktop (Microsoft Store)",
      `${local}\\Packages\\Claude_pzs8sxrjxfjjc\\LocalCache\\Roaming\\Claude\\claude_desktop_config.json`,
    ],
    ["Claude Desktop (Microsoft Store)", `${local}\\Claude-Data\\claude_abc\\claude_desktop_config.json`],
  ]);
  expect(found.every(({ settingsFile }) => settingsFile === null)).toBe(true);
});

it("follows APPDATA and LOCALAPPDATA on Windows", () => {
  const env = { APPDATA: "D:\\Roaming", LOCALAPPDATA: "D:\\Local" };
  expect(files(aMachine("win32", ["D:\\Roaming\\Claude", "D:\\Local\\Claude-Data\\claude_x"], env))).toEqual([
    "D:\\Roaming\\Claude\\claude_desktop_config.json",
    "D:\\Local\\Claude-Data\\claude_x\\claude_desktop_config.json",
  ]);
});

it("finds Claude Code by its folder or its file, with the files of servers, settings and plugins", () => {
  for (const path of ["/home/me/.claude", "/home/me/.claude.json"])
    expect(detect(aMachine("linux", [path]))).toEqual([
      {
        client: "claude-code",
        platform: "linux",
        label: "Claude Code",
        serversFile: "/home/me/.claude.json",
        settingsFile: "/home/me/.claude/settings.json",
      },
    ]);
});

it("CLAUDE_CONFIG_DIR moves all of Claude Code's files", () => {
  const [found] = detect(aMachine("darwin", ["/elsewhere/cc"], { CLAUDE_CONFIG_DIR: "/elsewhere/cc" }));
  expect(found?.serversFile).toBe("/elsewhere/cc/.claude.json");
  expect(found?.settingsFile).toBe("/elsewhere/cc/settings.json");
});

it("Claude Code's first file of servers counts where it is still there", () => {
  expect(files(aMachine("linux", ["/home/me/.claude/.config.json"]))).toEqual(["/home/me/.claude/.config.json"]);
});

it("finds a Claude Code that was never started by its command", () => {
  const env = { Path: "C:\\tools;C:\\npm" };
  expect(files(aMachine("win32", ["C:\\npm\\claude.cmd"], env))).toEqual(["C:\\Users\\me\\.claude.json"]);
});

it("finds nothing where nothing is, and Claude Desktop before Claude Code where both are", () => {
  expect(detect(aMachine("linux", []))).toEqual([]);
  const both = detect(aMachine("linux", ["/home/me/.claude", "/home/me/.config/Claude"]));
  expect(both.map(({ client }) => client)).toEqual(["claude-desktop", "claude-code"]);
});

/** A machine on which SHIM stands where `launch` says and all Nodes are new. */
function aContext(overrides: Partial<InspectContext> = {}): InspectContext {
  return {
    read: readText,
    exists: (path) => path.startsWith("/src/shim/"),
    nodeVersion: () => "v24.1.0",
    launch,
    claudeVersion: "2.1.117 (Claude Code)",
    wantsBlocking: false,
    ...overrides,
  };
}

function lookAt(home: ClientHome, overrides?: Partial<InspectContext>): Finding[] {
  return inspect(home.code, aContext({ wantsBlocking: wantsBlocking(home.config), ...overrides }));
}

/** The version of the client cannot be asked. */
const unasked = { claudeVersion: null };

const codes = (findings: Finding[]): string[] => findings.map(({ severity, code }) => `${severity} ${code}`);

function change(home: ClientHome, path: string, edit: (text: string) => string): void {
  home.write(path, edit(home.read(path) ?? ""));
}

it("finds SHIM installed by init, and not installed", () => {
  const home = aClientHome();
  expect(lookAt(home)).toEqual([
    {
      severity: "warning",
      client: "claude-code",
      code: "not_installed",
      text: "Claude Code: SHIM is not installed",
      fix: "Run `shim init`.",
    },
  ]);
  home.install();
  expect(codes(lookAt(home))).toEqual(["ok installed"]);
  home.install(home.desktop);
  expect(codes(inspect(home.desktop, aContext()))).toEqual(["ok installed"]);
});

it("says how tool events reach SHIM, and what to do where the client and the hooks do not fit", () => {
  const home = aClientHome("2.1.117 (Claude Code)");
  home.install();
  const [found] = lookAt(home);
  expect(found?.text).toBe(
    "Claude Code: SHIM is installed by `shim init`; tool events start a process each (Claude Code 2.1.117)",
  );
  const updated = { claudeVersion: "2.1.328 (Claude Code)" };
  expect(codes(lookAt(home, updated))).toEqual(["ok installed", "warning outdated"]);
  expect(lookAt(home, updated).at(-1)).toMatchObject({
    text: expect.stringMatching(/`shim init` .*adds hooks for PreModelSwitch; corrects SHIM's hooks/) as string,
    fix: "Run `shim init` again.",
  });
  home.claudeVersion = updated.claudeVersion;
  home.install();
  expect(lookAt(home, updated)[0]?.text).toContain("tool events go through its MCP process");
  expect(codes(lookAt(home, updated))).toEqual(["ok installed"]);
  expect(codes(lookAt(home))).toEqual(["ok installed", "warning outdated"]);
  expect(codes(lookAt(home, unasked))).toEqual(["ok installed"]);
});

it("says how the plugin's tool events reach SHIM", () => {
  const home = aClientHome();
  change(home, home.settings, (text) => set(text, ["enabledPlugins", "shim@mine"], true));
  const found = (claudeVersion: string | null): string[] => lookAt(home, { claudeVersion }).map(({ text }) => text);
  const installed = "Claude Code: SHIM is installed as the plugin shim@mine";
  expect(found(null)).toEqual([installed]);
  expect(found("2.1.118 (Claude Code)")).toEqual([
    `${installed}; tool events go through its MCP process (Claude Code 2.1.118)`,
  ]);
  expect(found("2.1.117 (Claude Code)")).toEqual([
    `${installed}; tool events are read from the transcript (Claude Code 2.1.117)`,
  ]);
});

it("compares team.blockUnchecked with what the hooks do", () => {
  const claudeVersion = `${blockingSince} (Claude Code)`;
  const home = aClientHome(claudeVersion);
  home.install();
  const found = (version = claudeVersion): string[] => codes(lookAt(home, { claudeVersion: version }));
  const wanted = '{"team": {"blockUnchecked": true}}';
  expect(found()).toEqual(["ok installed"]);
  home.write(home.config, wanted);
  expect(found()).toEqual(["ok installed", "error not_blocking"]);
  home.install();
  expect(found()).toEqual(["ok installed"]);
  expect(lookAt(home, { claudeVersion })[0]?.text).toContain("could not check is blocked");
  home.write(home.config, "{}");
  expect(found()).toEqual(["ok installed", "warning outdated"]);
  home.write(home.config, wanted);
  home.claudeVersion = "2.1.118 (Claude Code)";
  home.install();
  expect(lookAt(home, { claudeVersion: home.claudeVersion })[1]?.fix).toBe(
    "Update Claude Code, then: Run `shim init` again.",
  );
  const withPlugin = aClientHome();
  change(withPlugin, withPlugin.settings, (text) => set(text, ["enabledPlugins", "shim@mine"], true));
  withPlugin.write(withPlugin.config, wanted);
  expect(codes(lookAt(withPlugin, { claudeVersion }))).toContain("error not_blocking");
});

it("finds what is missing", () => {
  const home = aClientHome();
  home.install();
  change(home, home.settings, (text) => remove(text, ["statusLine"]));
  expect(lookAt(home).map(({ text }) => text)).toContain(
    "Claude Code: SHIM is not set up as it would be now: `shim init` sets SHIM's status line",
  );
  change(home, home.settings, (text) => remove(text, ["hooks", "Stop"]));
  expect(lookAt(home).map(({ text }) => text)).toContain(
    "Claude Code: SHIM is not set up as it would be now: `shim init` adds hooks for Stop; corrects SHIM's hooks; sets SHIM's status line",
  );
  change(home, home.servers, (text) => remove(text, ["mcpServers"]));
  expect(lookAt(home).map(({ text }) => text)).toContain(
    "Claude Code: the hooks are installed, but not the MCP server",
  );
  change(home, home.servers, (text) => set(text, ["mcpServers", "shim"], { command: "other" }));
  expect(codes(lookAt(home))).toContain("error name_taken");
});

it("finds a clone that has moved, another copy, and a Node that is gone or too old", () => {
  const home = aClientHome();
  home.install();
  expect(codes(lookAt(home, { exists: () => false }))).toEqual([
    "ok installed",
    "error script_missing",
    "error script_missing",
  ]);
  const here: Launch = { ...launch, script: "/new/bin/shim.mjs", hookScript: "/new/dist/hook.cjs" };
  expect(codes(lookAt(home, { launch: here }))).toEqual(["ok installed", "warning outdated"]);
  expect(codes(lookAt(home, { nodeVersion: () => null }))).toEqual(["ok installed", "error node_unfit"]);
  const versions = ["v20.20.2", "v22.15.9", "v22.16.0", "v26.0.0"];
  const found = versions.map((version) => codes(lookAt(home, { nodeVersion: () => version })).at(-1));
  expect(found).toEqual(["error node_unfit", "error node_unfit", "ok installed", "ok installed"]);
});

it("asks no version of a program that is not Node", () => {
  const home = aClientHome();
  home.write(home.desktop.serversFile, '{"mcpServers": {"shim": {"command": "shim", "args": ["mcp"]}}}');
  expect(codes(inspect(home.desktop, aContext({ nodeVersion: () => null })))).toEqual([
    "ok installed",
    "warning outdated",
  ]);
});

it("finds files that cannot be read or that the client ignores", () => {
  const home = aClientHome();
  home.install();
  change(home, home.settings, (text) => text.replace("{", "{ // mine"));
  expect(codes(lookAt(home))).toEqual(["error file_ignored", "ok installed"]);
  home.write(home.settings, "{");
  expect(codes(lookAt(home))).toEqual(["error file_unsound"]);
  const unreadable = { path: "", code: "config_unreadable", message: "" } as const;
  expect(codes(lookAt(home, { read: () => ({ ok: false, error: unreadable }) }))).toEqual(["error file_unsound"]);
});

it("finds hooks that are switched off", () => {
  const home = aClientHome();
  home.install();
  change(home, home.settings, (text) => set(text, ["disableAllHooks"], true));
  expect(codes(lookAt(home))).toEqual(["ok installed", "error hooks_disabled"]);
});

it("finds SHIM doubled within one file", () => {
  const home = aClientHome();
  home.install();
  change(home, home.servers, (text) =>
    set(text, ["mcpServers", "again"], { command: "/opt/node/bin/node", args: [launch.script, "mcp"] }),
  );
  change(home, home.settings, (text) =>
    set(
      text,
      ["hooks", "Stop"],
      [
        { hooks: [{ type: "command", command: launch.node, args: [launch.hookScript, "Stop"] }] },
        { hooks: [{ type: "command", command: "shim hook Stop" }] },
      ],
    ),
  );
  const found = lookAt(home);
  expect(codes(found)).toEqual(["ok installed", "warning outdated"]);
  expect(found[1]?.text).toContain('corrects the MCP server "shim"; corrects SHIM\'s hooks');
});

it("finds the plugin by the settings, and warns when init is there too; one that is off does not count", () => {
  const home = aClientHome();
  home.write(home.settings, '{"enabledPlugins": {"shim@shim": true, "shim@off": false, "other@mine": true}}');
  expect(lookAt(home, unasked).map(({ text }) => text)).toEqual([
    "Claude Code: SHIM is installed as the plugin shim@shim",
  ]);
  home.install();
  expect(codes(lookAt(home, unasked))).toEqual(["ok installed"]);
  change(home, home.servers, (text) =>
    set(text, ["mcpServers", "shim"], { command: "node", args: [launch.script, "mcp"] }),
  );
  const doubled = lookAt(home, unasked).find(({ code }) => code === "doubled");
  expect(doubled).toMatchObject({
    severity: "warning",
    fix: expect.stringContaining("claude plugin uninstall shim@shim") as string,
  });
});
