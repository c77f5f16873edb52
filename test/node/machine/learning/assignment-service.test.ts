import * as notices from "#src/store/notices.ts";
import { expect, it, afterEach, beforeEach, vi } from "vitest";
import type { MachineTrial } from "#src/contract/learning.ts";
import { toUnit, chooseArm } from "#src/machine/sessions/session-settings.ts";
import { pastChats, startTrial } from "#harness/experiments/histories.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createPrivateFolder } from "#src/platform/private-files.ts";
import { defaults } from "#src/contract/config.ts";
import { answerRequest } from "#src/machine/learning/statsig.ts";
import type { ServiceAnswer, ServiceRequest } from "#src/machine/learning/assignment-service.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

const key = "checkpoint.everyMs";

function started(runtime: TempRuntime): MachineTrial {
  pastChats(runtime);
  return startTrial(runtime, key, 250_000);
}

let count = 0;

function aChat(runtime: TempRuntime, source = "startup"): Claude {
  const session = `${String((count += 1)).padStart(8, "0")}-04b4-4fe0-bbd5-6aa531354563`;
  const claude = new Claude(runtime, { cwd: aProject(), session, pid: 20_000 + count });
  claude.start(source);
  return claude;
}

function armsOf(runtime: TempRuntime): unknown[] {
  return runtime.store.read((sql) => sql.all("SELECT unit, arm FROM exposures ORDER BY seq"), []);
}

/** A machine with this setting of `experiments`, whose process of the service is a program of the test. */
function aServiceRuntime(experiments: Record<string, unknown>) {
  const config = { experiments };
  const runtime = tempRuntime({ config });
  createPrivateFolder(runtime.paths.home);
  writeFileSync(runtime.paths.config, JSON.stringify(config));
  const dist = join(temporaryFolder(), "dist");
  mkdirSync(dist);
  const log = join(dist, "requests");
  /** Another program as the process of the service: `request` is what it was given, `answer(value)` answers. */
  const serve = (program: string): void =>
    writeFileSync(
      join(dist, "hook-service.cjs"),
      `const fs = require("node:fs");
       const text = fs.readFileSync(0, "utf8");
       fs.appendFileSync(${JSON.stringify(log)}, text + "\\n");
       const request = JSON.parse(text);
       const answer = (value) => fs.writeSync(3, JSON.stringify(value));
       ${program}`,
    );
  serve("answer({ arms: [], problems: [] });");
  writeFileSync(log, "");
  const lines = (): string[] => readFileSync(log, "utf8").split("\n").filter(Boolean);
  return {
    ...runtime,
    // No speed of the machine decides, unless the test sets the limit.
    config: { ...runtime.config, experiments: { ...runtime.config.experiments, waitMs: 60_000, ...experiments } },
    launch: { node: process.execPath, script: join(dirname(dist), "bin/shim.mjs"), hookScript: join(dist, "hook.cjs") },
    requests: () => lines().map((line) => JSON.parse(line) as ServiceRequest),
    serve,
  };
}

const token = `ghp_${"aB3".repeat(12)}`;
const all = (arm: string): string => `answer({ arms: request.trials.map(() => "${arm}"), problems: [] });`;

it("a service is asked once, for a session that begins while a trial runs, and its arm is stored", () => {
  const runtime = aServiceRuntime({ provider: "statsig" });
  runtime.serve(all("treatment"));
  aChat(runtime);
  expect(runtime.requests()).toEqual([]);
  const { id, salt, provider } = started(runtime);
  expect(provider).toBe("statsig");
  const chat = aChat(runtime);
  chat.start("compact");
  chat.start("resume");
  expect(armsOf(runtime)).toEqual([{ unit: chat.session, arm: "treatment" }]);
  const trials = [{ name: key, unit: toUnit(salt, chat.session) }];
  expect(runtime.requests()).toMatchObject([{ trials }]);
  for (const hidden of [chat.session, id]) expect(JSON.stringify(runtime.requests())).not.toContain(hidden);
});

it.each([
  ["hangs", "while (true);", "no answer within 1600 ms"],
  ["prints rubbish", `console.log("{}"); fs.writeSync(3, "rubbish");`, "ended without an answer"],
  ["dies", "process.kill(process.pid, 'SIGKILL');", "ended without an answer"],
  ["reports a problem", `answer({ arms: [], problems: ["no ${token}"] });`, "no [redacted:github-token]"],
])("a service that %s leaves the session without an arm, and says so once", (_, program, problem) => {
  const limits = program.startsWith("while") ? { waitMs: 100 } : {};
  const runtime = aServiceRuntime({ provider: "statsig", ...limits });
  started(runtime);
  runtime.serve(program);
  const chat = aChat(runtime);
  chat.prompt("Write the parser");
  expect(armsOf(runtime)).toEqual([]);
  expect(runtime.logged.join()).toContain(problem);
  runtime.serve(`answer({ arms: [], problems: ["no key"] });`);
  aChat(runtime);
  const text = expect.stringContaining("was not assigned by statsig") as string;
  expect(runtime.store.read((sql) => notices.list(sql), [])).toMatchObject([{ text }]);
  runtime.serve(all("treatment"));
  chat.start("resume");
  expect(armsOf(runtime)).toEqual([]);
});

const units = Array.from({ length: 60 }, (_, n) => toUnit("salt", `session ${n}`));
const trials = units.map((unit) => ({ name: key, unit }));

function bucketOf(operator: string, targetValue: number, salt: string) {
  const unit = { type: "user_bucket", field: null, idType: "userID" };
  return { ...unit, operator, targetValue, additionalValues: { salt } };
}

/** Statsig's rules for an experiment that nine tenths of the units are in. */
function statsigRules(): string {
  const common = { salt: "", passPercentage: 100, idType: "userID" };
  const layer = { ...common, name: "layerAssignment", id: "layerAssignment", returnValue: {} };
  const group = (arm: string, below: number) => {
    const names = { name: arm, groupName: arm, id: `rule-${arm}`, isExperimentGroup: true };
    return { ...common, ...names, returnValue: { arm }, conditions: [bucketOf("lt", below, "arms")] };
  };
  const share = { ...layer, conditions: [bucketOf("gte", 900, "share")] };
  const rules = [share, group("control", 500), group("treatment", 1_000)];
  const spec = { name: key, type: "dynamic_config", salt: "arms", enabled: true, defaultValue: {}, rules };
  const configs = [{ ...spec, entity: "experiment", isActive: true, idType: "userID" }];
  return JSON.stringify({ has_updates: true, time: 1, feature_gates: [], layer_configs: [], dynamic_configs: configs });
}

const rules = statsigRules();

const requests: { url: string; body: string }[] = [];
let answer: (url: string) => Promise<Response> = async () => Promise.reject(new Error("no network"));

beforeEach(() => {
  requests.length = 0;
  answer = async () => Promise.reject(new Error("no network"));
  vi.stubGlobal("fetch", async (url: string | URL, init?: RequestInit) => {
    requests.push({ url: String(url), body: typeof init?.body === "string" ? init.body : "" });
    return answer(String(url));
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
});

function ask(
  experiments: Partial<(typeof defaults)["experiments"]>,
  { home = temporaryFolder(), env = {} }: { home?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<ServiceAnswer> {
  const settings = { ...defaults.experiments, waitMs: 60_000, ...experiments };
  return answerRequest({ settings, home, trials }, env);
}

it("Statsig assigns from a file in SHIM's folder, without network", async () => {
  const home = temporaryFolder();
  writeFileSync(join(home, "rules.json"), rules);
  const { arms, problems } = await ask({ provider: "statsig", statsigRules: "rules.json" }, { home });
  const count = (arm: string): number => arms.filter((one) => one === arm).length;
  expect([problems, requests, arms.length]).toEqual([[], [], units.length]);
  expect(Math.min(count("control"), count("treatment"))).toBeGreaterThan(10);
  const absolute = await ask({ provider: "statsig", statsigRules: join(home, "rules.json") });
  expect(absolute.arms).toEqual(arms);
});

it("live Statsig has its key from the environment, and gets nothing but the request for its rules", async () => {
  answer = async (url) => new Response(url.includes("download_config_specs") ? rules : '{"success":true}');
  const settings = { provider: "statsig", statsigKeyEnv: "MY_STATSIG" } as const;
  const env = { MY_STATSIG: "client-of-mine" };
  expect((await ask(settings, { env })).problems).toEqual([]);
  expect(requests.filter(({ body }) => body !== "")).toEqual([]);
});

/** A package instead of Statsig's, which does this. */
function aPackage(folder: string, text: string): void {
  const path = join(folder, "node_modules/@statsig/serverless-client");
  mkdirSync(path, { recursive: true });
  const packaged = { name: "@statsig/serverless-client", main: "index.mjs" };
  writeFileSync(join(path, "package.json"), JSON.stringify(packaged));
  writeFileSync(join(path, "index.mjs"), text);
}

it("the package is resolved from SHIM's folder, and nothing from the folder of a project", async () => {
  const [home, project] = [temporaryFolder(), temporaryFolder()];
  aPackage(home, `throw new Error("of SHIM's folder");`);
  aPackage(project, `throw new Error("of a project");`);
  const settings = { provider: "statsig", statsigKeyEnv: "KEY" } as const;
  vi.spyOn(process, "cwd").mockReturnValue(project);
  const { problems } = await ask(settings, { home, env: { KEY: "client-key" } });
  expect(problems).toEqual(["of SHIM's folder"]);
  vi.restoreAllMocks();
});

it("a package that is not installed is named with its command, and none is in a bundle", async () => {
  const home = temporaryFolder();
  aPackage(home, 'import "not-installed-at-all";');
  writeFileSync(join(home, "rules.json"), rules);
  const { problems } = await ask({ provider: "statsig", statsigRules: "rules.json" }, { home });
  const what = "Assignment by Statsig needs a package that is not installed";
  expect(problems).toEqual([`${what}: npm install @statsig/serverless-client`]);
});

it("SHIM's own assignment: halves, a larger share moves no session, another salt splits independently", () => {
  const ids = Array.from({ length: 4_000 }, (_, n) => `session-${n}`);
  const armsAt = (share: number, salt = "1") => ids.map((id) => chooseArm({ id: "exp_1", salt, share }, id));
  const [tenth, half, all, other] = [armsAt(0.1), armsAt(0.5), armsAt(1), armsAt(1, "2")];
  expect(new Set(armsAt(0))).toEqual(new Set([null]));
  expect(all.filter((arm) => arm === "control").length / ids.length).toBeCloseTo(0.5, 1);
  expect(tenth.filter((arm) => arm !== null).length / ids.length).toBeCloseTo(0.1, 1);
  for (const [n, arm] of tenth.entries()) if (arm !== null) expect([half[n], all[n]]).toEqual([arm, arm]);
  expect(all.filter((arm, n) => arm === other[n]).length / ids.length).toBeCloseTo(0.5, 1);
  expect(toUnit("salt", "session-1")).toMatch(/^[0-9a-f]{32}$/);
  expect(toUnit("salt", "session-1")).not.toBe(toUnit("other", "session-1"));
});
