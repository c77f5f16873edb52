import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { codexSource, putCodexOnPath } from "#harness/clients/fake-codex.ts";
import { type ClientHome, aClientHome, launch } from "#harness/machine/client-home.ts";
import { codex } from "#src/clients/codex/codex.ts";
import { readText } from "#src/installer/client-files.ts";
import { readTrust, trustHooks } from "#src/installer/hook-trust.ts";
import { inspect } from "#src/installer/inspect.ts";
import { toml } from "#src/installer/settings.ts";
import { detect } from "#src/installer/targets.ts";
import { expect, it } from "vitest";

const server = '[mcp_servers.shim]\ncommand = "/opt/node/bin/node"\nargs = [ "/src/shim/bin/shim.mjs", "mcp" ]\n';
const commandOf = (event: string): string =>
  `/bin/sh /src/shim/dist/shim-hook /opt/node/bin/node ${event} --client codex`;
const config = (home: ClientHome): string => home.codex.serversFile;
const hooksFile = (home: ClientHome): string => home.codex.settingsFile ?? "";

const timeouts: Readonly<Record<string, number>> = { SessionStart: 15, SessionEnd: 3 };
const group = (event: string): object => ({
  hooks: [{ type: "command", command: commandOf(event), timeout: timeouts[event] ?? 10 }],
});

it("puts server and hooks into a Codex without settings; twice is once, and removal leaves no file", () => {
  const home = aClientHome();
  home.install(home.codex);
  expect(home.read(config(home))).toBe(server);
  expect(JSON.parse(home.read(hooksFile(home)) ?? "")).toEqual({
    hooks: Object.fromEntries(codex.events.map((event) => [event, [group(event)]])),
  });
  expect(home.install(home.codex).edits).toEqual([]);
  home.uninstall(home.codex);
  expect([config(home), hooksFile(home)].map(existsSync)).toEqual([false, false]);
});

const userConfig = `# mine
model = "x"   # keep

[mcp_servers.other]
command = 'c:\\x'
args = [
  "a", # one
]
`;

it("the user's TOML and hooks stay byte for byte; SHIM's group is the last one", () => {
  const home = aClientHome();
  const hooks = JSON.stringify({ hooks: { Stop: [{ hooks: [{ type: "command", command: "say done" }] }] } });
  home.write(config(home), userConfig);
  home.write(hooksFile(home), hooks);
  home.install(home.codex);
  expect(home.read(config(home))).toBe(`${userConfig}\n${server}`);
  const { hooks: after } = JSON.parse(home.read(hooksFile(home)) ?? "") as { hooks: { Stop: object[] } };
  expect(after.Stop).toMatchObject([{ hooks: [{ command: "say done" }] }, { hooks: [{ command: commandOf("Stop") }] }]);
  home.uninstall(home.codex);
  expect([home.read(config(home)), home.read(hooksFile(home))]).toEqual([userConfig, hooks]);
});

it("an entry of another copy is corrected where it is, and keeps the user's additions and comments", () => {
  const home = aClientHome();
  home.write(
    config(home),
    '[mcp_servers.mine] # SHIM\ncommand = "node"\nargs = ["/old/bin/shim.mjs", "mcp"]\nenv_vars = ["A"] # mine\n\n# b\n[b]\nc = 1\n',
  );
  home.install(home.codex, { ...launch, hookScript: "/old/dist/hook.cjs" });
  home.install(home.codex);
  const text = home.read(config(home)) ?? "";
  expect(toml.read(text)["mcp_servers"]).toEqual({
    mine: { command: launch.node, args: [launch.script, "mcp"], env_vars: ["A"] },
  });
  for (const kept of ["[mcp_servers.mine] # SHIM\n", 'env_vars = ["A"] # mine\n\n# b\n[b]\nc = 1\n'])
    expect(text).toContain(kept);
  const hooks = home.read(hooksFile(home)) ?? "";
  expect(hooks).not.toContain("/old/");
  expect(hooks.match(/--client codex/g)).toHaveLength(codex.events.length);
});

it("removal from a changed file takes out SHIM's tables and no comment", () => {
  const home = aClientHome();
  home.write(config(home), userConfig);
  home.install(home.codex);
  const changed = `${home.read(config(home))}# about b\n[b]\nc = 1\n`;
  home.write(config(home), changed);
  home.uninstall(home.codex);
  expect(home.read(config(home))).toBe(`${userConfig}# about b\n[b]\nc = 1\n`);
});

it.each([
  ["an inline table", 'mcp_servers = { other = { command = "x" } } # c\n'],
  ["keys with dots", 'mcp_servers.other.command = "x"\nmodel = "y"\n'],
  ["Windows' line ends", 'model = "x"\r\n[mcp_servers.other]\r\ncommand = "x"\r\n'],
  ["no line end", '[mcp_servers.other]\ncommand = "x"'],
  ["a byte order mark", '\uFEFF[mcp_servers.other]\ncommand = "x"\n'],
  ["a header in a text", 'text = """\n[mcp_servers.shim]\n"""\n[mcp_servers.other]\ncommand = "x"\n'],
])("a server is added beside others that are written as %s, and removed again", (_, text) => {
  const added = toml.set(text, ["mcp_servers", "shim"], { command: "n", args: ["a"] });
  expect(toml.read(added)["mcp_servers"]).toEqual({
    other: { command: "x" },
    shim: { command: "n", args: ["a"] },
  });
  expect(toml.remove(added, ["mcp_servers", "shim"]).trimEnd()).toBe(text.trimEnd());
});

it("a file that is not sound TOML, or has another server of that name, is refused and stays", () => {
  for (const [text, why] of [
    ["a = \n[b", "is not valid TOML: Error parsing TOML"],
    ["mcp_servers = 1\n", 'has an unexpected "mcp_servers"'],
    ['[mcp_servers.shim]\ncommand = "other"\n', 'has another MCP server named "shim"'],
  ] as const) {
    const home = aClientHome();
    home.write(config(home), text);
    expect(home.planInstall(home.codex)).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining(why) as string },
    });
    expect(home.read(config(home))).toBe(text);
  }
});

function found(paths: readonly string[], env: Record<string, string> = {}): string[] {
  const exists = (path: string): boolean => paths.includes(path);
  return detect({ platform: "linux", env, homedir: "/home/me", exists, list: () => [] }).map((one) => one.serversFile);
}

it("Codex is found by its folder, by CODEX_HOME or on the PATH", () => {
  expect(found([])).toEqual([]);
  expect(found(["/home/me/.codex"])).toEqual(["/home/me/.codex/config.toml"]);
  expect(found(["/elsewhere"], { CODEX_HOME: "/elsewhere" })).toEqual(["/elsewhere/config.toml"]);
  expect(found(["/bin/codex"], { PATH: "/usr/bin:/bin" })).toEqual(["/home/me/.codex/config.toml"]);
});

it("inspection names what is missing, doubled or elsewhere", () => {
  const home = aClientHome();
  const codes = (): string[] =>
    inspect(home.codex, {
      read: readText,
      exists: () => false,
      nodeVersion: () => "v24.0.0",
      launch,
      claudeVersion: null,
      wantsBlocking: false,
    }).map(({ code }) => code);
  expect(codes()).toEqual(["not_installed"]);
  home.install(home.codex);
  expect(codes()).toEqual(["installed", "script_missing", "script_missing"]);
  home.write(config(home), "");
  expect(codes()).toContain("incomplete");
  home.write(config(home), "a =");
  expect(codes()).toEqual(["file_unsound"]);
});

it("Codex itself is asked for the trust, for SHIM's commands alone, and asked again @night", async () => {
  const home = aClientHome();
  home.write(
    hooksFile(home),
    JSON.stringify({ hooks: { Stop: [{ hooks: [{ type: "command", command: "say done" }] }] } }),
  );
  home.install(home.codex);
  const source = codexSource(home, putCodexOnPath(home.folder));
  const first = await readTrust(source);
  expect(first.ok && first.value.map(({ status }) => status)).toEqual(codex.events.map(() => "untrusted"));
  expect(await trustHooks(source)).toBeNull();
  expect(readFileSync(config(home), "utf8")).not.toContain(":stop:0:0");
  // The position is part of the key.
  const { hooks } = JSON.parse(home.read(hooksFile(home)) ?? "") as { hooks: Record<string, object[]> };
  home.write(
    hooksFile(home),
    JSON.stringify({
      hooks: { ...hooks, PreToolUse: [{ hooks: [{ command: "x" }] }, ...(hooks["PreToolUse"] ?? [])] },
    }),
  );
  const moved = await readTrust(source);
  expect(moved.ok && moved.value.filter(({ status }) => status === "untrusted")).toHaveLength(1);
});

it.each([
  ["forgets", "10 untrusted"],
  ["refuses", "no such method"],
  ["ends", "ended without an answer"],
])("a Codex that %s trusts nothing, and says so", async (behavior, why) => {
  const home = aClientHome();
  home.install(home.codex);
  const source = codexSource(home, { ...putCodexOnPath(home.folder), FAKE_CODEX: behavior });
  expect(await trustHooks(source)).toContain(why);
});

it.each([
  ["keeps that of others", '\n[hooks.state."/other:stop:0:0"]\nenabled = true\n'],
  ["leaves no empty table", 'model = "x"\n'],
])("removal takes the trust out too, and %s", async (_, before) => {
  const home = aClientHome();
  mkdirSync(join(home.folder, ".codex"), { recursive: true });
  writeFileSync(config(home), before);
  home.install(home.codex);
  await trustHooks(codexSource(home, putCodexOnPath(home.folder)));
  expect(home.read(config(home))).toContain(`${hooksFile(home)}:stop:0:0`);
  home.uninstall(home.codex);
  expect(home.read(config(home))).toBe(before);
});
