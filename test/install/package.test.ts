import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, expect, it, vi } from "vitest";
import { aBareMachine, aRegistry, nodes, type BareMachine } from "#harness/machine/client-home.ts";
import type { Output } from "#harness/machine/programs.ts";

const scratch = mkdtempSync(join(tmpdir(), "shim-pack-"));
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

function filesIn(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true, encoding: "utf8" })
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
  await vi.waitUntil(() => existsSync(socket), { timeout: 120_000, interval: 20 });
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
    const left = good(await machine.run(shim, ["init", "--remove", "--yes"])).out;
    expect(left).toContain("Stored data stays in");
    expect(existsSync(join(machine.home, ".local", "share", "shim", "program"))).toBe(false);
    good(await machine.run("npx", ["--yes", "shim-mcp", "init", "--remove", "--data", "--yes"]));
    expect(machine.tree()).toEqual(before);
  },
);
