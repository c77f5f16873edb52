import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { expect, vi } from "vitest";
import type { Env } from "#src/durable/env.ts";
import { app } from "#src/worker/app.ts";
import { all, counted, reads, times } from "./costs.ts";
import { bearer, bindings, it, origin, request, wait, type TestWorkspace } from "./support.ts";

function pathOf(workspace: TestWorkspace): string {
  return `/v1/workspaces/${workspace.name}/metrics`;
}

async function scrape(workspace: TestWorkspace, token = workspace.token): Promise<string> {
  const answer = await request(pathOf(workspace), { headers: bearer(token) });
  expect(answer.status).toBe(200);
  return answer.text();
}

function valueOf(text: string, series: string): number {
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1));
}

it("[OB4] a workspace is scraped as Prometheus text, with a token of scope observe", async ({ workspace }) => {
  await workspace.ask("tasks.submit", { tasks: [{ type: "build" }, { type: "build" }] });
  await workspace.join("a");
  const { token } = await workspace.tokenOf("observe");
  const answer = await request(pathOf(workspace), { headers: bearer(token) });
  expect([answer.status, answer.headers.get("content-type")]).toEqual([
    200,
    "text/plain; version=0.0.4; charset=utf-8",
  ]);
  const text = await answer.text();
  expect(text).toMatch(
    /^# HELP shim_tasks Stored tasks, by state; ended: done or cancelled\.\n# TYPE shim_tasks gauge$/m,
  );
  const series = ['shim_tasks{state="queued"}', 'shim_chats{status="idle"}', "shim_sockets", "shim_alarm_late_seconds"];
  expect(series.map((one) => valueOf(text, one))).toEqual([2, 1, 1, 0]);
  expect(valueOf(text, "shim_storage_used_ratio")).toBeGreaterThan(0);
});

it("[OB4] without a token of the workspace there is nothing", async ({ workspace }) => {
  const revoked = await workspace.tokenOf("observe");
  await workspace.ask("tokens.revoke", { id: revoked.id });
  for (const headers of [{}, bearer("shim_a.b"), bearer(revoked.token), bearer(bindings.SHIM_ADMIN_SECRET)]) {
    const answer = await request(pathOf(workspace), { headers });
    expect([answer.status, (await answer.text()).includes("shim_")]).toEqual([401, false]);
  }
  const other = await request("/v1/workspaces/another/metrics", { headers: bearer(workspace.token) });
  expect([401, 403]).toContain(other.status);
});

it("[OB5] for ten seconds all scrapes have the figures of the first, and read no more rows", async ({ workspace }) => {
  const queued = async (): Promise<number> => valueOf(await scrape(workspace), 'shim_tasks{state="queued"}');
  expect(await queued()).toBe(0);
  await workspace.ask("tasks.submit", { tasks: [{ type: "build" }] });
  wait(9_999);
  expect(await queued()).toBe(0);
  const kept = await counted(workspace, () => scrape(workspace));
  wait(1);
  const fresh = await counted(workspace, queued);
  expect(await queued()).toBe(1);
  expect(fresh.read).toBeGreaterThan(kept.read + 5);
  expect([kept.written, fresh.written]).toEqual([0, 0]);
});

it("[OB13] a scrape of a long audit log reads hardly more rows than that of a short one", async () => {
  const counts = [100, 200, 1_500];
  const found = await reads(
    (at, count) =>
      all(
        at,
        times(count, (n) => ({
          method: "leases.acquire",
          params: { self: at.self, resource: `r${n}`, requestId: "q", ttlMs: 3_600_000 },
        })),
      ),
    { scrape: ({ workspace }) => scrape(workspace) },
    counts,
    { maxLeasesPerChat: 10_000 },
  );
  // Each lease is read, and with it nothing of the log but its newest entries.
  const beyondLeases = found["scrape"]?.map((read, at) => read - (counts[at] ?? 0)) ?? [];
  expect(beyondLeases).toHaveLength(3);
  for (const read of beyondLeases) expect(read).toBeLessThan(1_000);
});

it("[OB14] the deployment's own metrics need its admin secret, and have no text of a message", async ({
  workspace,
}) => {
  for (const headers of [{}, bearer(workspace.token)])
    expect((await request("/metrics", { headers })).status).toBe(401);
  const quarantine = bindings.QUARANTINE.getByName("messages");
  const empty = await runInDurableObject(quarantine, (_quarantine, { storage }) => {
    storage.sql.exec("DELETE FROM messages");
    return deployment();
  });
  expect(empty).toEqual({ shim_quarantined_messages: 0, oldest: 0, newest: 0 });
  await quarantine.keep([{ id: "m1", queue: "dispatch", body: "a secret" }]);
  wait(60_000);
  await quarantine.keep([{ id: "m2", queue: "dispatch", body: "a secret" }]);
  wait(1_000);
  expect(await deployment()).toEqual({ shim_quarantined_messages: 2, oldest: 61, newest: 1 });
});

async function deployment(): Promise<Record<string, number>> {
  const answer = await request("/metrics", { headers: bearer(bindings.SHIM_ADMIN_SECRET) });
  const text = await answer.text();
  expect(text).not.toContain("secret");
  const age = (message: string): number => valueOf(text, `shim_quarantined_age_seconds{message="${message}"}`);
  return {
    shim_quarantined_messages: valueOf(text, "shim_quarantined_messages"),
    oldest: age("oldest"),
    newest: age("newest"),
  };
}

it("[OB6] each scrape is written to the dataset that is bound, twenty series a point, under the workspace", async ({
  workspace,
}) => {
  const points: AnalyticsEngineDataPoint[] = [];
  const METRICS: AnalyticsEngineDataset = { writeDataPoint: (point) => void (point && points.push(point)) };
  const env: Env = { ...bindings, METRICS };
  const headers = bearer(workspace.token);
  for (let round = 1; round <= 2; round++) {
    points.length = 0;
    const answer = await app.request(`${origin}${pathOf(workspace)}`, { headers }, env);
    expect(answer.status).toBe(200);
    const { samples } = await workspace.ask("metrics", {});
    const series = points.flatMap(({ blobs = [], doubles = [] }) => blobs.map((name, at) => [name, doubles[at]]));
    expect(series).toHaveLength(samples.length);
    expect(series).toContainEqual(['shim_tasks{state="queued"}', 0]);
    expect(new Set(points.map(({ indexes }) => indexes?.[0]))).toEqual(new Set([workspace.name]));
    expect(points.every(({ blobs = [] }) => blobs.length <= 20)).toBe(true);
  }
});

/** Binds a dataset to the object. @returns what is written to it */
async function bindDataset(workspace: TestWorkspace, write?: () => void): Promise<AnalyticsEngineDataPoint[]> {
  const points: AnalyticsEngineDataPoint[] = [];
  const METRICS: AnalyticsEngineDataset = {
    writeDataPoint: (point) => {
      write?.();
      if (point) points.push(point);
    },
  };
  await workspace.inside((_state, instance) => void Object.assign(instance, { env: { ...bindings, METRICS } }));
  return points;
}

async function setShort(workspace: TestWorkspace, key: string): Promise<void> {
  await workspace.ask("state.set", { key, value: 1, ttlMs: 1_000 });
  wait(1_000);
  await workspace.ring();
}

it("[OB16] the alarm writes the samples to a bound dataset, at most once in ten minutes, also after an eviction", async ({
  workspace,
}) => {
  const first = await bindDataset(workspace);
  await setShort(workspace, "a");
  const series = first.flatMap(({ blobs = [], doubles = [] }) => blobs.map((name, at) => [name, doubles[at]]));
  expect(series).toContainEqual(["shim_state_keys", 0]);
  expect(new Set(first.map(({ indexes }) => indexes?.[0]))).toEqual(new Set([workspace.name]));
  const { length } = first;
  wait(590_000);
  await setShort(workspace, "b");
  expect(first).toHaveLength(length);
  await evictDurableObject(workspace.stub);
  const later = await bindDataset(workspace);
  await setShort(workspace, "c");
  expect(later).toEqual([]);
  wait(10_000);
  await setShort(workspace, "d");
  expect(later).toHaveLength(length);
});

it("[OB16] unbound, the alarm writes nothing for it; a dataset that fails does not fail the sweep", async ({
  workspace,
}) => {
  await setShort(workspace, "a");
  expect(await workspace.rows("SELECT value FROM meta WHERE key LIKE 'history%'")).toEqual([]);
  const log = vi.spyOn(console, "error").mockReturnValue();
  await bindDataset(workspace, () => {
    throw new Error("no");
  });
  await setShort(workspace, "b");
  expect(log).toHaveBeenCalledOnce();
  log.mockRestore();
  expect((await workspace.ask("state.list", { prefix: "" })).entries).toEqual([]);
});
