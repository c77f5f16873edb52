import { execFileSync } from "node:child_process";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { hookEvents } from "#src/contract/hook-input.ts";
import { blockingSince, hookToolGroups } from "#src/contract/hook-tool.ts";
import { isOurHook, isOurServer, isOurStatusLine, statusLineCommand } from "#src/installer/entries.ts";
import { readText } from "#src/installer/client-files.ts";
import { valueAt } from "#harness/machine/settings-edits.ts";
import { aClientHome, contents, launch, valueOf } from "#harness/machine/client-home.ts";

const handler = (event: string, timeout = 10): object => ({
  type: "command",
  command: "/bin/sh",
  args: ["/src/shim/dist/shim-hook", launch.node, event],
  timeout,
});

it("puts server, hooks and status line into a Claude Code without settings", () => {
  const home = aClientHome();
  home.install();
  expect(JSON.parse(home.read(home.servers) ?? "")).toEqual({
    mcpServers: { shim: { type: "stdio", command: launch.node, args: [launch.script, "mcp"] } },
  });
  const known = hookEvents.filter((event) => event !== "PreModelSwitch");
  const hooks = known.map((event) => [event, [{ hooks: [handler(event, event === "SessionStart" ? 15 : 10)] }]]);
  expect(JSON.parse(home.read(home.settings) ?? "")).toEqual({
    hooks: Object.fromEntries(hooks) as object,
    statusLine: { type: "command", command: "/opt/node/bin/node /src/shim/bin/shim.mjs statusline" },
  });
  expect(home.read(home.config)).toBeNull();
});

it("a client that knows hooks of a server gets them for tool events, under the server's name", () => {
  const home = aClientHome("2.1.118 (Claude Code)");
  home.write(
    home.servers,
    JSON.stringify({ mcpServers: { mine: { command: launch.node, args: [launch.script, "mcp"] } } }),
  );
  home.install();
  const { hooks } = JSON.parse(home.read(home.settings) ?? "") as { hooks: Record<string, object[]> };
  expect(hooks["PreToolUse"]).toEqual(hookToolGroups("PreToolUse", "mine"));
  expect(hooks["Stop"]).toEqual(hookToolGroups("Stop", "mine"));
  for (const event of ["SessionStart", "UserPromptSubmit", "SessionEnd"] as const)
    expect(hooks[event]).toEqual([{ hooks: [handler(event, event === "SessionStart" ? 15 : 10)] }]);
  expect(Object.keys(hooks)).not.toContain("PreModelSwitch");
  expect(home.install().edits).toEqual([]);
});

it("where the user asks for it, hooks block a call that SHIM could not check, and no longer when not", () => {
  const home = aClientHome(`${blockingSince} (Claude Code)`);
  home.write(home.config, '{"team": {"blockUnchecked": true}}');
  const groups = (): unknown => valueAt(home.read(home.settings) ?? "", ["hooks", "PreToolUse"]);
  expect(home.install().notes.join()).not.toContain("blockUnchecked");
  expect(groups()).toEqual(hookToolGroups("PreToolUse", "shim", true));
  expect(home.read(home.settings)?.match(/"onFailure": "block"/g)).toHaveLength(2);
  expect(valueAt(home.read(home.settings) ?? "", ["hooks", "Stop"])).toEqual(hookToolGroups("Stop", "shim"));
  home.write(home.config, "{}");
  home.install();
  expect(groups()).toEqual(hookToolGroups("PreToolUse", "shim"));
});

it("a client that cannot block, and the plugin, get a note instead", () => {
  const old = aClientHome("2.1.118 (Claude Code)");
  const withPlugin = aClientHome(`${blockingSince} (Claude Code)`);
  withPlugin.write(withPlugin.settings, '{"enabledPlugins": {"shim@mine": true}}');
  for (const home of [old, withPlugin]) {
    home.write(home.config, '{"team": {"blockUnchecked": true}}');
    expect(home.install().notes.at(-1)).toMatch(/^team\.blockUnchecked has no effect: .*continues\.$/);
    expect(home.read(home.settings)).not.toContain("onFailure");
  }
});

function eventsFor(version: string | null): string[] {
  const home = aClientHome(version);
  home.install();
  return Object.keys((JSON.parse(home.read(home.settings) ?? "") as { hooks: object }).hooks);
}

it("an event is registered only where the client knows it", () => {
  expect(eventsFor("2.1.251 (Claude Code)")).toContain("PreModelSwitch");
  for (const version of ["2.1.250 (Claude Code)", "1.9.999", "not a version", null])
    expect(eventsFor(version)).not.toContain("PreModelSwitch");
});

it("an update of the client changes the hooks where they are, forth and back; uninstall leaves nothing", () => {
  const [old, updated] = ["2.1.117 (Claude Code)", "2.1.328 (Claude Code)"];
  const mine = { hooks: { Stop: [{ hooks: [{ type: "command", command: "say done" }] }] } };
  const home = aClientHome(old);
  home.write(home.settings, JSON.stringify(mine));
  home.install();
  const before = home.read(home.settings);
  home.claudeVersion = updated;
  home.install();
  const text = home.read(home.settings) ?? "";
  const { hooks } = JSON.parse(text) as { hooks: Record<string, object[]> };
  expect(hooks["Stop"]).toEqual([...mine.hooks.Stop, ...hookToolGroups("Stop", "shim")]);
  expect(text.match(/shim-hook/g)).toHaveLength(3);
  home.claudeVersion = old;
  home.install();
  expect(JSON.parse(home.read(home.settings) ?? "")).toEqual(JSON.parse(before ?? ""));
  home.claudeVersion = updated;
  home.install();
  home.uninstall();
  expect(JSON.parse(home.read(home.settings) ?? "")).toEqual(mine);
});

it("puts only the server into Claude Desktop", () => {
  const home = aClientHome();
  home.write(home.desktop.serversFile, '{\n  "globalShortcut": "Ctrl+Q"\n}');
  expect(home.install(home.desktop).edits.map(({ path }) => path)).toEqual([home.desktop.serversFile]);
  expect(JSON.parse(home.read(home.desktop.serversFile) ?? "")).toEqual({
    globalShortcut: "Ctrl+Q",
    mcpServers: { shim: { command: launch.node, args: [launch.script, "mcp"] } },
  });
});

it("installing twice is installing once", () => {
  const home = aClientHome();
  home.write(home.settings, '{ "statusLine": { "type": "command", "command": "mine" } }');
  home.install();
  const first = contents(home);
  expect(home.install().edits).toEqual([]);
  expect(contents(home)).toEqual(first);
});

it("corrects the entries of a clone that moved without moving them and leaves the user's hooks", () => {
  const home = aClientHome();
  home.install(home.code, { node: "/old/node", script: "/old/bin/shim.mjs", hookScript: "/old/dist/hook.cjs" });
  const moved = JSON.parse(home.read(home.settings) ?? "") as { hooks: Record<string, { hooks: object[] }[]> };
  moved.hooks["Stop"] = [
    { hooks: [{ type: "command", command: "say done" }, ...(moved.hooks["Stop"]?.[0]?.hooks ?? [])] },
    { hooks: [{ type: "command", command: "/old/node", args: ["/old/dist/hook.cjs", "Stop"] }] },
  ];
  home.write(home.settings, JSON.stringify(moved));
  const servers = JSON.parse(home.read(home.servers) ?? "") as { mcpServers: { shim: object } };
  const own = { ...servers.mcpServers.shim, env: { SHIM_HOME: "/data" }, timeout: 5000 };
  home.write(home.servers, JSON.stringify({ mcpServers: { memory: own, shim: own } }));
  home.install();
  expect(JSON.parse(home.read(home.servers) ?? "")).toEqual({
    mcpServers: { memory: { ...own, command: launch.node, args: [launch.script, "mcp"] } },
  });
  expect(valueAt(home.read(home.settings) ?? "", ["hooks", "Stop"])).toEqual([
    { hooks: [{ type: "command", command: "say done" }, handler("Stop")] },
  ]);
  expect(valueAt(home.read(home.settings) ?? "", ["statusLine", "command"])).toContain(launch.script);
});

it("refuses a file that it cannot understand and changes none", () => {
  const cases: [string, string, string][] = [
    ["settings", "{ not json", "is not valid JSON"],
    ["settings", '{"hooks": []}', 'unexpected "hooks"'],
    ["settings", '{"hooks": {"Stop": {}}}', 'unexpected "hooks.Stop"'],
    ["servers", '{"mcpServers": null}', 'unexpected "mcpServers"'],
    ["servers", '{"a": 1, "a": 2}', "a second time"],
    ["servers", "[]", "not an object"],
  ];
  for (const [file, text, message] of cases) {
    const home = aClientHome();
    const path = file === "settings" ? home.settings : home.servers;
    home.write(path, text);
    const plan = home.planInstall(home.code);
    expect(plan).toMatchObject({ ok: false, error: { code: "config_unsound", path } });
    expect(!plan.ok && plan.error.message).toContain(message);
    expect(home.read(path)).toBe(text);
  }
});

it("refuses what is not UTF-8, and a folder instead of a file", () => {
  const home = aClientHome();
  home.write(home.settings, "x");
  execFileSync("sh", ["-c", `printf '\\377\\376{' > '${home.settings}'`]);
  expect(home.planInstall(home.code)).toMatchObject({ ok: false, error: { code: "config_unreadable" } });
  expect(readText(home.folder)).toMatchObject({ ok: false, error: { code: "config_unreadable" } });
  expect(readText(join(home.settings, "below"))).toEqual({ ok: true, value: null });
});

it("refuses to take the name of another server", () => {
  const home = aClientHome();
  home.write(home.servers, '{"mcpServers": {"shim": {"command": "other"}}}');
  expect(home.planInstall(home.code)).toMatchObject({ ok: false, error: { code: "name_taken" } });
});

it("says when a client will not read the file for its comments", () => {
  const home = aClientHome();
  home.write(home.settings, '{\n  // mine\n  "model": "opus"\n}\n');
  expect(home.install().notes).toEqual([expect.stringContaining("has comments, which Claude Code does not read")]);
  expect(home.read(home.settings)).toContain('{\n  // mine\n  "model": "opus",\n  "hooks": {');
});

it("leaves the user's own status line, and says how to have both", () => {
  for (const line of [{ type: "command", command: "ccline --x", padding: 2 }, { type: "text", text: "x" }, "x"]) {
    const home = aClientHome();
    home.write(home.settings, JSON.stringify({ statusLine: line }));
    expect(home.install().notes).toEqual([
      expect.stringContaining("let it also run `/opt/node/bin/node /src/shim/bin/shim.mjs statusline`"),
    ]);
    expect(valueAt(home.read(home.settings) ?? "", ["statusLine"])).toEqual(line);
  }
});

it("with the plugin enabled sets only the status line, and takes out what an earlier init left", () => {
  const home = aClientHome();
  home.install();
  const enabled = { ...(JSON.parse(home.read(home.settings) ?? "") as object), enabledPlugins: { "shim@shim": true } };
  home.write(home.settings, JSON.stringify(enabled));
  expect(home.install().notes[0]).toContain("shim@shim");
  expect(valueAt(home.read(home.settings) ?? "", ["hooks"])).toBeUndefined();
  expect(valueAt(home.read(home.settings) ?? "", ["statusLine"])).toBeDefined();
  expect(JSON.parse(home.read(home.servers) ?? "")).toEqual({});
  expect(home.install().edits).toEqual([]);
});

it("the status line's command is one that the shell splits as meant", () => {
  const odd = { ...launch, node: "/opt/my node/it's/node", script: "/a $HOME/`x`/bin/shim.mjs" };
  const command = statusLineCommand(odd, "linux") ?? "";
  const words = execFileSync("sh", ["-c", `printf '%s\\n' ${command}`], { encoding: "utf8" });
  expect(words).toBe("/opt/my node/it's/node\n/a $HOME/`x`/bin/shim.mjs\nstatusline\n");
  expect(isOurStatusLine({ type: "command", command })).toBe(true);
});

function onWindows(node: string, script: string): string | null {
  return statusLineCommand({ ...launch, node, script }, "win32");
}

it("on Windows the command means the same to Git Bash and PowerShell", () => {
  expect(onWindows("C:\\node\\node.exe", "C:\\shim\\bin\\shim.mjs")).toBe(
    "C:/node/node.exe C:/shim/bin/shim.mjs statusline",
  );
  const command = onWindows("C:\\Program Files\\nodejs\\node.exe", "C:\\my code\\bin\\shim.mjs");
  expect(command).toBe("cd 'C:/Program Files/nodejs'; ./node.exe 'C:/my code/bin/shim.mjs' statusline");
  expect(isOurStatusLine({ command })).toBe(true);
  expect(onWindows("C:\\node\\node.exe", "C:\\it's\\bin\\shim.mjs")).toBe(
    'C:/node/node.exe "C:/it\'s/bin/shim.mjs" statusline',
  );
  expect(onWindows("C:\\node\\node.exe", "C:\\it's $5\\bin\\shim.mjs")).toBeNull();
  const home = aClientHome();
  const target = { ...home.code, platform: "win32" as const };
  const plan = valueOf(home.planInstall(target, { ...launch, script: "C:\\it's $5\\bin\\shim.mjs" }));
  expect(plan.notes).toEqual([expect.stringContaining("left unchanged")]);
});

it("on Windows each event starts the program, since there is no shell script", () => {
  const home = aClientHome();
  home.install({ ...home.code, platform: "win32" });
  const [stop] = valueAt(home.read(home.settings) ?? "", ["hooks", "Stop"]) as unknown[];
  expect(stop).toMatchObject({ hooks: [{ command: launch.node, args: [launch.hookScript, "Stop"] }] });
});

it("an install after that of an older SHIM replaces the program by the script, where it stands", () => {
  const home = aClientHome();
  const older = { type: "command", command: launch.node, args: [launch.hookScript, "Stop"], timeout: 10 };
  home.write(
    home.settings,
    JSON.stringify({ hooks: { Stop: [{ hooks: [older, { type: "command", command: "x" }] }] } }),
  );
  home.install();
  expect(valueAt(home.read(home.settings) ?? "", ["hooks", "Stop"])).toEqual([
    { hooks: [handler("Stop"), { type: "command", command: "x" }] },
  ]);
});

it("knows its own entries, of any clone, and no others", () => {
  const node = "C:\\Program Files\\nodejs\\node.exe";
  expect([
    isOurServer({ command: node, args: ["D:\\x\\bin\\shim.mjs", "mcp"] }),
    isOurServer({ command: "npx", args: ["-y", "shim-mcp@1.2.0", "mcp"] }),
    isOurServer({ command: "shim", args: ["mcp"] }),
    isOurHook({ type: "command", command: node, args: ["D:\\x\\dist\\hook.cjs", "Stop"] }, "Stop"),
    isOurHook({ type: "command", command: "/bin/sh", args: ["/a b/dist/shim-hook", "/n o/node", "Stop"] }, "Stop"),
    isOurHook({ command: "/bin/sh '/a b/dist/shim-hook' '/n o/node' Stop --client codex" }, "Stop"),
    isOurHook({ type: "command", command: "shim", args: ["hook", "Stop"] }, "Stop"),
    isOurHook({ type: "command", command: '"/usr/bin/node" "/a b/bin/shim.mjs" hook Stop' }, "Stop"),
    isOurHook({ type: "command", command: "shim hook Stop" }, "Stop"),
    isOurStatusLine({ command: "shim statusline" }),
  ]).toEqual(Array(10).fill(true));
  expect([
    isOurServer({ command: node, args: ["/x/other.mjs", "mcp"] }),
    isOurServer({ command: node, args: ["/x/bin/shim.mjs", "up"] }),
    isOurServer({ command: node, args: [1] }),
    isOurServer("shim mcp"),
    isOurHook({ type: "command", command: node, args: ["/x/dist/hook.cjs", "Stop"] }, "PreCompact"),
    isOurHook({ type: "command", command: "python", args: ["/x/dist/hook.cjs", "Stop"] }, "Stop"),
    isOurHook({ type: "command", command: node, args: ["/home/me/.claude/hook.cjs", "Stop"] }, "Stop"),
    isOurHook({ type: "command", command: "my-shim hook Stop" }, "Stop"),
    isOurHook({ command: "/bin/sh /x/dist/shim-hook /n/node Stop --client codex" }, "PreCompact"),
    isOurHook({ type: "command", command: "/bin/sh", args: ["/x/dist/shim-hook", "/n/node", "Stop"] }, "PreCompact"),
    isOurHook({ type: "command", command: "/bin/sh", args: ["/home/me/shim-hook", "/n/node", "Stop"] }, "Stop"),
    isOurHook({ type: "http", url: "x" }, "Stop"),
    isOurStatusLine({ command: "shimmer statusline" }),
  ]).toEqual(Array(13).fill(false));
});

it("leaves groups of another shape under an event as they are", () => {
  const home = aClientHome();
  home.write(home.settings, '{"hooks": {"Stop": ["odd", {"hooks": "odd"}, {"hooks": [null, 1]}]}}');
  home.install();
  const stop = valueAt(home.read(home.settings) ?? "", ["hooks", "Stop"]) as unknown[];
  expect(stop.slice(0, 3)).toEqual(["odd", { hooks: "odd" }, { hooks: [null, 1] }]);
  expect(stop).toHaveLength(4);
});

it("planning and showing a plan writes nothing", () => {
  fc.assert(
    fc.property(fc.boolean(), (isInstalled) => {
      const home = aClientHome();
      if (isInstalled) home.install();
      const before = contents(home);
      home.planInstall(home.code, { ...launch, node: "/other/node" });
      home.planUninstall(home.code);
      expect(contents(home)).toEqual(before);
    }),
    { numRuns: 4 },
  );
});

it("keeps a byte order mark and line ends", () => {
  const home = aClientHome();
  home.write(home.servers, '\uFEFF{\r\n\t"a": "ä"\r\n}\r\n');
  home.install();
  const text = Buffer.from(home.read(home.servers) ?? "", "latin1").toString("utf8");
  expect(text.startsWith('\uFEFF{\r\n\t"a": "ä",\r\n\t"mcpServers": {\r\n\t\t"shim": {\r\n')).toBe(true);
  expect(text.replaceAll("\r\n", "")).not.toContain("\n");
});
