import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { getMcpConfigForManifest, MANIFEST_SCHEMAS } from "@anthropic-ai/mcpb";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, expect, it, onTestFinished, vi } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import { makeProject, temporaryFolder, write } from "#harness/machine/git-project.ts";
import { answered, integrityOf, nextStepOf, startServer, storeOf } from "#harness/machine/mcp-process.ts";
import { hostsOf } from "#harness/machine/process-tree.ts";
import { tempHome } from "#harness/store/store-test.ts";
import type { HostStatus } from "#src/contract/machine/installation.ts";
import { teamTools, machineTools } from "#src/contract/tools.ts";
import { readEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { runningHost as askHost } from "#src/local-mcp/host-client/host-status.ts";
import { record } from "#harness/machine/mcp-connection.ts";
import { pathsIn, type Paths } from "#src/platform/paths.ts";

const root = join(import.meta.dirname, "..", "..");

function mcpb(...args: string[]): string {
  const program = join(root, "node_modules", "@anthropic-ai", "mcpb", "dist", "cli", "cli.js");
  return execFileSync(process.execPath, [program, ...args], { encoding: "utf8" });
}

/** Makes the bundle and unpacks it elsewhere, once for a file of tests. */
function unpackedBundle(): string {
  const scratch = mkdtempSync(join(tmpdir(), "shim-bundle-"));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  execFileSync(process.execPath, [join(root, "scripts", "bundle.ts"), scratch], { stdio: "pipe" });
  const packed = join(scratch, "shim.mcpb");
  const folder = join(scratch, "Claude Extensions", "local.mcpb.shim");
  mcpb("unpack", packed, folder);
  return folder;
}

function manifestOf(folder: string) {
  return MANIFEST_SCHEMAS["0.3"].parse(JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")));
}

/** What Claude Desktop starts, with its few variables, for the settings that the user has made. */
async function startOf(extensionPath: string, userConfig: Record<string, string> = {}) {
  const user = temporaryFolder();
  const given = { extensionPath, userConfig, systemDirs: { HOME: user }, pathSeparator: sep };
  const config = await getMcpConfigForManifest({ ...given, manifest: manifestOf(extensionPath) });
  if (config?.command !== "node") throw new Error("Claude Desktop would not start it with its own Node");
  const env: Record<string, string> = { HOME: user, PATH: process.env["PATH"] ?? "", ...config.env };
  return { args: config.args ?? [], env, user, paths: pathsIn(join(user, ".local", "share", "shim")) };
}

async function connected({ args, env }: Awaited<ReturnType<typeof startOf>>, before: readonly string[] = []) {
  const given = { command: process.execPath, args: [...before, ...args], env, cwd: "/", stderr: "pipe" as const };
  const transport = new StdioClientTransport(given);
  const chunks: string[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  transport.stderr?.on("data", (chunk) => chunks.push(String(chunk))).once("end", () => resolve(chunks.join("")));
  const client = new Client({ name: "claude-ai", version: "1" }, { versionNegotiation: { mode: "legacy" } });
  onTestFinished(() => client.close());
  await client.connect(transport);
  const ask = async (name: string, input: Record<string, unknown> = {}) => {
    const { content, structuredContent, isError } = await client.callTool({ name, arguments: input });
    const text = content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
    if (isError) throw new Error(`${name}: ${text}`);
    return { text, output: record(structuredContent) };
  };
  const prompt = async (name: string): Promise<string[]> => {
    const { messages } = await client.getPrompt({ name });
    return messages.map(({ role, content }) => (role === "user" && content.type === "text" ? content.text : role));
  };
  const close = async (): Promise<string> => {
    await client.close();
    return ended;
  };
  return { pid: transport.pid ?? -1, ended, ask, prompt, close };
}

/** For `node --require`: notes each program that is started, with the names of SHIM's variables that it is given. */
const recorder = `const { appendFileSync } = require("node:fs");
const childProcess = require("node:child_process");
const note = (file, env) => {
  const names = Object.keys(env).filter((name) => name.startsWith("SHIM_"));
  appendFileSync(__filename + ".list", JSON.stringify({ file, names }) + "\\n");
};
const { spawn } = childProcess.ChildProcess.prototype;
childProcess.ChildProcess.prototype.spawn = function (options) {
  note(options.file, Object.fromEntries((options.envPairs ?? []).map((pair) => pair.split("="))));
  return spawn.call(this, options);
};
for (const name of ["spawnSync", "execFileSync", "execSync"]) {
  const original = childProcess[name];
  childProcess[name] = (file, ...rest) => {
    note(file, rest.find((one) => typeof one === "object" && !Array.isArray(one))?.env ?? process.env);
    return original(file, ...rest);
  };
}
`;

const folder = unpackedBundle();
const work = { goal: "survive in Claude Desktop", nextStep: "start again" };

it("the bundle is valid, has no native file, and lists the tools and the prompt of the server @night", async () => {
  expect(mcpb("validate", join(folder, "manifest.json"))).toContain("Manifest schema validation passes!");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name !== "server");
  const inServer = ["index.cjs", "mcp.cjs", "third-party-licenses.txt"].map((name) => join("server", name));
  expect(files.sort()).toEqual(["PRIVACY.md", "icon.png", "manifest.json", ...inServer]);
  const { tools: listed, prompts = [] } = manifestOf(folder);
  expect(listed?.map(({ name }) => name)).toEqual(Object.keys({ ...machineTools, ...teamTools }));
  expect(prompts.map(({ name }) => name)).toEqual(["resume"]);
  const running = await connected(await startOf(folder));
  for (const { name, text } of prompts) expect(await running.prompt(name)).toEqual([text]);
});

it("the next start restores what was saved before a kill -9, on Node's own SQLite @night", async () => {
  const start = await startOf(folder);
  const first = await connected(start);
  expect(existsSync(start.paths.database)).toBe(false);
  const saved = await first.ask("shim_force_checkpoint", work);
  process.kill(first.pid, "SIGKILL");
  expect(await first.ended).toBe("");
  const second = await connected(start);
  const found = await second.ask("shim_check_recovery");
  expect(found.text).toContain(work.nextStep);
  expect(found.text).toContain(String(saved.output["session"]));
  const status = await second.ask("shim_session_status", { detail: "detailed" });
  expect(status.output).toMatchObject({ store: "node:sqlite" });
  expect(await second.close()).toBe("");
  expect(integrityOf(storeOf(start.paths))).toEqual(["ok"]);
});

it("it starts git and nothing else, and git is given no secret @night", async () => {
  const { project } = makeProject({ "new.txt": "kept\n" });
  const settings = { edge_url: "http://127.0.0.1:9", workspace: "team", token: "shim_a.b", workspace_key: "k" };
  const start = await startOf(folder, settings);
  const preload = join(temporaryFolder(), "recorder.cjs");
  write("/", { [preload]: recorder });
  const list = `${preload}.list`;
  const running = await connected(start, ["--require", preload]);
  await running.ask("shim_force_checkpoint", { ...work, project });
  for (const tool of ["shim_check_recovery", "shim_monitor_signals", "shim_session_status"])
    await running.ask(tool, { project });
  await expect.poll(() => existsSync(list), patience).toBe(true);
  await running.close();
  const lines = readFileSync(list, "utf8").trim().split("\n");
  const started = lines.map((line) => JSON.parse(line) as { file: string; names: string[] });
  expect([...new Set(started.map(({ file }) => file))]).toEqual(["git"]);
  // What the tests do not reach does not name its own Node either.
  expect(readFileSync(join(folder, "server", "mcp.cjs"), "utf8")).not.toContain("execPath");
  const names = new Set(started.flatMap(({ names }) => names));
  expect(names).toContain("SHIM_WORKSPACE");
  expect([...names].filter((name) => /TOKEN|KEY/.test(name))).toEqual([]);
});

it("the settings reach the server as its environment; empty ones count as not given @night", async () => {
  const settings = { edge_url: "https://shim.example.com", workspace: "team", token: "shim_a.b", machine: "m1" };
  const { env, user } = await startOf(folder, settings);
  const { edge_url: url, ...rest } = settings;
  expect(readEdgeConfig(user, env)).toEqual({ ok: true, value: { url, ...rest } });
  const empty = await startOf(folder);
  expect(readEdgeConfig(empty.user, empty.env)).toEqual({ ok: true, value: null });
  const own = join(empty.user, "of my own");
  const running = await connected(await startOf(folder, { home: own }));
  await running.ask("shim_force_checkpoint", work);
  expect(existsSync(join(own, "shim.db"))).toBe(true);
});

async function aDesktop({ home }: Paths) {
  return connected(await startOf(folder, { home }));
}

async function runningHost(paths: Paths): Promise<HostStatus | null> {
  const answer = await askHost({ paths }, "GET", "/status");
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value.host;
}

/** Waits until another process than `pid` is the host. */
async function nextHost(paths: Paths, pid: number): Promise<HostStatus> {
  return vi.waitUntil(async () => {
    const host = await runningHost(paths).catch(() => null);
    return host !== null && host.pid !== pid && host;
  }, patience);
}

it("the process of Claude Desktop is the host of other chats, which go on at the next host when it is killed @night", async () => {
  const paths = tempHome();
  const desktop = await aDesktop(paths);
  const saved = await desktop.ask("shim_force_checkpoint", { goal: "in the app", nextStep: "one" });
  const other = await startServer(paths);
  const { session } = await answered(other, "shim_force_checkpoint", { goal: "beside it", nextStep: "two" });
  const { pid, chats } = (await runningHost(paths)) ?? {};
  expect([pid, chats?.length, hostsOf(paths.home)]).toEqual([desktop.pid, 2, []]);
  process.kill(desktop.pid, "SIGKILL");
  await desktop.ended;
  const next = await answered(other, "shim_force_checkpoint", { nextStep: "three" });
  expect(next["session"]).toBe(session);
  expect((await nextHost(paths, desktop.pid)).chats).toHaveLength(1);
  const store = storeOf(paths);
  expect(nextStepOf(store, String(saved.output["checkpoint"]))).toBe("one");
  expect(nextStepOf(store, String(next["checkpoint"]))).toBe("three");
  expect(integrityOf(store)).toEqual(["ok"]);
});
