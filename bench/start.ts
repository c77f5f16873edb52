import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathsIn } from "../src/local-mcp/paths.ts";
import { openBetterSqlite3 } from "../src/local-mcp/store/driver-better-sqlite3.ts";
import { Store } from "../src/local-mcp/store/store.ts";
import * as files from "../src/local-mcp/team/files-table.ts";
import { ms, ratio, sample, timed, type Row, type Sample } from "./figures.ts";

const rounds = Number(process.env["SHIM_BENCH_STARTS"] ?? 40);
const initialize = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } },
};

/** From spawn to `initialize` answered, and whole hook processes; all in turn, all on this Node. */
export async function benchStart(folder: string, emptyServer: string, memoryServer: string): Promise<Row[]> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder, SHIM_HOME: join(folder, "start") };
  const servers = {
    empty: [emptyServer],
    shim: ["dist/mcp.cjs"],
    launcher: ["bin/shim.mjs", "mcp"],
    memory: [memoryServer],
  };
  const team = { ...env, SHIM_HOME: join(folder, "team") };
  const edit = anEdit(folder, team.SHIM_HOME);
  const times: Record<string, number[]> = {};
  const residents: Record<string, number> = {};
  const note = (name: string, time: number): void => void (times[name] ??= []).push(time);
  for (let round = -3; round < rounds; round++) {
    const keep = round < 0 ? (): void => {} : note;
    keep("node", await timed(() => spawnSync(process.execPath, ["-e", "0"], { env })));
    for (const [name, args] of Object.entries(servers)) {
      const started = await answered(args, env);
      keep(name, started.time);
      residents[name] = started.residentBytes;
    }
    for (const event of ["PreToolUse", "PostToolUse", "Stop"]) keep(event, await timed(() => hook(event, round, env)));
    keep(guarded, await timed(() => hook("PreToolUse", round, team, edit)));
  }
  const samples = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, sample(list)]));
  return [...startRows(samples), ...hookRows(samples), ...sizeRows(residents, emptyServer)];
}

/** Starts a server, waits for its answer, ends its stdin and waits for its end. */
function answered(args: string[], env: NodeJS.ProcessEnv): Promise<{ time: number; residentBytes: number }> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, args, { env, stdio: ["pipe", "pipe", "ignore"] });
    let result: { time: number; residentBytes: number } | null = null;
    child.stdout.once("data", () => {
      result = { time: performance.now() - start, residentBytes: residentOf(child.pid ?? 0) };
      child.stdin.end();
    });
    child.once("exit", () => (result ? resolve(result) : reject(new Error(`${args.join(" ")} did not answer`))));
    child.stdin.write(`${JSON.stringify(initialize)}\n`);
  });
}

function residentOf(pid: number): number {
  const pages = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1];
  return Number(pages) * 4_096;
}

const reservations = 1_000;
const guarded = `PreToolUse of an edit, ${reservations.toLocaleString("en")} files reserved`;

/** A project in which others have reserved many files, and the edit of one that is free. */
function anEdit(folder: string, home: string): object {
  const project = join(realpathSync(folder), "project");
  mkdirSync(join(project, ".git"), { recursive: true });
  const store = new Store({ path: pathsIn(home).database, driver: openBetterSqlite3, now: Date.now });
  store.write((sql) => {
    sql.run("INSERT INTO team_projects (workspace, root, project, at) VALUES ('w', ?, 'p', 1)", project);
    for (let n = 0; n < reservations; n++) {
      const by = { holder: `chat-${n % 30}`, holderName: "another", machine: "m", checkout: project, since: 1 };
      files.keep(sql, 1, { resource: `file:p/src/part-${n % 50}/file-${n}.ts`, workspace: "w", ...by });
    }
  });
  store.close();
  return {
    cwd: project,
    tool_name: "Edit",
    tool_input: { file_path: join(project, "src", "part-1", "deep", "free.ts"), old_string: "a", new_string: "b" },
  };
}

function hook(event: string, round: number, env: NodeJS.ProcessEnv, fields: object = {}): void {
  const input = JSON.stringify({
    session_id: "bench-session",
    cwd: "/",
    hook_event_name: event,
    prompt_id: `p${round}`,
    tool_name: "Bash",
    tool_use_id: `t${round}`,
    tool_input: { command: "npm test -- parser" },
    tool_response: { stdout: "ok ".repeat(500), stderr: "" },
    last_assistant_message: `Round ${round} is done; the next step is the lexer.`,
    ...fields,
  });
  const done = spawnSync(process.execPath, ["dist/hook.cjs", event], { env, input, encoding: "utf8" });
  if (done.status !== 0 || done.stderr) throw new Error(`hook ${event}: ${done.stderr}`);
}

function startRows(samples: Record<string, Sample>): Row[] {
  const of = (name: string): number => samples[name]?.p50 ?? NaN;
  const group = "cold start";
  const growth = of("shim") / of("empty");
  return [
    { group, name: "node -e 0", figure: ms(of("node")) },
    { group, name: "empty bundled server of the same SDK", figure: ms(of("empty")) },
    {
      group,
      name: "shim mcp",
      figure: ms(of("shim")),
      against: `${ratio(growth)} the empty server`,
      goal: "at most 1.4 x",
      isReached: growth <= 1.4,
    },
    {
      group,
      name: "shim mcp through the launcher",
      figure: ms(of("launcher")),
      against: `${ratio(of("launcher") / of("empty"))} the empty server`,
    },
    {
      group,
      name: "server-memory",
      figure: ms(of("memory")),
      against: `${ratio(of("memory") / of("shim"))} shim`,
      goal: "slower than shim",
      isReached: of("memory") > of("shim"),
    },
  ];
}

function hookRows(samples: Record<string, Sample>): Row[] {
  const node = samples["node"]?.p50 ?? NaN;
  return ["PreToolUse", "PostToolUse", "Stop", guarded].map((event) => {
    const { p50 = NaN, p99 = NaN } = samples[event] ?? {};
    const growth = p50 / node;
    return {
      group: "hook process",
      name: `${event} p50 / p99`,
      figure: `${ms(p50)} / ${ms(p99)}`,
      against: `${ratio(growth)} node -e 0`,
      goal: "at most 2 x",
      isReached: growth <= 2,
    };
  });
}

function kb(path: string): string {
  return `${(statSync(path).size / 1e3).toFixed(0)} kB`;
}

function sizeRows(residents: Record<string, number>, emptyServer: string): Row[] {
  const mb = (name: string): string => `${((residents[name] ?? 0) / 1e6).toFixed(0)} MB`;
  return [
    {
      group: "memory",
      name: "resident after initialize: shim mcp",
      figure: mb("shim"),
      against: `empty ${mb("empty")}, server-memory ${mb("memory")}`,
    },
    {
      group: "bundle",
      name: "mcp / hook",
      figure: `${kb("dist/mcp-main.cjs")} / ${kb("dist/hook-main.cjs")}`,
      against: `empty server ${kb(emptyServer)}`,
    },
  ];
}
