import { mkdirSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { pastChats } from "#harness/experiments/past-chats.ts";
import { statsigRules } from "#harness/experiments/statsig-rules.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { MachineHome } from "#harness/machine/real-machine.ts";
import { storeOf } from "#harness/machine/mcp-process.ts";

const key = "checkpoint.everyMs";

interface Started {
  readonly session: string;
  readonly out: string;
}

function startSession(home: MachineHome, n: number): Started {
  const session = `${String(n).padStart(8, "0")}-04b4-4fe0-bbd5-6aa531354563`;
  const input = { session_id: session, cwd: home.project, hook_event_name: "SessionStart", source: "startup" };
  const env = { ...home.env, CLAUDECODE: "1", CLAUDE_CODE_SESSION_ID: session };
  const { status, stdout } = spawnSync(process.execPath, [built.hook, "SessionStart"], {
    input: JSON.stringify(input),
    encoding: "utf8",
    env,
  });
  expect(status).toBe(0);
  return { session, out: stdout };
}

function exposures(home: MachineHome): { unit: string; arm: string }[] {
  return storeOf(home.paths).read((sql) => sql.all("SELECT unit, arm FROM exposures ORDER BY seq"), []);
}

async function withTrial(experiments: object): Promise<MachineHome> {
  const home = new MachineHome();
  mkdirSync(home.paths.home, { recursive: true, mode: 0o700 });
  writeFileSync(home.paths.config, JSON.stringify({ experiments }));
  pastChats({ store: storeOf(home.paths), now: Date.now });
  await home.ask("experiment", "start", key, "250000");
  return home;
}

it("the hook of a session's start has Statsig assign by a file of rules, until all is stopped @night", async () => {
  const home = await withTrial({ provider: "statsig", statsigRules: "rules.json", waitMs: 3_000 });
  writeFileSync(join(home.paths.home, "rules.json"), statsigRules(key, ["control", "treatment"]));
  const chats = new Set(Array.from({ length: 12 }, (_, n) => startSession(home, n + 1).session));
  const assigned = exposures(home);
  expect(assigned.length).toBeGreaterThan(6);
  expect(assigned.every(({ unit }) => chats.has(unit))).toBe(true);
  expect(new Set(assigned.map(({ arm }) => arm))).toEqual(new Set(["control", "treatment"]));
  expect((await home.shim("doctor")).out).toContain("sessions of trials are assigned by statsig");
  expect((await home.shim("experiment", "stop", "--all")).code).toBe(0);
  startSession(home, 20);
  expect(exposures(home)).toHaveLength(assigned.length);
});

it("a package that prints and hangs holds up no session for longer, and is never read", async () => {
  const home = await withTrial({ provider: "statsig", statsigKeyEnv: "HOME", waitMs: 100 });
  const folder = join(home.paths.home, "node_modules/@statsig/serverless-client");
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ name: "@statsig/serverless-client", main: "index.mjs" }),
  );
  writeFileSync(join(folder, "index.mjs"), `console.log("read me"); process.exitCode = 1; while (true);`);
  const { out } = startSession(home, 1);
  expect(out).not.toContain("read me");
  expect(out).toContain("not assigned by statsig");
  expect(exposures(home)).toEqual([]);
  expect(startSession(home, 2).out).toContain("not assigned by statsig");
});
