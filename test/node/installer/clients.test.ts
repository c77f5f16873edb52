import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { aClientHome, launch, putCodexInto, type ClientHome } from "#harness/machine/client-home.ts";
import { codex } from "#src/clients/codex/codex.ts";
import { readTrust, trustHooks, trustSource } from "#src/installer/hook-trust.ts";
import { toml } from "#src/installer/settings.ts";
import { expect, it } from "vitest";
import { slashCommands } from "#src/contract/slash-commands.ts";
import { adapterOf } from "#src/clients/adapters.ts";
import { findScript, hookCommandLine, isOurHook, runnerOf } from "#src/installer/entries.ts";
import { commandLine, shellOf } from "#src/platform/shell-line.ts";
import type { Launch } from "#src/platform/shim-command.ts";
import { readText } from "#src/installer/file-edits.ts";
import { inspect } from "#src/installer/inspect.ts";
import { detect, type ClientTarget } from "#src/installer/targets.ts";

const server = '[mcp_servers.shim]\ncommand = "/opt/node/bin/node"\nargs = [ "/src/shim/bin/shim.mjs", "mcp" ]\n';
const commandOf = (event: string, client = "codex"): string =>
  `/bin/sh -c '(. "$0") 2>/dev/null; exit 0' /src/shim/dist/shim-hook /opt/node/bin/node ${event} --client ${client}`;
const config = (home: ClientHome): string => home.codex.serversFile;
const hooksFile = (home: ClientHome): string => home.codex.settingsFile ?? "";

const mine = JSON.stringify({ hooks: { Stop: [{ hooks: [{ type: "command", command: "say done" }] }] } });
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
  home.write(config(home), userConfig);
  home.write(hooksFile(home), mine);
  home.install(home.codex);
  expect(home.read(config(home))).toBe(`${userConfig}\n${server}`);
  expect(home.value(hooksFile(home), "hooks", "Stop")).toMatchObject(
    ["say done", commandOf("Stop")].map((command) => ({ hooks: [{ command }] })),
  );
  home.uninstall(home.codex);
  expect([home.read(config(home)), home.read(hooksFile(home))]).toEqual([userConfig, mine]);
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
  expect(toml.read(added)["mcp_servers"]).toEqual({ other: { command: "x" }, shim: { command: "n", args: ["a"] } });
  expect(toml.remove(added, ["mcp_servers", "shim"]).trimEnd()).toBe(text.trimEnd());
});

it.each([
  ["a = \n[b", "config_unsound"],
  ["mcp_servers = 1\n", "config_unsound"],
  ['[mcp_servers.shim]\ncommand = "other"\n', "name_taken"],
])("a file that is not sound TOML, or has another server of that name, is refused and stays: %j", (text, code) => {
  const home = aClientHome();
  home.write(config(home), text);
  expect(home.planInstall(home.codex)).toMatchObject({ ok: false, error: { code } });
  expect(home.read(config(home))).toBe(text);
});

/** Codex as SHIM asks it for the trust of its hooks. */
function sourceOf(home: ClientHome, env: NodeJS.ProcessEnv = {}) {
  const bin = join(home.folder, "codex-bin");
  putCodexInto(bin);
  return trustSource(home.codex, launch, { HOME: home.folder, PATH: `${bin}:/usr/bin:/bin`, ...env })!;
}

const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

it("a Codex that is not there is not waited for", async () => {
  const before = timers();
  const source = { target: aClientHome().codex, env: { PATH: "/nonexistent" }, commands: [] };
  expect([await readTrust(source), timers()]).toEqual([{ ok: false, error: "there is no codex on the PATH" }, before]);
});

it("Codex itself is asked for the trust, for SHIM's commands alone, and asked again @night", async () => {
  const home = aClientHome();
  home.write(hooksFile(home), mine);
  home.install(home.codex);
  const source = sourceOf(home);
  const states = async () => {
    const trust = await readTrust(source);
    return trust.ok ? trust.value.map(({ status }) => status) : [];
  };
  expect(await states()).toEqual(codex.events.map(() => "untrusted"));
  expect(await trustHooks(source)).toBeNull();
  expect(home.read(config(home))).not.toContain(":stop:0:0");
  // The position is part of the key.
  const hooks = home.value(hooksFile(home), "hooks") as Record<string, object[]>;
  const moved = { ...hooks, PreToolUse: [{ hooks: [{ command: "x" }] }, ...(hooks["PreToolUse"] ?? [])] };
  home.write(hooksFile(home), JSON.stringify({ hooks: moved }));
  expect((await states()).filter((state) => state === "untrusted")).toHaveLength(1);
  expect(await trustHooks(sourceOf(home, { FAKE_CODEX: "forgets" }))).toContain("untrusted");
});

it.each([
  ["keeps that of others", '\n[hooks.state."/other:stop:0:0"]\nenabled = true\n'],
  ["leaves no empty table", 'model = "x"\n'],
])("removal takes the trust out too, and %s", async (_, before) => {
  const home = aClientHome();
  home.write(config(home), before);
  home.install(home.codex);
  const source = sourceOf(home);
  expect(await trustHooks({ ...source, commands: [...source.commands, "of no hook"] })).toBe("1 missing");
  expect(home.read(config(home))).toContain(`${hooksFile(home)}:stop:0:0`);
  home.uninstall(home.codex);
  expect(home.read(config(home))).toBe(before);
});

const clients = ["codex", "copilot", "opencode", "qwen", "gemini"] as const;

/** A home in which the client has been started once. */
function aHomeWith(client: (typeof clients)[number]): { readonly home: ClientHome; readonly target: ClientTarget } {
  const home = aClientHome();
  mkdirSync(join(home.folder, client === "opencode" ? ".config/opencode" : `.${client}`), { recursive: true });
  const machine = { platform: "linux", env: {}, homedir: home.folder, exists: existsSync, list: () => [] } as const;
  const target = detect(machine).find((one) => one.client === client);
  if (!target) throw new Error(`${client} was not found`);
  return { home, target };
}

const exists = (path: string): boolean => path.startsWith("/src/shim") || existsSync(path);

function findings(target: ClientTarget): string[] {
  const machine = { read: readText, exists, nodeVersion: () => "v24.0.0", claudeVersion: null };
  return inspect(target, { ...machine, launch }).map(({ code }) => code);
}

it.each(clients)("%s gets its hooks and server; twice is once, and removal leaves no file and no folder", (client) => {
  const { home, target } = aHomeWith(client);
  const before = namesIn(home);
  expect(findings(target)).toEqual(["not_installed"]);
  home.install(target);
  const texts = [target.serversFile, target.settingsFile ?? ""].map((path) => home.read(path) ?? "");
  expect(texts[0]).toContain("shim.mjs");
  for (const event of client === "opencode" ? [] : (adapterOf(client)?.events ?? []))
    expect(texts[1]).toContain(commandOf(event, client).replace(/^.*exit 0' /, "; exit 0' "));
  expect(home.install(target).edits).toEqual([]);
  expect(findings(target)).toEqual(["installed"]);
  home.uninstall(target);
  expect(namesIn(home)).toEqual(before);
});

/** What the home has beside SHIM's own files. */
function namesIn({ folder }: ClientHome): string[] {
  const names = readdirSync(folder, { recursive: true }).map(String);
  return names.filter((name) => !name.startsWith("shim")).toSorted();
}

function written(client: (typeof clients)[number]): { readonly servers: unknown; readonly hooks: unknown } {
  const { home, target } = aHomeWith(client);
  home.install(target);
  const hooks = client === "opencode" ? null : home.value(target.settingsFile ?? "");
  return { servers: home.value(target.serversFile), hooks };
}

it("forms and units are the client's own, and servers stand in its own list", () => {
  const server = { command: launch.node, args: [launch.script, "mcp"] };
  expect(written("qwen").hooks).toMatchObject({
    hooks: { Stop: [{ hooks: [{ type: "command", name: "shim", command: commandOf("Stop", "qwen"), timeout: 10 }] }] },
    mcpServers: { shim: server },
  });
  expect(written("gemini").hooks).toMatchObject({ hooks: { BeforeTool: [{ hooks: [{ timeout: 10_000 }] }] } });
  expect(written("copilot")).toMatchObject({
    servers: { mcpServers: { shim: { type: "local", ...server, tools: ["*"] } } },
    hooks: { version: 1, hooks: { Stop: [{ bash: commandOf("Stop", "copilot") }] } },
  });
  expect(written("opencode").servers).toEqual({
    mcp: { shim: { type: "local", command: [launch.node, launch.script, "mcp"], enabled: true } },
  });
});

it.each(["qwen", "copilot"] as const)("the command line of %s is safe for any path, and known again", (client) => {
  const folder = "/it's $(x) shim";
  const odd = { node: "/my node/node", script: `${folder}/bin/shim.mjs`, hookScript: `${folder}/dist/hook.cjs` };
  const { home, target } = aHomeWith(client);
  home.install(target, odd);
  const line = `; exit 0' '/it'\\\\''s $(x) shim/dist/shim-hook' '/my node/node' `;
  expect(home.read(target.settingsFile ?? "")).toContain(line);
  expect(home.install(target, odd).edits).toEqual([]);
});

const onDisk = (folder: string, node = "C:\\node\\node.exe"): Launch => ({
  node,
  script: `${folder}\\bin\\shim.mjs`,
  hookScript: `${folder}\\dist\\hook.cjs`,
});

it("what SHIM prints is for the shell that the user has", () => {
  const modules = "C:\\Program Files\\WindowsPowerShell\\Modules";
  const own = "C:\\Users\\jo\\Documents\\WindowsPowerShell\\Modules";
  const shells = [{}, { PSModulePath: modules }, { PSModulePath: `${own};${modules}` }, { MSYSTEM: "MINGW64" }];
  expect(shells.map((env) => shellOf(env, "win32"))).toEqual(["cmd", "cmd", "powershell", "sh"]);
  expect(shellOf({ PSModulePath: own }, "linux")).toBe("sh");
  const words = ["C:\\Program Files\\node.exe", "C:\\it's\\shim.mjs"];
  expect((["sh", "cmd", "powershell"] as const).map((shell) => commandLine(words, shell))).toEqual([
    "'C:\\Program Files\\node.exe' 'C:\\it'\\''s\\shim.mjs'",
    '"C:\\Program Files\\node.exe" "C:\\it\'s\\shim.mjs"',
    "& 'C:\\Program Files\\node.exe' 'C:\\it''s\\shim.mjs'",
  ]);
  expect(commandLine(["C:\\O’Brien\\shim.exe"], "powershell")).toBe("& 'C:\\O’’Brien\\shim.exe'");
});

it.each([
  [
    "codex",
    onDisk("C:\\shim"),
    "C:\\node\\node.exe -e try{require(process.argv[1])}catch{} C:\\shim\\dist\\hook.cjs Stop --client codex 2>nul & exit 0",
  ],
  ["gemini", onDisk("C:\\shim"), "C:\\node\\node.exe C:\\shim\\dist\\hook.cjs Stop --client gemini 2>$null ; exit 0"],
  [
    "copilot",
    onDisk("C:\\it's", "C:\\Program Files\\node.exe"),
    "& 'C:\\Program Files\\node.exe' 'C:\\it''s\\dist\\hook.cjs' Stop --client copilot 2>$null ; exit 0",
  ],
  [
    "gemini",
    onDisk("C:\\O’Brien"),
    "C:\\node\\node.exe 'C:\\O’’Brien\\dist\\hook.cjs' Stop --client gemini 2>$null ; exit 0",
  ],
  [
    "qwen",
    onDisk("C:\\my shim", "C:\\Program Files\\node.exe"),
    "node -e try{process.argv.splice(1,0,Buffer.from(/433a5c6d79207368696d5c646973745c686f6f6b2e636a73/.source,/hex/.source)+[]);require(process.argv[1])}catch{} Stop --client qwen 2>nul & exit 0",
  ],
] as const)(
  "on Windows %s starts a hook in its shell: without a quote in cmd, as a command in PowerShell, and it ends with 0",
  (client, at, line) => {
    expect(hookCommandLine(at, "win32", "Stop", client)).toBe(line);
    expect([isOurHook({ command: line }, "Stop"), isOurHook({ command: line }, "Start")]).toEqual([true, false]);
    expect([findScript({ command: line }), runnerOf({ command: line })]).toEqual([
      at.hookScript,
      line.startsWith("node") ? "node" : at.node,
    ]);
  },
);

it("the user's own entries stay, those of another copy are corrected, and a changed file loses SHIM's alone", () => {
  const { home, target } = aHomeWith("qwen");
  const own = `{\n  // mine\n  "model": { "name": "x" },\n  ${mine.slice(1, -1)}\n}\n`;
  home.write(target.serversFile, own);
  home.install(target, { ...launch, hookScript: "/old/dist/hook.cjs", script: "/old/bin/shim.mjs" });
  home.install(target);
  const text = home.read(target.serversFile) ?? "";
  expect(text).toContain("// mine");
  expect(text).toContain("say done");
  expect(text).not.toContain("/old/");
  home.write(target.serversFile, text.replace('"x"', '"y"'));
  home.uninstall(target);
  expect(home.read(target.serversFile)).toBe(own.replace('"x"', '"y"'));
});

it.each(["copilot", "opencode"] as const)("%s: a file of SHIM's name that another has written stays", (client) => {
  const { home, target } = aHomeWith(client);
  const text = client === "copilot" ? '{ "version": 1 }\n' : "// my own\n";
  home.install(target);
  home.write(target.settingsFile ?? "", text);
  home.uninstall(target);
  expect(home.read(target.settingsFile ?? "")).toBe(text);
  expect(home.read(target.serversFile) ?? "").not.toContain("shim.mjs");
  expect(home.planInstall(target)).toMatchObject({ ok: false, error: { code: "name_taken" } });
});

it.each(["copilot", "gemini"] as const)("%s gets SHIM's slash commands in a file of its own", (client) => {
  const { home, target } = aHomeWith(client);
  const { commandsFile = "" } = target;
  home.install(target);
  const text = home.read(commandsFile) ?? "";
  for (const [name, { description }] of Object.entries(slashCommands))
    expect([text.includes(`\n## ${name}`), text.includes(description)]).toEqual([true, true]);
  expect(text).toContain("`/opt/node/bin/node /src/shim/bin/shim.mjs undo --diff --json`");
  expect(text).not.toMatch(/\{given\}|\{command\}|`shim /);
  if (client === "gemini") expect(toml.read(text)).toMatchObject({ prompt: expect.stringContaining("/shim:{{args}}") });
  home.uninstall(target);
  expect(existsSync(commandsFile)).toBe(false);
  home.write(commandsFile, "my own\n");
  expect(home.planInstall(target)).toMatchObject({ ok: false, error: { code: "name_taken" } });
});
