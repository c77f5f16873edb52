import { spawn, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import * as sessions from "../src/machine/sessions/sessions.ts";
import { McpConnection } from "#harness/machine/mcp-connection.ts";
import { pathsIn } from "../src/platform/paths.ts";
import { openBetterSqlite3 } from "../src/store/driver-better-sqlite3.ts";
import { Store } from "../src/store/store.ts";
import { hostsOf, killEvery } from "#harness/machine/process-tree.ts";
import { sample, scaled } from "./measure.ts";

const rounds = scaled(30);
const giveUpMs = 30_000;

/** From the SIGKILL of a client to the host's record of the death, and to the brief that the hooks of the next chat give. In ms. */
export async function brief() {
  const home = join(tmpdir(), "brief");
  const store = new Store({ path: pathsIn(home).database, driver: openBetterSqlite3, now: Date.now });
  const [deaths, briefs]: [number[], number[]] = [[], []];
  let held = 0;
  for (let round = 0; round < rounds; round++) {
    const project = join(tmpdir(), `project-${round}`);
    mkdirSync(project);
    const goal = `measure the brief of round ${round}`;
    const first = await aChat(home, project, `first-${round}`);
    await first.client.callTool("shim_force_checkpoint", { session: first.session, goal });
    const killedAt = performance.now();
    killEvery([first.client]);
    while (store.read((sql) => sessions.get(sql, first.session)?.ending?.signs.gone ?? null, null) === null) {
      if (performance.now() - killedAt > giveUpMs) throw new Error(`the death of ${first.session} was not recorded`);
      await pause(1);
    }
    deaths.push(performance.now() - killedAt);
    const next = await aChat(home, project, `next-${round}`);
    briefs.push(next.hooksMs);
    if (next.context.includes(goal)) held += 1;
    killEvery([next.client]);
  }
  store.close();
  killEvery(hostsOf(home));
  return { rounds, held, death: sample(deaths).p50, brief: sample(briefs).p50 };
}

/** A chat that has been sent its first prompt. */
async function aChat(home: string, project: string, session: string) {
  const path = process.env["PATH"] ?? "";
  const env = { PATH: path, HOME: tmpdir(), SHIM_HOME: home, CLAUDECODE: "1", CLAUDE_CODE_SESSION_ID: session };
  const args = [resolve("bench/brief.ts")];
  const client = new McpConnection({ command: process.execPath, args, env, cwd: process.cwd() });
  await client.initialize("bench");
  const event = { session_id: session, cwd: project, prompt: "measure briefs" };
  const startedAt = performance.now();
  let context = "";
  for (const hook_event_name of ["SessionStart", "UserPromptSubmit"])
    context += String((await client.request("bench/hook", { ...event, hook_event_name }))["stdout"]);
  return { client, session, context, hooksMs: performance.now() - startedAt };
}

/** Of a client that can be killed without its server: passes its input on to a SHIM server, and runs the hooks that it is asked for. */
function serveClient(): void {
  const server = spawn(process.execPath, ["dist/mcp.cjs"], { stdio: ["pipe", "pipe", "inherit"] });
  server.stdout.pipe(process.stdout);
  server.stdin.on("error", () => undefined);
  // An interrupted bench leaves no client behind.
  process.stdin.on("close", () => process.exit(0));
  createInterface({ input: process.stdin, crlfDelay: Infinity }).on("line", (line) => {
    const { method, id, params } = JSON.parse(line) as {
      method?: string;
      id?: number;
      params?: Record<string, unknown>;
    };
    if (method !== "bench/hook") return void server.stdin.write(`${line}\n`);
    const args = ["dist/shim-hook", process.execPath, String(params?.["hook_event_name"]), "--client", "claude-code"];
    const { stdout } = spawnSync("/bin/sh", args, { input: JSON.stringify(params), encoding: "utf8" });
    process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, result: { stdout } })}\n`);
  });
}

if (import.meta.main) serveClient();
