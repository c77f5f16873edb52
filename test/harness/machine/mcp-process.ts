import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, watch } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, onTestFinished } from "vitest";
import { McpConnection, record, type Message } from "#src/platform/mcp-connection.ts";
import * as checkpoints from "#src/machine/checkpoints/checkpoints.ts";
import type { Paths } from "#src/platform/paths.ts";
import { systemProcesses, identify, type ProcessIdentity } from "#src/platform/processes.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import * as spool from "#src/store/spool.ts";
import { familyOf, hostsOf, killed, killEvery } from "./process-tree.ts";
import { column } from "#harness/store/store-rows.ts";
import { temporaryFolder } from "./git-project.ts";
import { tempHome } from "#harness/store/temp-store.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { Store } from "#src/store/store.ts";

const root = join(import.meta.dirname, "..", "..", "..");

export const built = {
  mcp: join(root, "dist", "mcp.cjs"),
  hook: join(root, "dist", "hook.cjs"),
  launcher: join(root, "bin", "shim.mjs"),
};

/** V8's compiled code of the programs, so that only the first start pays; not in the developer's own folder. */
const cache = mkdtempSync(join(tmpdir(), "shim-e2e-cache-"));
afterAll(() => rmSync(cache, { recursive: true, force: true }));

export interface StartOptions {
  readonly node?: string;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** Nothing of a client that the tests themselves run under. */
export function envOf(paths: Paths, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {
    PATH: process.env["PATH"],
    HOME: dirname(paths.home),
    XDG_CACHE_HOME: cache,
    SHIM_HOME: paths.home,
    // Hooks answer Claude Code only.
    CLAUDECODE: "1",
    ...more,
  };
}

/** A server process, not greeted yet. It is killed with the test. */
export function spawnServer(paths: Paths, options: StartOptions = {}): McpConnection {
  const { node = process.execPath, args = [built.mcp], env } = options;
  const server = new McpConnection({ command: node, args, env: envOf(paths, env), cwd: dirname(paths.home) });
  onTestFinished(() => {
    server.process.kill("SIGKILL");
    killEvery(hostsOf(paths.home));
  });
  return server;
}

export async function startServer(paths: Paths, options: StartOptions = {}): Promise<McpConnection> {
  const server = spawnServer(paths, options);
  await server.initialize("e2e");
  return server;
}

export async function answered(server: McpConnection, tool: string, given: Message): Promise<Message> {
  const { isError, text, data } = await server.callTool(tool, given);
  if (isError) throw new Error(`${tool}: ${text}`);
  return record(data);
}

export function storeOf(paths: Paths): Store {
  const store = new Store({ path: paths.database, driver: openNodeSqlite, now: Date.now });
  onTestFinished(() => store.close());
  return store;
}

export function integrityOf(store: Store): unknown[] {
  return store.read((sql) => column(sql, "PRAGMA integrity_check"), []);
}

/** What SHIM gives back of a checkpoint, its hash checked; null when it is not there. */
export function nextStepOf(store: Store, checkpointId: string): string | null {
  return store.read((sql) => {
    const [found] = checkpoints.byPrefix(sql, checkpointId);
    return found?.id === checkpointId ? checkpoints.requireState(sql, found.seq).nextStep : null;
  }, null);
}

export function sessionOf(store: Store, id: unknown): sessions.Session {
  const found = store.read((sql) => sessions.get(sql, String(id)), null);
  if (!found) throw new Error(`there is no session ${String(id)}`);
  return found;
}

/** Ends the front and the host at once, as a loss of power does. */
export function killAll({ pid }: McpConnection, { home }: Paths): Promise<void> {
  return killed([...familyOf(pid), ...hostsOf(home)]);
}

/** Events that were kept because two hosts died while they read them. */
export function setAside({ spool: folder }: Paths): string[] {
  return spool.survey(folder).unreadable.map(({ name }) => readFileSync(join(folder, name), "utf8"));
}

/** A home in which every checkpoint counts: retention takes nothing away. */
export function homeWithoutRetention(): Paths {
  const paths = tempHome();
  mkdirSync(paths.home, { recursive: true });
  writeFileSync(paths.config, JSON.stringify({ retention: { checkpointsPerSession: 1_000_000 } }));
  return paths;
}

/** A whole number from the environment, for longer runs than those of every day. */
export function setting(name: string, usual: number): number {
  const given = process.env[name];
  if (given === undefined) return usual;
  expect(given).toMatch(/^\d+$/);
  return Number(given);
}

/** Starts the built host of a home, and waits until it can be found. It is killed with the test. */
export async function startHost(paths: Paths): Promise<ProcessIdentity> {
  mkdirSync(paths.home, { recursive: true, mode: 0o700 });
  const { promise: linked, resolve } = Promise.withResolvers<void>();
  const watcher = watch(paths.home, (_event, name) => {
    if (name === "host.sock") resolve();
  });
  const env = envOf(paths, { CLAUDE_CODE_ENTRYPOINT: "sdk-cli", SHIM_TASK: "of another chat" });
  const child = spawn(process.execPath, [join(root, "dist", "mcp-host.cjs")], { env, stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  await linked;
  watcher.close();
  const host = child.pid === undefined ? null : identify(systemProcesses, child.pid);
  if (!host) throw new Error("the host has ended");
  return host;
}

/** A copy of the built programs, with another time of its build. @returns its `mcp.cjs` */
export function otherBuild(laterMs: number): string {
  const dist = join(root, "dist");
  const folder = temporaryFolder();
  const time = /\b1[78]\d{11}\b/.exec(readFileSync(join(dist, "mcp-main.cjs"), "utf8"))?.[0];
  if (time === undefined) throw new Error("the build has no time");
  cpSync(dist, join(folder, "dist"), { recursive: true });
  for (const name of ["node_modules", "package.json"]) symlinkSync(join(root, name), join(folder, name));
  const programs = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".cjs"));
  for (const name of programs) {
    const path = join(folder, "dist", name);
    writeFileSync(path, readFileSync(path, "utf8").replaceAll(time, String(Number(time) + laterMs)));
  }
  return join(folder, "dist", "mcp.cjs");
}
