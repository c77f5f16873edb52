import { detect } from "#src/installer/targets.ts";
import { expect, it } from "vitest";
import { blockingSince } from "#src/contract/hook-tool.ts";
import { readText } from "#src/installer/file-edits.ts";
import type { Launch } from "#src/platform/shim-command.ts";
import { inspect, type Finding, type InspectContext, wantsBlocking } from "#src/installer/inspect.ts";
import { json } from "#src/installer/settings.ts";
import { aClientHome, launch, type ClientHome } from "#harness/machine/client-home.ts";

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
  expect(lookAt(home)).toMatchObject([{ client: "claude-code", code: "not_installed", fix: "Run `shim init`." }]);
  home.install();
  expect(codes(lookAt(home))).toEqual(["ok installed"]);
  home.install(home.desktop);
  expect(codes(inspect(home.desktop, aContext()))).toEqual(["ok installed"]);
});

it("says how tool events reach SHIM, and what to do where the client and the hooks do not fit", () => {
  const home = aClientHome("2.1.117 (Claude Code)");
  home.install();
  expect(lookAt(home)[0]?.text).toContain("tool events start a process each (Claude Code 2.1.117)");
  const updated = { claudeVersion: "2.1.328 (Claude Code)" };
  expect(codes(lookAt(home, updated))).toEqual(["ok installed", "warning outdated"]);
  home.claudeVersion = updated.claudeVersion;
  home.install();
  expect(lookAt(home, updated)[0]?.text).toContain("tool events go through its MCP process");
  expect(codes(lookAt(home, updated))).toEqual(["ok installed"]);
  expect(codes(lookAt(home))).toEqual(["ok installed", "warning outdated"]);
  expect(codes(lookAt(home, unasked))).toEqual(["ok installed"]);
});

it("compares team.blockUnchecked with what the hooks do", () => {
  const claudeVersion = `${blockingSince} (Claude Code)`;
  const home = aClientHome(claudeVersion);
  home.install();
  const found = (): string[] => codes(lookAt(home, { claudeVersion }));
  const wanted = '{"team": {"blockUnchecked": true}}';
  home.write(home.config, wanted);
  expect(found()).toEqual(["ok installed", "error not_blocking"]);
  home.install();
  expect(found()).toEqual(["ok installed"]);
  home.write(home.config, "{}");
  expect(found()).toEqual(["ok installed", "warning outdated"]);
  const withPlugin = aClientHome();
  change(withPlugin, withPlugin.settings, (text) => json.set(text, ["enabledPlugins"], { "shim@mine": true }));
  withPlugin.write(withPlugin.config, wanted);
  expect(codes(lookAt(withPlugin, { claudeVersion }))).toContain("error not_blocking");
});

it("finds what is missing or switched off", () => {
  const home = aClientHome();
  home.install();
  const texts = (): string => JSON.stringify(lookAt(home));
  change(home, home.settings, (text) => json.remove(json.remove(text, ["statusLine"]), ["hooks", "Stop"]));
  expect(texts()).toContain("`shim init` adds hooks for Stop; corrects SHIM's hooks; sets SHIM's status line");
  change(home, home.servers, (text) => json.remove(text, ["mcpServers"]));
  expect(texts()).toContain("the hooks are installed, but not the MCP server");
  change(home, home.servers, (text) => json.set(text, ["mcpServers"], { shim: { command: "other" } }));
  change(home, home.settings, (text) => json.set(text, ["disableAllHooks"], true));
  expect(codes(lookAt(home))).toEqual(expect.arrayContaining(["error name_taken", "error hooks_disabled"]));
});

it("finds a clone that has moved, another copy, and a Node that is gone or too old", () => {
  const home = aClientHome();
  home.install();
  const missing = codes(lookAt(home, { exists: () => false }));
  expect(missing).toEqual(["ok installed", "error script_missing", "error script_missing"]);
  const here: Launch = { ...launch, script: "/new/bin/shim.mjs", hookScript: "/new/dist/hook.cjs" };
  expect(codes(lookAt(home, { launch: here }))).toEqual(["ok installed", "warning outdated"]);
  expect(codes(lookAt(home, { nodeVersion: () => null }))).toEqual(["ok installed", "error node_unfit"]);
  const versions = ["v20.20.2", "v22.15.9", "v22.16.0", "v26.0.0"];
  const found = versions.map((version) => codes(lookAt(home, { nodeVersion: () => version })).at(-1));
  expect(found).toEqual(["error node_unfit", "error node_unfit", "ok installed", "ok installed"]);
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

it("finds the plugin by the settings, and warns when init is there too; one that is off does not count", () => {
  const home = aClientHome();
  home.write(home.settings, '{"enabledPlugins": {"shim@shim": true, "shim@off": false, "other@mine": true}}');
  const text = "Claude Code: SHIM is installed as the plugin shim@shim";
  expect(lookAt(home, unasked)).toMatchObject([{ code: "installed", text }]);
  expect(lookAt(home)[0]?.text).toContain(`${text}; tool events are read from the transcript`);
  expect(lookAt(home, { claudeVersion: "2.1.328" })[0]?.text).toContain("tool events go through its MCP process");
  home.install();
  expect(codes(lookAt(home, unasked))).toEqual(["ok installed"]);
  const shim = { command: "node", args: [launch.script, "mcp"] };
  change(home, home.servers, (text) => json.set(text, ["mcpServers"], { shim }));
  expect(codes(lookAt(home, unasked))).toContain("warning doubled");
});

const local = "C:\\Users\\me\\AppData\\Local";
const store = `${local}\\Packages\\Claude_pzs8sxrjxfjjc\\LocalCache\\Roaming\\Claude`;

const inLibrary = "/me/Library/Application Support/Claude";
const desktopFile = "claude_desktop_config.json";

it.each<[NodeJS.Platform, string[], string[], Record<string, string>?]>([
  ["linux", [], []],
  ["darwin", [inLibrary], [`${inLibrary}/${desktopFile}`]],
  ["linux", ["/cfg/Claude"], [`/cfg/Claude/${desktopFile}`], { XDG_CONFIG_HOME: "/cfg" }],
  ["linux", ["/me/.claude", "/me/.config/Claude"], [`/me/.config/Claude/${desktopFile}`, "/me/.claude.json"]],
  ["linux", ["/me/.claude", "/me/.claude/.config.json"], ["/me/.claude/.config.json"]],
  ["darwin", ["/else"], ["/else/.claude.json"], { CLAUDE_CONFIG_DIR: "/else" }],
  ["win32", ["C:\\npm\\claude.cmd"], ["C:\\Users\\me\\.claude.json"], { Path: "C:\\tools;C:\\npm" }],
  ["win32", [`${local}\\Packages`, store], [`${store}\\${desktopFile}`]],
  ["linux", ["/me/.codex"], ["/me/.codex/config.toml"]],
  ["linux", ["/bin/codex"], ["/me/.codex/config.toml"], { PATH: "/usr/bin:/bin" }],
  ["linux", ["/else"], ["/else/config.toml"], { CODEX_HOME: "/else" }],
])("on %s with %j the clients' files are %j", (platform, paths, files, env = {}) => {
  const separator = platform === "win32" ? "\\" : "/";
  const list = (folder: string): string[] =>
    paths.flatMap((path) =>
      path.startsWith(`${folder}${separator}`) ? (path.slice(folder.length + 1).split(separator)[0] ?? []) : [],
    );
  const homedir = platform === "win32" ? "C:\\Users\\me" : "/me";
  const found = detect({ platform, env, homedir, exists: (path) => paths.includes(path), list });
  expect(found.map(({ serversFile }) => serversFile)).toEqual(files);
});
