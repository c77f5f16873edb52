import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { parse, stringify } from "yaml";
import type { Route } from "#src/contract/model-routes.ts";
import type { Self } from "#src/contract/values.ts";
import type { Paths } from "#src/platform/paths.ts";
import { EdgeRuntime, freePort } from "#harness/edge/edge-runtime.ts";
import { seedExperiments } from "#harness/experiments/histories.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { MachineHome, patience } from "#harness/machine/programs.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine } from "#harness/machine/transcripts.ts";
import { dashboards as made } from "../../scripts/dashboards.ts";

const ops = join(import.meta.dirname, "..", "..", "ops");

/** By the name of the job in ops/prometheus/prometheus.yml. */
type Targets = Readonly<Record<"shim-machine" | "shim-workspace", Readonly<Record<"url" | "token", string>>>>;

interface Config {
  global: Record<string, string>;
  scrape_configs: { job_name: keyof Targets; scrape_interval?: string; static_configs: { targets: string[] }[] }[];
}

/** A copy of ops/prometheus with the tokens that it names. */
function configFolder(tokens: Readonly<Record<string, string>> = {}): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "secrets"));
  for (const file of ["prometheus.yml", "alerts.yml", "alerts.test.yml"])
    copyFileSync(join(ops, "prometheus", file), join(folder, file));
  for (const name of ["machine-token", "workspace-token"])
    writeFileSync(join(folder, "secrets", name), tokens[name] ?? "a token");
  return folder;
}

function check(command: string, args: readonly string[], cwd = ops, input = ""): { code: number; said: string } {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, input, encoding: "utf8" });
  if (error) throw new Error(`${command} cannot be started (apt-get install prometheus prometheus-alertmanager)`);
  return { code: status ?? -1, said: `${stdout}${stderr}` };
}

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** A Prometheus with the shipped configuration, but for the addresses and the intervals; it ends with the test. */
class Prometheus {
  readonly url: string;
  readonly #process: ChildProcess;
  #said = "";

  private constructor(url: string, process: ChildProcess) {
    this.url = url;
    this.#process = process;
    process.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#said += text));
    onTestFinished(async () => {
      process.kill("SIGKILL");
      if (process.exitCode === null && process.signalCode === null) await once(process, "close");
    });
  }

  static async start(targets: Targets): Promise<Prometheus> {
    const { "shim-machine": machine, "shim-workspace": workspace } = targets;
    const folder = configFolder({ "machine-token": machine.token, "workspace-token": workspace.token });
    const path = join(folder, "prometheus.yml");
    const config = parse(readFileSync(path, "utf8")) as Config;
    config.global = { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" };
    for (const job of config.scrape_configs) {
      const { protocol, host, pathname } = new URL(targets[job.job_name].url);
      delete job.scrape_interval;
      Object.assign(job, { scheme: protocol.slice(0, -1), metrics_path: pathname });
      job.static_configs = [{ targets: [host] }];
    }
    writeFileSync(path, stringify(config));
    const address = `127.0.0.1:${await freePort()}`;
    const args = [`--config.file=${path}`, `--storage.tsdb.path=${join(folder, "data")}`];
    const child = spawn("prometheus", [...args, `--web.listen-address=${address}`], { cwd: folder });
    const prometheus = new Prometheus(`http://${address}`, child);
    await vi.waitUntil(() => prometheus.#isReady(), patience);
    return prometheus;
  }

  async #isReady(): Promise<boolean> {
    if (this.#process.exitCode !== null) throw new Error(`prometheus has ended: ${this.#said}`);
    return (await fetch(`${this.url}/-/ready`).catch(() => null))?.ok ?? false;
  }

  async ask<T>(path: string): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1/${path}`);
    const { status, data, error } = (await answer.json()) as { status: string; data: T; error?: string };
    if (status !== "success") throw new Error(`${path}: ${error}`);
    return data;
  }

  async query(expr: string): Promise<Series[]> {
    return (await this.ask<{ result: Series[] }>(`query?query=${encodeURIComponent(expr)}`)).result;
  }

  async sum(expr: string): Promise<number> {
    const [one] = await this.query(`sum(${expr})`);
    return Number(one?.value[1] ?? Number.NaN);
  }

  async until(expr: string): Promise<void> {
    await vi.waitFor(async () => expect(await this.query(expr), expr).not.toEqual([]), patience);
  }
}

/** On one machine: a chat works, dies, and another one continues it. */
function workAndDie(paths: Paths): void {
  const runtime = tempRuntime({ paths, now: Date.now() });
  const dead = new Claude(runtime, { cwd: aProject() });
  dead.start();
  dead.turn("Write the parser");
  dead.say("I begin with the tokens.");
  dead.write(`${dead.cwd}/parser.ts`, "export {};");
  dead.fail("Bash", { command: "npm test" }, "one test failed");
  runtime.wait(10_000);
  dead.transcribe(anAssistantLine({ content: [{ type: "text", text: "The tests are next." }] }));
  dead.use("Bash", { command: "npm test" });
  dead.kill();
  runtime.wait(60_000);
  const next = new Claude(runtime, { cwd: dead.cwd, pid: 2_000, session: "30487890-04b4-4fe0-bbd5-6aa531354563" });
  next.start();
  next.turn("Continue");
  // The observations of this process that no later event would store.
  runtime.durations.store(runtime.store);
  runtime.store.close();
}

/** On one machine: a trial is running, and one is over. */
function experiment(paths: Paths): void {
  const runtime = tempRuntime({ paths, now: Date.now() });
  seedExperiments(runtime);
  runtime.store.close();
}

const chosen = { tier: "small", model: "claude-haiku-4-5", effort: null, band: "usual", reason: "chosen" } as const;
const route: Route = { ...chosen, isCounted: true };

/** Two chats do tasks with every outcome, hold leases, lead, send, and share state. */
async function workAsTeam(edge: EdgeRuntime): Promise<void> {
  const [a, b] = [await edge.register("a"), await edge.register("b")];
  await edge.call("settings.set", { settings: { budgets: { day: { tokens: 10_000 } } } });
  await edge.call("leases.acquire", { self: a, resource: "deploy", requestId: "r1", ttlMs: 600_000 });
  await edge.call("leases.acquire", { self: b, resource: "deploy", requestId: "r2", waitMs: 600_000 });
  await edge.call("elections.campaign", { self: a, name: "deployer", requestId: "e1" });
  await edge.call("state.set", { key: "k", value: 1 });
  await edge.call("messages.send", { self: a, target: { to: "all" }, body: "begun" });
  const { tasks } = await edge.call("tasks.submit", { tasks: Array.from({ length: 5 }, () => ({ type: "build" })) });
  const [first] = tasks;
  await edge.call("tasks.submit", { tasks: [{ type: "test", dependsOn: [tasks[4]?.task ?? 0] }] });
  await edge.call("tasks.submit", { tasks: [{ type: "later", delayMs: 600_000 }] });
  const held = await claim(edge, a, "q1", 2);
  for (const task of held)
    await edge.call("tasks.ack", { self: a, ...task, result: 1, usage: { tokens: 500, costMicros: 20_000 }, route });
  const [broken] = await claim(edge, b, "q2", 1);
  if (!broken || !first) throw new Error("nothing was claimed");
  await edge.call("tasks.nack", { self: b, ...broken, reason: "broken", isRetryable: false });
  await edge.call("tasks.replay", { task: broken.task });
  const [again] = await claim(edge, b, "q3", 1);
  if (!again) throw new Error("nothing was claimed again");
  await edge.call("tasks.nack", { self: b, ...again, reason: "broken", isRetryable: false });
  const queued = tasks.find(({ task }) => ![...held, broken, again].some((one) => one.task === task));
  await edge.call("tasks.cancel", { task: queued?.task ?? 0, reason: "not needed" });
  await edge.call("chats.heartbeat", { self: b, status: "busy" });
}

async function claim(edge: EdgeRuntime, self: Self, requestId: string, limit: number) {
  const { claims } = await edge.call("tasks.claim", { self, requestId, limit, types: ["build"] });
  return claims.map(({ task, claim }) => ({ task, claim }));
}

const dashboards = ["machine.json", "team.json", "experiments.json"];

interface Dashboard {
  readonly templating: { readonly list: readonly { readonly query: unknown }[] };
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
}

function dashboard(file: string): Dashboard {
  return JSON.parse(made()[file] ?? "") as Dashboard;
}

/** `shim doctor metrics --listen` on a port of its choice. */
async function machineTarget(home: MachineHome): Promise<Targets["shim-machine"]> {
  const child = home.spawn(["doctor", "metrics", "--listen", "0"]);
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
  const url = await vi.waitUntil(() => /http:\S+\/metrics/.exec(said)?.[0], patience);
  return { url, token: readFileSync(join(home.paths.home, "metrics-token"), "utf8") };
}

/** A machine, a workspace, and a Prometheus that scrapes both; the workspace's token can do nothing else. */
async function scraped() {
  const [home, edge] = [new MachineHome(), await EdgeRuntime.open()];
  const { token } = await edge.call("tokens.create", { machine: "prometheus", scope: "observe" });
  const targets = {
    "shim-machine": await machineTarget(home),
    "shim-workspace": { url: `${edge.url}/v1/workspaces/${edge.workspace}/metrics`, token },
  };
  const prometheus = await Prometheus.start(targets);
  await prometheus.until("count(up == 1) == 2");
  return { home, edge, targets, prometheus };
}

/** Asked as Grafana does, with "All" in each variable. */
async function hasData(prometheus: Prometheus, expr: string): Promise<boolean> {
  const series = await prometheus.query(expr.replaceAll("$job", ".*").replaceAll("$instance", ".*"));
  return series.some(({ value: [, text] }) => Number.isFinite(Number(text)));
}

it("a real Prometheus scrapes a machine and a workspace, finds them by the dashboards' variables, evaluates the alerts, and every panel has data after a session", async () => {
  const { home, edge, targets, prometheus } = await scraped();
  const jobs = await Promise.all(
    dashboards.map(async (file) => {
      const queries = dashboard(file).templating.list.map(({ query }) => (query as { query?: string }).query);
      const [, selector = ""] = /label_values\((\{.+\}), job\)/.exec(queries.join("\n")) ?? [];
      return (await prometheus.query(`count by (job) (${selector})`)).map(({ metric: labels }) => labels["job"]);
    }),
  );
  const both = ["shim-machine", "shim-workspace"];
  expect(jobs.map((all) => new Set(all))).toEqual([["shim-machine"], both, both].map((names) => new Set(names)));
  await vi.waitUntil(async () => (await rules(prometheus)).every(({ health }) => health === "ok"), patience);
  expect((await rules(prometheus)).filter(({ state }) => state === "firing")).toEqual([]);

  workAndDie(home.paths);
  experiment(home.paths);
  await workAsTeam(edge);
  // The object keeps its figures for ten seconds; an increase needs two scrapes of a new series.
  await prometheus.until("shim_tasks_submitted_total == 7 and on (job) count_over_time(shim_synced_bytes[1m]) >= 2");
  await prometheus.until("count_over_time(shim_deaths_total[1m]) >= 2");
  await prometheus.until("count_over_time(shim_routed_attempts_total[1m]) >= 2");

  const empty: string[] = [];
  for (const { panels } of dashboards.map(dashboard))
    for (const { title, targets: queries = [] } of panels)
      for (const { expr } of queries) if (!(await hasData(prometheus, expr))) empty.push(`${title}: ${expr}`);
  expect(empty).toEqual([]);

  const values = {
    'shim_tasks{state="queued"}': 1,
    'shim_tasks{state="blocked"}': 1,
    'shim_tasks{state="scheduled"}': 1,
    shim_dead_tasks: 1,
    'shim_task_ends_total{outcome="done"}': 2,
    shim_task_replays_total: 1,
    shim_lease_waiters: 1,
    shim_task_tokens_total: 1_000,
    'shim_day_budget_ratio{limit="tokens"}': 0.1,
    'shim_deaths_total{cause="killed", client="claude-code"}': 1,
    'shim_recoveries_total{action="offered"}': 1,
    'shim_experiments{state="canary"}': 1,
    'shim_experiments{state="deployed"}': 1,
    'shim_routed_attempts_total{model="haiku"}': 2,
  };
  for (const [expr, value] of Object.entries(values)) expect([expr, await prometheus.sum(expr)]).toEqual([expr, value]);

  for (const { url, token } of Object.values(targets)) {
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token.trim()}` } });
    expect(answer.status).toBe(200);
    expect(check("promtool", ["check", "metrics"], ops, await answer.text())).toEqual({ code: 0, said: "" });
  }
});

type Rule = Readonly<Record<"name" | "health" | "state", string>>;

async function rules(prometheus: Prometheus): Promise<Rule[]> {
  const { groups } = await prometheus.ask<{ groups: { rules: Rule[] }[] }>("rules");
  return groups.flatMap((group) => group.rules);
}

it("promtool accepts the configuration and the rules, and each alert fires once and stays quiet once", () => {
  const folder = configFolder();
  for (const args of [
    ["check", "config", "prometheus.yml"],
    ["check", "rules", "alerts.yml"],
    ["test", "rules", "alerts.test.yml"],
  ]) {
    const { code, said } = check("promtool", args, folder);
    expect([args, code, said]).toEqual([args, 0, expect.stringContaining("SUCCESS")]);
  }
});

it("amtool accepts the example, and each severity has a route of its own", () => {
  const file = join("alertmanager", "alertmanager.yml");
  expect(check("amtool", ["check-config", file])).toMatchObject({ code: 0 });
  const routes = ["critical", "warning", "info"].map((severity) =>
    check("amtool", ["config", "routes", "test", `--config.file=${file}`, `severity=${severity}`])
      .said.split("\n")[0]
      ?.trim(),
  );
  expect(routes).toEqual(["urgent", "everyday", "digest"]);
});

it("a real Alertmanager with the container's own arguments sends an alert to the route of its severity", async () => {
  const [folder, address] = [temporaryFolder(), `127.0.0.1:${await freePort()}`];
  const received: string[] = [];
  const receiver = createServer((request, response) => {
    received.push(request.url ?? "");
    response.end();
  }).listen(0, "127.0.0.1");
  await once(receiver, "listening");
  onTestFinished(() => void receiver.close());
  const { port } = receiver.address() as AddressInfo;
  const example = readFileSync(join(ops, "alertmanager", "alertmanager.yml"), "utf8");
  writeFileSync(join(folder, "alertmanager.yml"), example.replaceAll("127.0.0.1:9095", `127.0.0.1:${port}`));
  const { services } = parse(readFileSync(join(ops, "docker-compose.yml"), "utf8")) as {
    services: { alertmanager: { command: string[] } };
  };
  const args = services.alertmanager.command.map((one) =>
    one
      .replace("/etc/alertmanager/alertmanager.yml", join(folder, "alertmanager.yml"))
      .replace("=/alertmanager", `=${join(folder, "data")}`)
      .replace("127.0.0.1:9093", address),
  );
  const child = spawn("prometheus-alertmanager", args, { stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  const alert = { labels: { alertname: "ShimWorkUnsaved", job: "shim-machine", severity: "critical" } };
  const request = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify([alert]) };
  await vi.waitUntil(
    async () => (await fetch(`http://${address}/api/v2/alerts`, request).catch(() => null))?.ok,
    patience,
  );
  await vi.waitFor(() => expect(received).toEqual(["/urgent"]), patience);
});

it("the images of the containers are pinned, and all of them listen on loopback", () => {
  const { services } = parse(readFileSync(join(ops, "docker-compose.yml"), "utf8")) as {
    services: Record<string, { image: string; command?: string[]; environment?: Record<string, string> }>;
  };
  expect(Object.keys(services)).toEqual(["prometheus", "alertmanager", "grafana"]);
  for (const { image, command = [], environment = {} } of Object.values(services)) {
    expect(image).toMatch(/^[\w/]+:v?\d+\.\d+\.\d+$/);
    expect([...command, ...Object.values(environment)].join(" ")).toMatch(/127\.0\.0\.1/);
  }
});
