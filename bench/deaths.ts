import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { pathsIn } from "../src/platform/paths.ts";
import { McpConnection } from "../src/platform/mcp-connection.ts";
import { openBetterSqlite3 } from "../src/store/driver-better-sqlite3.ts";
import { Store } from "../src/store/store.ts";
import * as sessions from "../src/machine/sessions/sessions.ts";
import { hostsOf, killEvery } from "../test/harness/machine/process-tree.ts";
import { ms, sample, type Row } from "./figures.ts";
import { scaled } from "./size.ts";

const rounds = scaled(30);
const maxMs = 50;
const giveUpMs = 30_000;

type Ending = "client" | "client and front";

/** From the SIGKILL of a client, alone or with its front, until the host has recorded the death of its session. */
export async function benchDeaths(folder: string): Promise<Row[]> {
  const home = join(folder, "deaths");
  const store = new Store({ path: pathsIn(home).database, driver: openBetterSqlite3, now: Date.now });
  const rows: Row[] = [];
  for (const ending of ["client", "client and front"] as const) {
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) times.push(await deathOf(`${ending} ${round}`, ending, home, store));
    const { p50, p99, n } = sample(times);
    rows.push({
      group: "machine",
      n,
      name: `${ending} killed: death recorded, p50 / most`,
      figure: `${ms(p50)} / ${ms(p99)}`,
      goal: `p50 at most ${maxMs} ms`,
      isReached: p50 <= maxMs,
    });
  }
  store.close();
  killEvery(hostsOf(home));
  return rows;
}

async function deathOf(name: string, ending: Ending, home: string, store: Store): Promise<number> {
  const session = name.replaceAll(" ", "-");
  const path = process.env["PATH"] ?? "";
  const env = { PATH: path, HOME: home, SHIM_HOME: home, CLAUDECODE: "1", CLAUDE_CODE_SESSION_ID: session };
  const client = new McpConnection({
    command: process.execPath,
    args: [resolve("bench/elsewhere-client.ts")],
    env,
    cwd: process.cwd(),
  });
  const event = { session_id: session, cwd: process.cwd(), prompt: "measure deaths" };
  await client.initialize("bench");
  for (const hook_event_name of ["SessionStart", "UserPromptSubmit"])
    await client.request("bench/hook", { ...event, hook_event_name });
  const { pid } = await client.request("bench/server");
  await client.callTool("shim_force_checkpoint", { session, goal: name });
  const start = performance.now();
  killEvery(ending === "client" ? [client] : [client, { pid: Number(pid) }]);
  while (store.read((sql) => sessions.get(sql, session)?.deathAt ?? null, null) === null) {
    if (performance.now() - start > giveUpMs) throw new Error(`the death of ${name} was not recorded`);
    await pause(1);
  }
  return performance.now() - start;
}
