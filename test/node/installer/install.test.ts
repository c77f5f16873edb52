import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { hookEvents, type HookEvent } from "#src/contract/hooks.ts";
import { blockingSince, hookToolGroups } from "#src/contract/hook-tool.ts";
import { isOurHook, isOurServer, isOurStatusLine, statusLineCommand } from "#src/installer/entries.ts";
import { readText } from "#src/installer/file-edits.ts";
import { json } from "#src/installer/settings.ts";
import { aClientHome, launch } from "#harness/machine/client-home.ts";

const handler = (event: string, timeout = 10): object => ({
  type: "command",
  command: "/bin/sh",
  args: ["/src/shim/dist/shim-hook", launch.node, event],
  timeout,
});

it("puts server, hooks and status line into a Claude Code without settings", () => {
  const home = aClientHome();
  home.install();
  expect(home.value(home.servers)).toEqual({
    mcpServers: { shim: { type: "stdio", command: launch.node, args: [launch.script, "mcp"] } },
  });
  const known = hookEvents.filter((event) => event !== "PreModelSwitch");
  const timeouts: Partial<Record<HookEvent, number>> = { SessionStart: 15, PermissionRequest: 600 };
  const hooks = known.map((event) => [event, [{ hooks: [handler(event, timeouts[event] ?? 10)] }]]);
  expect(home.value(home.settings)).toEqual({
    hooks: Object.fromEntries(hooks) as object,
    statusLine: { type: "command", command: "/opt/node/bin/node /src/shim/bin/shim.mjs statusline" },
  });
  expect(home.read(home.config)).toBeNull();
});

it("a client that knows hooks of a server gets them for tool events, under the server's name", () => {
  const home = aClientHome("2.1.118 (Claude Code)");
  const mine = { command: launch.node, args: [launch.script, "mcp"] };
  home.write(home.servers, JSON.stringify({ mcpServers: { mine } }));
  home.install();
  const hooks = home.value(home.settings, "hooks") as Record<string, object[]>;
  for (const event of ["PreToolUse", "Stop"] as const) expect(hooks[event]).toEqual(hookToolGroups(event, "mine"));
  for (const event of ["SessionStart", "UserPromptSubmit", "SessionEnd"] as const)
    expect(hooks[event]).toEqual([{ hooks: [handler(event, event === "SessionStart" ? 15 : 10)] }]);
  expect(Object.keys(hooks)).not.toContain("PreModelSwitch");
  expect(home.install().edits).toEqual([]);
});

it("where the user asks for it, hooks block a call that SHIM could not check, and no longer when not", () => {
  const home = aClientHome(`${blockingSince} (Claude Code)`);
  home.write(home.config, '{"team": {"blockUnchecked": true}}');
  const groups = (): unknown => home.value(home.settings, "hooks", "PreToolUse");
  expect(home.install().notes.join()).not.toContain("blockUnchecked");
  expect(groups()).toEqual(hookToolGroups("PreToolUse", "shim", true));
  expect(home.read(home.settings)?.match(/"onFailure": "block"/g)).toHaveLength(2);
  expect(home.value(home.settings, "hooks", "Stop")).toEqual(hookToolGroups("Stop", "shim"));
  home.write(home.config, "{}");
  home.install();
  expect(groups()).toEqual(hookToolGroups("PreToolUse", "shim"));
});

it("corrects the entries of a clone that moved without moving them and leaves the user's hooks", () => {
  const home = aClientHome();
  home.install(home.code, { node: "/old/node", script: "/old/bin/shim.mjs", hookScript: "/old/dist/hook.cjs" });
  const moved = home.value(home.settings) as { hooks: Record<string, { hooks: object[] }[]> };
  moved.hooks["Stop"] = [
    { hooks: [{ type: "command", command: "say done" }, ...(moved.hooks["Stop"]?.[0]?.hooks ?? [])] },
    { hooks: [{ type: "command", command: "/old/node", args: ["/old/dist/hook.cjs", "Stop"] }] },
  ];
  home.write(home.settings, JSON.stringify(moved));
  const shim = home.value(home.servers, "mcpServers", "shim") as object;
  const own = { ...shim, env: { SHIM_HOME: "/data" }, timeout: 5000 };
  home.write(home.servers, JSON.stringify({ mcpServers: { memory: own, shim: own } }));
  home.install();
  expect(home.value(home.servers)).toEqual({
    mcpServers: { memory: { ...own, command: launch.node, args: [launch.script, "mcp"] } },
  });
  expect(home.value(home.settings, "hooks", "Stop")).toEqual([
    { hooks: [{ type: "command", command: "say done" }, handler("Stop")] },
  ]);
  expect(home.value(home.settings, "statusLine", "command")).toContain(launch.script);
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

it("leaves the user's own status line, and says how to have both", () => {
  for (const line of [{ type: "command", command: "ccline --x", padding: 2 }, { type: "text", text: "x" }, "x"]) {
    const home = aClientHome();
    home.write(home.settings, JSON.stringify({ statusLine: line }));
    const both = "let it also run `/opt/node/bin/node /src/shim/bin/shim.mjs statusline`";
    expect(home.install().notes).toEqual([expect.stringContaining(both)]);
    expect(home.value(home.settings, "statusLine")).toEqual(line);
  }
});

it("with the plugin enabled sets only the status line, and takes out what an earlier init left", () => {
  const home = aClientHome();
  home.install();
  home.write(home.settings, json.set(home.read(home.settings) ?? "", ["enabledPlugins"], { "shim@shim": true }));
  expect(home.install().notes[0]).toContain("shim@shim");
  expect(home.value(home.settings, "hooks")).toBeUndefined();
  expect(home.value(home.settings, "statusLine")).toBeDefined();
  expect(home.value(home.servers)).toEqual({});
  expect(home.install().edits).toEqual([]);
});

it("the status line's command is one that the shell splits as meant", () => {
  const odd = { ...launch, node: "/opt/my node/it's/node", script: "/a $HOME/`x`/bin/shim.mjs" };
  const command = statusLineCommand(odd, "linux") ?? "";
  const words = execFileSync("sh", ["-c", `printf '%s\\n' ${command}`], { encoding: "utf8" });
  expect(words).toBe("/opt/my node/it's/node\n/a $HOME/`x`/bin/shim.mjs\nstatusline\n");
  expect(isOurStatusLine({ type: "command", command })).toBe(true);
});

const commandOf = (node: string, script: string) => statusLineCommand({ ...launch, node, script }, "win32");

it("on Windows the command means the same to Git Bash and PowerShell, or is left out", () => {
  const node = "C:\\node\\node.exe";
  expect(commandOf(node, "C:\\shim\\bin\\shim.mjs")).toBe("C:/node/node.exe C:/shim/bin/shim.mjs statusline");
  const command = commandOf("C:\\Program Files\\nodejs\\node.exe", "C:\\my code\\bin\\shim.mjs");
  expect(command).toBe("cd 'C:/Program Files/nodejs'; ./node.exe 'C:/my code/bin/shim.mjs' statusline");
  expect(isOurStatusLine({ command })).toBe(true);
  expect(commandOf(node, "C:\\it's $5\\bin\\shim.mjs")).toBeNull();
});

const hook = (command: string, args?: string[]): boolean => isOurHook({ type: "command", command, args }, "Stop");

it("knows its own entries, of any clone, and no others", () => {
  const node = "C:\\Program Files\\nodejs\\node.exe";

  expect([
    isOurServer({ command: node, args: ["D:\\x\\bin\\shim.mjs", "mcp"] }),
    isOurServer({ command: "npx", args: ["-y", "shim-mcp@1.2.0", "mcp"] }),
    hook(node, ["D:\\x\\dist\\hook.cjs", "Stop"]),
    hook("/bin/sh", ["/a b/dist/shim-hook", "/n o/node", "Stop"]),
    hook("/bin/sh '/a b/dist/shim-hook' '/n o/node' Stop --client codex"),
    hook('"/usr/bin/node" "/a b/bin/shim.mjs" hook Stop'),
    isOurStatusLine({ command: "shim statusline" }),
  ]).toEqual(Array(7).fill(true));
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
