import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { MANIFEST_SCHEMAS } from "@anthropic-ai/mcpb";
import { expect, it, onTestFinished } from "vitest";
import { readEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { teamTools } from "#src/contract/team-tools.ts";
import { machineTools } from "#src/contract/tools.ts";
import {
  connected,
  manifestOf,
  mcpb,
  selfSigned,
  startOf,
  unpackedBundle,
  verifiedBy,
  type Mode,
} from "#harness/machine/claude-desktop.ts";
import { makeProject } from "#harness/machine/git-project.ts";
import { integrityOf, oldNode, storeOf } from "#harness/machine/mcp-process.ts";

const { packed, folder } = unpackedBundle();
const eras: Record<string, Mode> = { "2025 era": "legacy", "2026 era": { pin: "2026-07-28" } };
const work = { goal: "survive in Claude Desktop", nextStep: "start again" };
const old = oldNode();

it("the bundle is valid, has no native file, and lists the tools of the server", () => {
  expect(mcpb("validate", join(folder, "manifest.json"))).toContain("Manifest schema validation passes!");
  expect(mcpb("info", packed)).toContain("shim.mcpb");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name !== "server");
  const inServer = ["index.cjs", "mcp.cjs", "third-party-licenses.txt"].map((name) => join("server", name));
  expect(files.sort()).toEqual(["PRIVACY.md", "icon.png", "manifest.json", ...inServer]);
  const { version, tools: listed } = manifestOf(folder);
  const { version: current } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  expect(version).toBe(current);
  expect(listed?.map(({ name }) => name)).toEqual(Object.keys({ ...machineTools, ...teamTools }));
});

it("the manifest is valid as one of the newest schema, too, and its icon has the size that it states", () => {
  const written = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as Record<string, unknown>;
  const newest = MANIFEST_SCHEMAS["0.4"].parse({ ...written, manifest_version: "0.4" });
  const header = readFileSync(join(folder, newest.icons?.[0]?.src ?? ""));
  const size = `${header.readUInt32BE(16)}x${header.readUInt32BE(20)}`;
  expect(newest.icons).toEqual([{ src: newest.icon, size }]);
});

it("the prompts are those of the manifest, word for word, as Claude Desktop demands, and need no argument", async () => {
  const running = await connected(await startOf(folder));
  const declared = manifestOf(folder).prompts ?? [];
  const listed = await running.prompts();
  expect(listed.map(({ name, description, arguments: given }) => [name, description, given])).toEqual(
    declared.map(({ name, description }) => [name, description, undefined]),
  );
  expect(declared.map(({ name }) => name)).toEqual(["resume"]);
  for (const { name, text } of declared) expect(await running.prompt(name)).toEqual([text]);
});

it("what the prompt asks for brings the brief of a chat that died", async () => {
  const start = await startOf(folder);
  const first = await connected(start);
  await first.ask("shim_force_checkpoint", work);
  process.kill(first.pid, "SIGKILL");
  await first.ended;
  const second = await connected(start);
  expect((await second.prompt("resume")).join("")).toMatch(/shim_check_recovery with start true.*take true/);
  expect((await second.ask("shim_check_recovery", { start: true })).text).toContain(work.nextStep);
  expect((await second.ask("shim_check_recovery", { take: true })).text).toContain(work.nextStep);
});

it("a signed bundle can be verified and unpacked, and without its signature it is the same file", ({ skip }) => {
  const own = selfSigned();
  if (own === null) return skip("no openssl");
  const signed = join(dirname(own.cert), "signed.mcpb");
  copyFileSync(packed, signed);
  mcpb("sign", "--cert", own.cert, "--key", own.key, signed);
  const content = readFileSync(packed);
  expect(verifiedBy(own.cert, signed, content)).toMatch(/successful/);
  const changed = Buffer.from(content);
  changed.writeUInt8(1 + changed.readUInt8(0), 0);
  expect(verifiedBy(own.cert, signed, changed)).toMatch(/failure/);
  const unpacked = join(dirname(own.cert), "unpacked");
  mcpb("unpack", signed, unpacked);
  expect(manifestOf(unpacked)).toEqual(manifestOf(folder));
  mcpb("unsign", signed);
  expect(readFileSync(signed).equals(readFileSync(packed))).toBe(true);
});

it("settings that are secret are kept as such, and none is required", () => {
  const settings = Object.entries(manifestOf(folder).user_config ?? {});
  expect(settings.filter(([, one]) => one.sensitive).map(([name]) => name)).toEqual(["token", "workspace_key"]);
  expect(settings.filter(([, one]) => one.required)).toEqual([]);
});

it.each(Object.entries(eras))(
  "%s: the next start restores what was saved before a kill -9, on Node's own SQLite",
  async (_era, mode) => {
    const start = await startOf(folder);
    const first = await connected(start, { mode });
    expect(existsSync(start.paths.database)).toBe(false);
    const saved = await first.ask("shim_force_checkpoint", work);
    process.kill(first.pid, "SIGKILL");
    expect(await first.ended).toBe("");
    const second = await connected(start, { mode });
    const found = await second.ask("shim_check_recovery");
    expect(found.text).toContain(work.nextStep);
    expect(found.text).toContain(String(saved.output["session"]));
    const status = await second.ask("shim_session_status", { detail: "detailed" });
    expect(status.output).toMatchObject({ store: "node:sqlite" });
    expect(await second.close()).toBe("");
    expect(integrityOf(storeOf(start.paths))).toEqual(["ok"]);
  },
);

it("a better-sqlite3 that lies beside the bundle is not loaded", async () => {
  const trap = join(dirname(folder), "node_modules", "better-sqlite3");
  mkdirSync(trap, { recursive: true });
  onTestFinished(() => rmSync(dirname(trap), { recursive: true }));
  writeFileSync(join(trap, "index.js"), `process.stderr.write("loaded"); throw new Error("loaded");`);
  const running = await connected(await startOf(folder));
  expect((await running.ask("shim_force_checkpoint", work)).output).toMatchObject({ isNew: true });
  expect(await running.close()).toBe("");
});

const recorder = join(import.meta.dirname, "..", "harness", "machine", "started-programs.cjs");

it("it starts git and nothing else, and git is given no secret @night", async () => {
  const { project } = makeProject({ "new.txt": "kept\n" });
  const settings = { edge_url: "http://127.0.0.1:9", workspace: "team", token: "shim_a.b", workspace_key: "k" };
  const start = await startOf(folder, settings);
  const list = join(start.user, "started");
  const env = { ...start.env, SHIM_TEST_STARTED: list };
  const running = await connected({ ...start, env }, { before: ["--require", recorder] });
  await running.ask("shim_force_checkpoint", { ...work, project });
  for (const tool of ["shim_check_recovery", "shim_monitor_signals", "shim_session_status"])
    await running.ask(tool, { project });
  await expect.poll(() => existsSync(list), { timeout: 120_000 }).toBe(true);
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

it("without git it saves all but the files", async () => {
  const { project } = makeProject();
  const start = await startOf(folder);
  const withoutGit = { ...start, env: { ...start.env, PATH: start.user } };
  const running = await connected(withoutGit);
  await running.ask("shim_force_checkpoint", { ...work, project });
  process.kill(running.pid, "SIGKILL");
  expect(await running.ended).toBe("");
  const again = await connected(withoutGit);
  expect((await again.ask("shim_check_recovery", { project })).text).toContain(work.nextStep);
});

it("the settings reach the server as its environment; empty ones count as not given", async () => {
  const settings = { edge_url: "https://shim.example.com", workspace: "team", token: "shim_a.b", machine: "desk" };
  const { env, user } = await startOf(folder, settings);
  const edge = { url: settings.edge_url, workspace: "team", token: "shim_a.b", machine: "desk" };
  expect(readEdgeConfig(user, env)).toEqual({ ok: true, value: edge });
  const empty = await startOf(folder);
  expect(readEdgeConfig(empty.user, empty.env)).toEqual({ ok: true, value: null });
  // Not given, and so passed on as it stands.
  expect(empty.env["SHIM_HOME"]).toBe("${user_config.home}");
  const own = join(empty.user, "of my own");
  const chosen = await startOf(folder, { home: own });
  const running = await connected(chosen);
  await running.ask("shim_force_checkpoint", work);
  expect(existsSync(join(own, "shim.db"))).toBe(true);
});

it("settings that name half a workspace are reported on stderr, and the chat is saved all the same", async () => {
  const running = await connected(await startOf(folder, { edge_url: "https://shim.example.com", token: "shim_a.b" }));
  expect((await running.ask("shim_force_checkpoint", work)).output).toMatchObject({ isNew: true });
  const all = "set all of SHIM_EDGE_URL, SHIM_WORKSPACE, SHIM_TOKEN, or none";
  expect(await running.close()).toBe(`SHIM: no workspace is joined: SHIM_WORKSPACE is missing; ${all}.\n`);
});

it("Node's warning of its own SQLite is not shown, others are", async () => {
  const start = await startOf(folder);
  const warn = join(start.user, "warn.cjs");
  const warnings = `process.emitWarning("SQLite is an experimental feature and might change at any time", "ExperimentalWarning");
    process.emitWarning("something else");`;
  writeFileSync(warn, `setImmediate(() => { ${warnings} });`);
  const running = await connected(start, { before: ["--require", warn] });
  await running.ask("shim_session_status");
  const said = await running.close();
  expect(said).toContain("Warning: something else");
  expect(said).not.toContain("SQLite");
});

it.skipIf(old === null)("on a Node that is too old it says so and ends", async () => {
  const { args, env } = await startOf(folder);
  const run = () => execFileSync(String(old), args, { env, input: "", encoding: "utf8", stdio: "pipe" });
  expect(run).toThrow(
    expect.objectContaining({ status: 78, stderr: expect.stringMatching(/needs Node 22\.16 or newer/) }),
  );
});
