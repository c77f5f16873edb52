import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { MachineHome } from "#harness/machine/programs.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { dashboards as made } from "../../scripts/dashboards.ts";
import { check, experiment, ops, Prometheus, workAndDie, workAsTeam, type Targets } from "#harness/ops/prometheus.ts";

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

/** With a token that can do nothing else. */
async function workspaceTarget(edge: EdgeRuntime): Promise<Targets["shim-workspace"]> {
  const { token } = await edge.call("tokens.create", { machine: "prometheus", scope: "observe" });
  return { url: `${edge.url}/v1/workspaces/${edge.workspace}/metrics`, token };
}

async function allTargets(home: MachineHome, edge: EdgeRuntime): Promise<Targets> {
  return {
    "shim-machine": await machineTarget(home),
    "shim-workspace": await workspaceTarget(edge),
  };
}

async function scrape({ url, token }: Targets["shim-machine"]): Promise<string> {
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token.trim()}` } });
  expect(answer.status).toBe(200);
  return answer.text();
}

/** As Grafana asks, with "All" in each variable. */
function expanded(expr: string): string {
  return expr.replaceAll("$job", ".*").replaceAll("$instance", ".*");
}

async function hasData(prometheus: Prometheus, expr: string): Promise<boolean> {
  const series = await prometheus.query(expanded(expr));
  return series.some(({ value: [, text] }) => Number.isFinite(Number(text)));
}

it("a real Prometheus scrapes a machine and a workspace, and every panel has data after a session", async () => {
  const [home, edge] = [new MachineHome(), await EdgeRuntime.open()];
  const targets = await allTargets(home, edge);
  const prometheus = await Prometheus.start(targets);
  await prometheus.until("count(up == 1) == 2");
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

  for (const target of Object.values(targets)) {
    const text = await scrape(target);
    expect(check("promtool", ["check", "metrics"], ops, text)).toEqual({ code: 0, said: "" });
  }
});

it("the variables of the dashboards find the jobs, and the shipped alerts are evaluated", async () => {
  const [home, edge] = [new MachineHome(), await EdgeRuntime.open()];
  const targets = await allTargets(home, edge);
  const prometheus = await Prometheus.start(targets);
  await prometheus.until("count(up == 1) == 2");
  const jobs = await Promise.all(
    dashboards.map(async (file) => {
      const queries = dashboard(file).templating.list.map(({ query }) => (query as { query?: string }).query);
      const [, selector = ""] = /label_values\((\{.+\}), job\)/.exec(queries.join("\n")) ?? [];
      return (await prometheus.query(`count by (job) (${selector})`)).map(({ metric: labels }) => labels["job"]);
    }),
  );
  expect(jobs.map((all) => new Set(all))).toEqual([
    new Set(["shim-machine"]),
    new Set(["shim-machine", "shim-workspace"]),
    new Set(["shim-machine", "shim-workspace"]),
  ]);
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
