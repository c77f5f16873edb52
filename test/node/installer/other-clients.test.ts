import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { slashCommands } from "#src/contract/slash-commands.ts";
import { adapterOf } from "#src/clients/adapters.ts";
import { readText } from "#src/installer/client-files.ts";
import { inspect } from "#src/installer/inspect.ts";
import { toml } from "#src/installer/settings.ts";
import { detect, type ClientName, type ClientTarget, type Machine } from "#src/installer/targets.ts";
import { aClientHome, launch, type ClientHome } from "#harness/machine/client-home.ts";

const clients = ["copilot", "opencode", "qwen", "gemini"] as const;

function machineOf(home: ClientHome, env: Machine["env"] = {}): Machine {
  return { platform: "linux", env, homedir: home.folder, exists: existsSync, list: () => [] };
}

function targetOf(home: ClientHome, client: ClientName, env?: Machine["env"]): ClientTarget {
  const found = detect(machineOf(home, env)).find((target) => target.client === client);
  if (!found) throw new Error(`${client} was not found`);
  return found;
}

/** A home in which the client has been started once. */
function aHomeWith(client: (typeof clients)[number]): { readonly home: ClientHome; readonly target: ClientTarget } {
  const home = aClientHome();
  const folders = { copilot: ".copilot", opencode: ".config/opencode", qwen: ".qwen", gemini: ".gemini" };
  mkdirSync(join(home.folder, folders[client]), { recursive: true });
  return { home, target: targetOf(home, client) };
}

const commandOf = (event: string, client: string): string =>
  `/bin/sh /src/shim/dist/shim-hook /opt/node/bin/node ${event} --client ${client}`;

function isThere(path: string): boolean {
  return path.startsWith("/src/shim") || existsSync(path);
}

function findings(home: ClientHome, target: ClientTarget, version: string | null = "v24.0.0"): string[] {
  const nodeVersion = (node: string): string | null => (node === launch.node ? version : null);
  return inspect(target, {
    read: readText,
    exists: isThere,
    nodeVersion,
    launch,
    claudeVersion: null,
    wantsBlocking: false,
  }).map(({ code }) => code);
}

it("every client gets its hooks and the server; twice is once, and removal leaves no file and no folder", () => {
  for (const client of clients) {
    const { home, target } = aHomeWith(client);
    const before = namesIn(home);
    expect(findings(home, target), client).toEqual(["not_installed"]);
    home.install(target);
    const texts = [target.serversFile, target.settingsFile ?? ""].map((path) => home.read(path) ?? "");
    expect(texts[0], client).toContain("shim.mjs");
    for (const event of client === "opencode" ? [] : (adapterOf(client)?.events ?? []))
      expect(texts[1], client).toContain(JSON.stringify(commandOf(event, client)).slice(1, -1));
    expect(home.install(target).edits, client).toEqual([]);
    expect(findings(home, target), client).toEqual(["installed"]);
    expect(findings(home, target, null), client).toEqual(["installed", "node_unfit"]);
    home.uninstall(target);
    expect(namesIn(home), client).toEqual(before);
  }
});

/** What the home has beside SHIM's own files. */
function namesIn({ folder }: ClientHome): string[] {
  const names = readdirSync(folder, { recursive: true }).map(String);
  return names.filter((name) => !name.startsWith("shim")).toSorted();
}

interface Written {
  readonly servers: unknown;
  readonly hooks: unknown;
}

function written(client: (typeof clients)[number]): Written {
  const { home, target } = aHomeWith(client);
  home.install(target);
  const read = (path: string): unknown => JSON.parse(home.read(path) ?? "");
  return { servers: read(target.serversFile), hooks: client === "opencode" ? null : read(target.settingsFile ?? "") };
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

it("a command line is safe for any path, and known again; on Windows it starts the program", () => {
  const folder = "/it's $(x) shim";
  const odd = { node: "/my node/node", script: `${folder}/bin/shim.mjs`, hookScript: `${folder}/dist/hook.cjs` };
  for (const client of ["qwen", "copilot"] as const) {
    const { home, target } = aHomeWith(client);
    home.install(target, odd);
    const line = `/bin/sh '/it'\\\\''s $(x) shim/dist/shim-hook' '/my node/node' `;
    expect(home.read(target.settingsFile ?? ""), client).toContain(line);
    expect(home.install(target, odd).edits, client).toEqual([]);
    home.install({ ...target, platform: "win32" });
    const text = home.read(target.settingsFile ?? "");
    expect(text, client).toContain(String.raw`\"/opt/node/bin/node\" \"/src/shim/dist/hook.cjs\" `);
    expect(text, client).not.toContain("shim-hook");
  }
});

it("the user's own entries stay, those of another copy are corrected, and a changed file loses SHIM's alone", () => {
  const { home, target } = aHomeWith("qwen");
  const mine =
    '{\n  // mine\n  "model": { "name": "x" },\n  "hooks": { "Stop": [{ "hooks": [{ "type": "command", "command": "say done" }] }] }\n}\n';
  home.write(target.serversFile, mine);
  home.install(target, { ...launch, hookScript: "/old/dist/hook.cjs", script: "/old/bin/shim.mjs" });
  home.install(target);
  const text = home.read(target.serversFile) ?? "";
  expect(text).toContain("// mine");
  expect(text).toContain("say done");
  expect(text).not.toContain("/old/");
  home.write(target.serversFile, text.replace('"x"', '"y"'));
  home.uninstall(target);
  expect(home.read(target.serversFile)).toBe(mine.replace('"x"', '"y"'));
});

it("a file of SHIM's name that somebody else wrote is refused, and nothing is changed", () => {
  const { home, target } = aHomeWith("copilot");
  home.write(target.settingsFile ?? "", '{ "version": 1 }\n');
  const plan = home.planInstall(target);
  expect(plan).toMatchObject({ ok: false, error: { message: expect.stringContaining("was not written by SHIM") } });
  expect(existsSync(target.serversFile)).toBe(false);
  expect(findings(home, target)).toContain("name_taken");
});

it("removal leaves a file of SHIM's name that somebody else wrote, and removes the server", () => {
  for (const client of ["copilot", "opencode"] as const) {
    const { home, target } = aHomeWith(client);
    home.install(target);
    const text = "// my own\n";
    home.write(target.settingsFile ?? "", text);
    home.uninstall(target);
    expect(home.read(target.settingsFile ?? ""), client).toBe(text);
    expect(home.read(target.serversFile) ?? "", client).not.toContain("shim.mjs");
  }
});

it.each(["copilot", "gemini"] as const)("%s gets SHIM's slash commands in a file of its own", (client) => {
  const { home, target } = aHomeWith(client);
  const { commandsFile = "" } = target;
  expect(home.install(target).edits.map(({ path }) => path)).toContain(commandsFile);
  const text = home.read(commandsFile) ?? "";
  for (const [name, { description }] of Object.entries(slashCommands)) {
    expect(text).toContain(`\n## ${name}`);
    expect(text).toContain(description);
  }
  expect(text).toContain("`/opt/node/bin/node /src/shim/bin/shim.mjs undo --diff --json`");
  expect(text).not.toMatch(/\{given\}|\{command\}|`shim /);
  if (client === "gemini") expect(toml.read(text)).toMatchObject({ prompt: expect.stringContaining("/shim:{{args}}") });
  home.install(target, { ...launch, script: "/new/shim.mjs" });
  expect(home.read(commandsFile)).toContain("`/opt/node/bin/node /new/shim.mjs undo");
  home.uninstall(target);
  expect(existsSync(commandsFile)).toBe(false);
  home.write(commandsFile, "my own\n");
  expect(home.planInstall(target)).toMatchObject({ ok: false, error: { code: "name_taken" } });
  home.uninstall(target);
  expect(home.read(commandsFile)).toBe("my own\n");
});

it("Codex gets them in its own folder, wherever it is", () => {
  const home = aClientHome();
  const moved = join(home.folder, "moved");
  mkdirSync(moved);
  const { commandsFile } = targetOf(home, "codex", { CODEX_HOME: moved });
  expect(commandsFile).toBe(join(moved, "skills", "shim", "SKILL.md"));
});

it("folders that the environment moves are followed", () => {
  const { home } = aHomeWith("copilot");
  const moved = join(home.folder, "elsewhere");
  mkdirSync(join(moved, "opencode"), { recursive: true });
  expect(targetOf(home, "copilot", { COPILOT_HOME: moved }).settingsFile).toBe(join(moved, "hooks", "shim.json"));
  expect(targetOf(home, "opencode", { XDG_CONFIG_HOME: moved })).toMatchObject({
    serversFile: join(moved, "opencode", "opencode.json"),
    settingsFile: join(moved, "opencode", "plugin", "shim.js"),
  });
});
