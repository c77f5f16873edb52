import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { pathsIn } from "../src/platform/paths.ts";
import { openBetterSqlite3 } from "../src/store/driver-better-sqlite3.ts";
import { Store } from "../src/store/store.ts";
import * as files from "../src/machine/team/reservation-table.ts";
import { familyOf, hostsOf, killEvery } from "../test/harness/machine/process-tree.ts";
import { ms, ratio, sample, timed, type Row, type Sample } from "./figures.ts";
import { memoryOf, type Memory } from "./proc.ts";
import { scaled } from "./size.ts";

const rounds = scaled(40);
const warmUp = scaled(3, 0);
const initialize = {
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } },
};

/** From spawn to `initialize` answered and to the tools listed, and whole hook processes; all in turn, all on this Node. */
export async function benchStart(folder: string, emptyServer: string, memoryServer: string): Promise<Row[]> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder, SHIM_HOME: join(folder, "start"), CLAUDECODE: "1" };
  const servers = {
    empty: [emptyServer],
    shim: ["dist/mcp.cjs"],
    alone: ["dist/mcp.cjs"],
    launcher: ["bin/shim.mjs", "mcp"],
    memory: [memoryServer],
  };
  const team = { ...env, SHIM_HOME: join(folder, "team") };
  const edit = anEdit(folder, team.SHIM_HOME);
  const times: Record<string, number[]> = {};
  const residents: Record<string, Memory> = {};
  const note = (name: string, time: number): void => void (times[name] ??= []).push(time);
  for (let round = -warmUp; round < rounds; round++) {
    const keep = round < 0 ? (): void => {} : note;
    keep("node", await timed(() => spawnSync(process.execPath, ["-e", "0"], { env })));
    for (const [name, args] of Object.entries(servers)) {
      if (name === "alone") killEvery(hostsOf(env.SHIM_HOME));
      const started = await answered(args, env);
      keep(name, started.time);
      keep(`${name}: tools`, started.listed);
      residents[name] = started.resident;
    }
    for (const event of hookEvents) {
      keep(event, await timed(() => hook(byProgram, event, round, env)));
      keep(`${script} ${event}`, await timed(() => hook(byScript, event, round, env)));
    }
    keep(guarded, await timed(() => hook(byProgram, "PreToolUse", round, team, edit)));
  }
  killEvery(hostsOf(env.SHIM_HOME));
  const samples = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, sample(list)]));
  return [...startRows(samples), ...hookRows(samples), ...sizeRows(residents, emptyServer)];
}

interface Started {
  /** From the start of the process to the answer to `initialize`, in ms. */
  readonly time: number;
  /** To the list of tools, in ms. */
  readonly listed: number;
  readonly resident: Memory;
}

/** Starts a server, waits until it has listed its tools, ends its stdin and waits for its end. */
function answered(args: string[], env: NodeJS.ProcessEnv): Promise<Started> {
  const isShim = args.some((one) => /mcp\.cjs$|shim\.mjs$/.test(one));
  const hosts = (): { pid: number }[] => (isShim ? hostsOf(env["SHIM_HOME"] ?? "") : []);
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, args, { env, stdio: ["pipe", "pipe", "ignore"] });
    const say = (message: object): void =>
      void child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    let time = NaN;
    let result: Started | null = null;
    createInterface(child.stdout).on("line", (line) => {
      const at = performance.now() - start;
      const { id } = JSON.parse(line) as { id?: number };
      if (id === initialize.id) {
        time = at;
        say({ method: "notifications/initialized" });
        say({ id: 2, method: "tools/list" });
      } else if (id === 2) {
        result = { time, listed: at, resident: memoryOf([...familyOf(child.pid ?? 0), ...hosts()]) };
        child.stdin.end();
      }
    });
    child.once("exit", () => (result ? resolve(result) : reject(new Error(`${args.join(" ")} did not answer`))));
    say(initialize);
  });
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
      files.upsert(sql, 1, { resource: `file:p/src/part-${n % 50}/file-${n}.ts`, workspace: "w", token: n + 1, ...by });
    }
  });
  store.close();
  return {
    cwd: project,
    tool_name: "Edit",
    tool_input: { file_path: join(project, "src", "part-1", "deep", "free.ts"), old_string: "a", new_string: "b" },
  };
}

const hookEvents = ["PreToolUse", "PostToolUse", "Stop"] as const;
const script = "shim-hook";

/** Ways of an event to the host: the program, and the script that clients are given. */
const byProgram = [process.execPath, "dist/hook.cjs"] as const;
const byScript = ["/bin/sh", `dist/${script}`, process.execPath] as const;

function hook(
  [program, ...args]: readonly [string, ...string[]],
  event: string,
  round: number,
  env: NodeJS.ProcessEnv,
  fields: object = {},
): void {
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
  const done = spawnSync(program, [...args, event, "--client", "claude-code"], { env, input, encoding: "utf8" });
  if (done.status !== 0 || done.stderr) throw new Error(`hook ${event}: ${done.stderr}`);
}

function startRows(samples: Record<string, Sample>): Row[] {
  const of = (name: string): number => samples[name]?.p50 ?? NaN;
  const group = "cold start";
  const count = (name: string): number => samples[name]?.n ?? 0;
  const growth = of("shim") / of("empty");
  return [
    { group, n: count("node"), name: "node -e 0", figure: ms(of("node")) },
    { group, n: count("empty"), name: "empty bundled server of the same SDK", figure: ms(of("empty")) },
    {
      group,
      n: count("shim"),
      name: "shim mcp, a host runs",
      figure: ms(of("shim")),
      against: `${ratio(growth)} the empty server`,
      goal: "at most 1.2 x",
      isReached: growth <= 1.2,
    },
    {
      group,
      n: count("alone"),
      name: "shim mcp where no host runs",
      figure: ms(of("alone")),
      against: `${ratio(of("alone") / of("empty"))} the empty server`,
      goal: "at most 2 x",
      isReached: of("alone") / of("empty") <= 2,
    },
    {
      group,
      n: count("shim: tools"),
      name: "shim mcp until its tools are listed",
      figure: ms(of("shim: tools")),
      against: `${ratio(of("shim: tools") / of("empty: tools"))} the empty server`,
    },
    {
      group,
      n: count("launcher"),
      name: "shim mcp through the launcher",
      figure: ms(of("launcher")),
      against: `${ratio(of("launcher") / of("empty"))} the empty server`,
    },
    {
      group,
      n: count("memory"),
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
  const scripts = hookEvents.map((event) => `${script} ${event}`);
  return [...hookEvents, guarded, ...scripts].map((event) => {
    const { p50, p99, n } = samples[event] ?? sample([]);
    const growth = p50 / node;
    const most = scripts.includes(event) ? 0.4 : 2;
    return {
      group: "hook process",
      n,
      name: `${event} p50 / p99`,
      figure: `${ms(p50)} / ${ms(p99)}`,
      against: `${ratio(growth)} node -e 0`,
      goal: `at most ${most} x`,
      isReached: growth <= most,
    };
  });
}

function kb(bytes: number): string {
  return `${(bytes / 1e3).toFixed(0)} kB`;
}

/** Bytes of a program and of the parts that its start loads; those behind a `=>` are loaded on demand. */
function loadedAtStart(program: string): number {
  const loaded = new Map<string, string>();
  const load = (path: string): void => {
    if (loaded.has(path)) return;
    const text = readFileSync(path, "utf8");
    loaded.set(path, text);
    for (const [, part = ""] of text.matchAll(/(?<!>)\brequire\("(\.[^"]+)"\)/g)) load(join(dirname(path), part));
  };
  load(`dist/${program}.cjs`);
  return [...loaded.values()].join("").length;
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

function sizeRows(residents: Record<string, Memory>, emptyServer: string): Row[] {
  const resident = (name: string): string => mb(residents[name]?.resident ?? NaN);
  const proportional = (name: string): string => mb(residents[name]?.proportional ?? NaN);
  const sizes = ["mcp-host", "mcp", "hook"].map(loadedAtStart);
  return [
    {
      group: "memory",
      n: Object.keys(residents).length,
      name: "resident with the tools listed: shim mcp, front and host",
      figure: resident("alone"),
      against: `empty ${resident("empty")}, server-memory ${resident("memory")}`,
      goal: "at most 110 MB",
      isReached: (residents["alone"]?.resident ?? NaN) <= 110e6,
    },
    {
      group: "memory",
      n: Object.keys(residents).length,
      name: "the same, what processes share counted in parts",
      figure: proportional("alone"),
      against: `empty ${proportional("empty")}, server-memory ${proportional("memory")}`,
    },
    {
      group: "bundle",
      n: sizes.length,
      name: "host / front / hook, as loaded at the start",
      figure: sizes.map(kb).join(" / "),
      against: `empty server ${kb(statSync(emptyServer).size)}`,
      goal: "host at most 1,000 kB",
      isReached: (sizes[0] ?? NaN) <= 1e6,
    },
  ];
}
