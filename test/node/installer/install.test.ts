import { clientMs } from "#src/contract/hook-limits.ts";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { hookEvents, type HookEvent } from "#src/contract/hooks.ts";
import { hookToolGroups } from "#src/contract/hook-tool.ts";
import { hookCommand, isOurHook, isOurServer, isOurStatusLine, statusLineCommand } from "#src/installer/entries.ts";
import { readText } from "#src/installer/file-edits.ts";
import { json } from "#src/installer/settings.ts";
import { aClientHome, anInstalledHome, launch, type ClientHome } from "#harness/machine/client-home.ts";
import { detect } from "#src/installer/targets.ts";
import type { Launch } from "#src/platform/shim-command.ts";
import { inspect, type Finding, type InspectContext } from "#src/installer/inspect.ts";

const handler = (event: string, timeout = 10): object => ({
  type: "command",
  command: "/bin/sh",
  args: [
    "-c",
    event === "SessionStart"
      ? expect.stringMatching(
          /^\(\. "\$0"\) 2>\/dev\/null \|\| printf %s '\{"systemMessage":"SHIM does not save .*"\}'; exit 0$/,
        )
      : '(. "$0") 2>/dev/null; exit 0',
    "/src/shim/dist/shim-hook",
    launch.node,
    event,
  ],
  timeout,
});

const server = { command: launch.node, args: [launch.script, "mcp"] };
const otherwise = "|| echo 'SHIM does not work: this chat is not saved'";

it("puts server, hooks and status line into a Claude Code without settings, and finds itself there", () => {
  const home = aClientHome();
  expect(lookAt(home)).toMatchObject([{ client: "claude-code", code: "not_installed", fix: "Run `shim init`." }]);
  home.install();
  expect(codes(lookAt(home))).toEqual(["ok installed"]);
  expect(home.value(home.servers)).toEqual({ mcpServers: { shim: { type: "stdio", ...server } } });
  const known = hookEvents.filter((event) => event !== "PreModelSwitch");
  const timeouts: Partial<Record<HookEvent, number>> = { SessionStart: 15, PermissionRequest: 600 };
  const hooks = known.map((event) => [event, [{ hooks: [handler(event, timeouts[event] ?? 10)] }]]);
  const statusLine = {
    type: "command",
    command: `/bin/sh /src/shim/dist/shim-hook /opt/node/bin/node StatusLine ${otherwise}`,
  };
  expect(home.value(home.settings)).toEqual({ hooks: Object.fromEntries(hooks) as object, statusLine });
  expect(home.read(home.config)).toBeNull();
  home.install(home.desktop);
  expect(codes(inspect(home.desktop, aContext()))).toEqual(["ok installed"]);
});

it("no hook of Claude Code needs SHIM's server, which may be killed, left out or not allowed", () => {
  const home = aClientHome("2.1.332 (Claude Code)");
  home.install();
  expect(home.read(home.settings)).not.toContain("mcp_tool");
  expect(home.value(home.settings, "hooks", "PreToolUse")).toEqual([{ hooks: [handler("PreToolUse")] }]);
  expect(home.install().edits).toEqual([]);
});

it("on Windows tool events come by hooks of the server, under the server's name", () => {
  const home = aClientHome("2.1.197 (Claude Code)");
  const code = { ...home.code, platform: "win32" } as const;
  home.write(home.servers, JSON.stringify({ mcpServers: { mine: server } }));
  home.install(code);
  const hooks = home.value(home.settings, "hooks") as Record<string, object[]>;
  for (const event of ["PreToolUse", "Stop"] as const) expect(hooks[event]).toEqual(hookToolGroups(event, "mine"));
  for (const event of ["SessionStart", "UserPromptSubmit", "SessionEnd"] as const)
    expect(hooks[event]).toEqual([
      {
        hooks: [{ type: "command", ...hookCommand(launch, event), timeout: clientMs(event) / 1_000 }],
      },
    ]);
  expect(Object.keys(hooks)).not.toContain("PreModelSwitch");
  expect(home.install(code).edits).toEqual([]);
});

it("corrects the entries of a clone that moved without moving them and leaves the user's hooks", () => {
  const home = aClientHome();
  home.install(home.code, { node: "/old/node", script: "/old/bin/shim.mjs", hookScript: "/old/dist/hook.cjs" });
  const moved = home.value(home.settings) as { hooks: Record<string, { hooks: object[] }[]> };
  const own = { type: "command", command: "say done" };
  moved.hooks["Stop"] = [
    { hooks: [own, ...(moved.hooks["Stop"]?.[0]?.hooks ?? [])] },
    { hooks: [{ type: "command", command: "/old/node", args: ["/old/dist/hook.cjs", "Stop"] }] },
  ];
  home.write(home.settings, JSON.stringify(moved));
  const shim = home.value(home.servers, "mcpServers", "shim") as object;
  const changed = { ...shim, env: { SHIM_HOME: "/data" }, timeout: 5000 };
  home.write(home.servers, JSON.stringify({ mcpServers: { memory: changed, shim: changed } }));
  home.install();
  expect(home.value(home.servers)).toEqual({ mcpServers: { memory: { ...changed, ...server } } });
  expect(home.value(home.settings, "hooks", "Stop")).toEqual([{ hooks: [own, handler("Stop")] }]);
  expect(home.value(home.settings, "statusLine", "command")).toContain("/src/shim/dist/shim-hook");
  home.uninstall();
  expect(home.value(home.settings)).toEqual({ hooks: { Stop: [{ hooks: [own] }] } });
});

it.each([
  ["settings", "{ not json", "is not valid JSON"],
  ["settings", '{"hooks": []}', 'unexpected "hooks"'],
  ["settings", '{"hooks": {"Stop": {}}}', 'unexpected "hooks.Stop"'],
  ["servers", '{"mcpServers": null}', 'unexpected "mcpServers"'],
  ["servers", '{"a": 1, "a": 2}', "a second time at line 1, column 10"],
  ["servers", "[]", "not an object"],
] as const)("refuses a file that it cannot understand and changes none: %s with %s", (file, text, message) => {
  const home = aClientHome();
  const path = home[file];
  home.write(path, text);
  const error = { code: "config_unsound", path, message: expect.stringContaining(message) as string };
  expect(home.planInstall(home.code)).toMatchObject({ ok: false, error });
  expect(home.read(path)).toBe(text);
});

it("refuses what is not UTF-8, and a folder instead of a file", () => {
  const home = aClientHome();
  home.write(home.settings, "");
  writeFileSync(home.settings, Buffer.from([0xff, 0xfe, 0x7b]));
  expect(home.planInstall(home.code)).toMatchObject({ ok: false, error: { code: "config_unreadable" } });
  expect(readText(home.folder)).toMatchObject({ ok: false, error: { code: "config_unreadable" } });
  expect(readText(join(home.settings, "below"))).toEqual({ ok: true, value: null });
});

it("leaves the user's own status line, now and when it goes, and says how to have both", () => {
  for (const line of [{ type: "command", command: "ccline --x", padding: 2 }, { type: "text", text: "x" }, "x"]) {
    const home = aClientHome();
    const own = { statusLine: line, hooks: { Stop: [] } };
    home.write(home.settings, JSON.stringify(own));
    const both = "let it also run `/bin/sh /src/shim/dist/shim-hook /opt/node/bin/node StatusLine ";
    expect(home.install().notes).toEqual([expect.stringContaining(both)]);
    change(home, home.settings, (text) => json.set(text, ["theUsers"], 1));
    home.uninstall();
    expect(home.value(home.settings)).toEqual({ ...own, theUsers: 1 });
  }
});

it("with the plugin enabled sets only the status line, and takes out what an earlier init left", () => {
  const home = anInstalledHome();
  home.write(home.settings, json.set(home.read(home.settings) ?? "", ["enabledPlugins"], { "shim@shim": true }));
  expect(home.install().notes[0]).toContain("shim@shim");
  expect(home.value(home.settings, "hooks")).toBeUndefined();
  expect(home.value(home.settings, "statusLine")).toBeDefined();
  expect([home.value(home.servers), home.install().edits]).toEqual([{}, []]);
});

it("the status line's command is one that the shell splits as meant", () => {
  const odd = { ...launch, node: "/opt/my node/it's/node", hookScript: "/a $HOME/`x`/dist/hook.cjs" };
  const command = statusLineCommand(odd, "linux") ?? "";
  const words = execFileSync("sh", ["-c", `printf '%s\\n' ${command}`], { encoding: "utf8" });
  expect(execFileSync("sh", ["-c", command], { encoding: "utf8" })).toBe(
    "SHIM does not work: this chat is not saved\n",
  );
  expect(words).toBe("/bin/sh\n/a $HOME/`x`/dist/shim-hook\n/opt/my node/it's/node\nStatusLine\n");
  expect(isOurStatusLine({ type: "command", command })).toBe(true);
});

const commandOf = (node: string, script: string) => statusLineCommand({ ...launch, node, script }, "win32");

it("on Windows the command means the same to Git Bash and PowerShell, or is left out", () => {
  const node = "C:\\node\\node.exe";
  expect(commandOf(node, "C:\\shim\\bin\\shim.mjs")).toBe("C:/node/node.exe C:/shim/bin/shim.mjs statusline");
  const command = commandOf("C:\\Program Files\\nodejs\\node.exe", "C:\\my code\\bin\\shim.mjs");
  expect(command).toBe("cd 'C:/Program Files/nodejs'; ./node.exe 'C:/my code/bin/shim.mjs' statusline");
  expect([isOurStatusLine({ command }), commandOf(node, "C:\\it's $5\\bin\\shim.mjs")]).toEqual([true, null]);
});

const hook = (command: string, args?: string[]): boolean => isOurHook({ type: "command", command, args }, "Stop");

it("knows its own entries, of any clone, and no others", () => {
  const node = "C:\\Program Files\\nodejs\\node.exe";
  expect([
    isOurServer({ command: node, args: ["D:\\x\\bin\\shim.mjs", "mcp"] }),
    isOurServer({ command: "npx", args: ["-y", "shim-mcp@1.2.0", "mcp"] }),
    hook(node, ["D:\\x\\dist\\hook.cjs", "Stop"]),
    hook("/bin/sh", ["-c", '(. "$0") 2>/dev/null; exit 0', "/a b/dist/shim-hook", "/n o/node", "Stop"]),
    hook(`/bin/sh -c '(. "$0") 2>/dev/null; exit 0' '/a b/dist/shim-hook' '/n o/node' Stop --client codex`),
    hook('"/usr/bin/node" "/a b/bin/shim.mjs" hook Stop'),
    isOurStatusLine({ command: "shim statusline" }),
    isOurStatusLine({ command: "/bin/sh '/a b/dist/shim-hook' '/n o/node' StatusLine" }),
  ]).toEqual(Array(8).fill(true));
  expect([
    isOurServer({ command: node, args: ["/x/other.mjs", "mcp"] }),
    isOurServer({ command: node, args: ["/x/bin/shim.mjs", "up"] }),
    isOurServer("shim mcp"),
    hook(node, ["/x/dist/hook.cjs", "PreCompact"]),
    hook("python", ["/x/dist/hook.cjs", "Stop"]),
    hook(node, ["/home/me/.claude/hook.cjs", "Stop"]),
    hook("my-shim hook Stop"),
    isOurHook({ type: "http", url: "x" }, "Stop"),
    isOurStatusLine({ command: "shimmer statusline" }),
  ]).toEqual(Array(9).fill(false));
});

/** A machine on which SHIM stands where `launch` says and all Nodes are new. */
function aContext(overrides: Partial<InspectContext> = {}): InspectContext {
  return {
    read: readText,
    exists: (path) => path.startsWith("/src/shim/"),
    nodeVersion: () => "v24.1.0",
    launch,
    claudeVersion: "2.1.197 (Claude Code)",
    ...overrides,
  };
}

const lookAt = (home: ClientHome, overrides?: Partial<InspectContext>): Finding[] =>
  inspect(home.code, aContext(overrides));

/** The version of the client cannot be asked. */
const unasked = { claudeVersion: null };

const codes = (findings: Finding[]): string[] => findings.map(({ severity, code }) => `${severity} ${code}`);

const change = (home: ClientHome, path: string, edit: (text: string) => string): void =>
  home.write(path, edit(home.read(path) ?? ""));

it("says how tool events reach SHIM, and what to do where the client and the hooks do not fit", () => {
  const home = anInstalledHome("2.1.197 (Claude Code)");
  expect(lookAt(home)[0]?.text).toContain("tool events start a process each (Claude Code 2.1.197)");
  const updated = { claudeVersion: "2.1.328 (Claude Code)" };
  expect(codes(lookAt(home, updated))).toEqual(["ok installed", "warning outdated"]);
  home.claudeVersion = updated.claudeVersion;
  home.install();
  expect(lookAt(home, updated)[0]?.text).toContain("tool events start a process each (Claude Code 2.1.328)");
  expect(codes(lookAt(home, updated))).toEqual(["ok installed"]);
  expect(codes(lookAt(home))).toEqual(["ok installed", "warning outdated"]);
  expect(codes(lookAt(home, unasked))).toEqual(["ok installed"]);
});

it("finds what is missing or switched off", () => {
  const home = anInstalledHome();
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
  const home = anInstalledHome();
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
  const home = anInstalledHome();
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
  expect(lookAt(home)[0]?.text).toContain(`${text}; tool events start a process each`);
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
  const list = (folder: string): string[] => {
    const inside = paths.filter((path) => path.startsWith(`${folder}${separator}`));
    return inside.flatMap((path) => path.slice(folder.length + 1).split(separator)[0] ?? []);
  };
  const homedir = platform === "win32" ? "C:\\Users\\me" : "/me";
  const found = detect({ platform, env, homedir, exists: (path) => paths.includes(path), list });
  expect(found.map(({ serversFile }) => serversFile)).toEqual(files);
});
