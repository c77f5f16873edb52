import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { MachineHome } from "#harness/machine/programs.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import {
  check,
  configFolder,
  experiment,
  ops,
  Prometheus,
  workAndDie,
  workAsTeam,
  type Targets,
} from "#harness/ops/prometheus.ts";
import { dashboards as made } from "../../scripts/dashboards.ts";
import { parse } from "yaml";

const dashboards = ["machine.json", "team.json", "experiments.json"];

interface Dashboard {
  readonly templating: { readonly list: readonly { readonly query: unknown }[] };
  readonly panels: readonly {
    readonly title: string;
    readonly type: string;
    readonly targets?: readonly { readonly expr: string }[];
  }[];
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
  const url = await vi.waitUntil(() => /http:\S+\/metrics/.exec(said)?.[0], { timeout: 120_000, interval: 20 });
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

it("a real Prometheus scrapes a machine and a workspace, and every panel has data after a session", async () => {
  const { home, edge, targets, prometheus } = await scraped();
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
    'shim_experiments{state="rolled_back"}': 1,
    shim_experiment_rollbacks_total: 1,
    shim_opportunities: 2,
    'shim_routed_attempts_total{model="haiku"}': 2,
  };
  for (const [expr, value] of Object.entries(values)) expect([expr, await prometheus.sum(expr)]).toEqual([expr, value]);

  for (const { url, token } of Object.values(targets)) {
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token.trim()}` } });
    expect(answer.status).toBe(200);
    expect(check("promtool", ["check", "metrics"], ops, await answer.text())).toEqual({ code: 0, said: "" });
  }
});

it("the variables of the dashboards find the jobs, and the shipped alerts are evaluated", async () => {
  const { prometheus } = await scraped();
  const jobs = await Promise.all(
    dashboards.map(async (file) => {
      const queries = dashboard(file).templating.list.map(({ query }) => (query as { query?: string }).query);
      const [, selector = ""] = /label_values\((\{.+\}), job\)/.exec(queries.join("\n")) ?? [];
      return (await prometheus.query(`count by (job) (${selector})`)).map(({ metric: labels }) => labels["job"]);
    }),
  );
  const both = ["shim-machine", "shim-workspace"];
  expect(jobs.map((all) => new Set(all))).toEqual([["shim-machine"], both, both].map((names) => new Set(names)));
  await vi.waitUntil(async () => (await rules(prometheus)).every(({ health }) => health === "ok"), {
    timeout: 120_000,
    interval: 100,
  });
  expect((await rules(prometheus)).filter(({ state }) => state === "firing")).toEqual([]);
});

interface Rule {
  readonly name: string;
  readonly health: string;
  readonly state: string;
}

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
