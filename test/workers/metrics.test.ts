import { expect } from "vitest";
import { all, counted, reads, times } from "./costs.ts";
import { bearer, bindings, it, request, wait, type TestWorkspace } from "./support.ts";

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

it("a workspace is scraped as Prometheus text, with a token of scope observe", async ({ workspace }) => {
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

it("refused requests are counted by code, and rows that were written", async ({ workspace }) => {
  const refused = (text: string): number => valueOf(text, 'shim_requests_refused_total{code="throttled"}');
  const before = await scrape(workspace);
  expect(refused(before)).toBe(0);
  await workspace.ask("settings.set", { settings: { maxOperationsPerSecond: 10, maxKeys: 1 } });
  const set = (key: string) => workspace.refusal("state.set", { key, value: 1 });
  expect([await set("a"), await set("b")]).toEqual([null, "quota_exceeded"]);
  const codes: (string | null)[] = [];
  for (let at = 0; at < 60; at++) codes.push(await workspace.refusal("state.get", { key: "a" }));
  const count = codes.filter((code) => code === "throttled").length;
  expect(count).toBeGreaterThan(0);
  wait(20_000);
  const after = await scrape(workspace);
  expect(refused(after)).toBe(count);
  expect(valueOf(after, 'shim_requests_refused_total{code="quota_exceeded"}')).toBe(1);
  expect(valueOf(after, "shim_rows_written_total")).toBeGreaterThan(valueOf(before, "shim_rows_written_total"));
});

it("without a token of the workspace there is nothing", async ({ workspace }) => {
  const revoked = await workspace.tokenOf("observe");
  await workspace.ask("tokens.revoke", { id: revoked.id });
  for (const headers of [{}, bearer("shim_a.b"), bearer(revoked.token), bearer(bindings.SHIM_ADMIN_SECRET)]) {
    const answer = await request(pathOf(workspace), { headers });
    expect([answer.status, (await answer.text()).includes("shim_")]).toEqual([401, false]);
  }
  const other = await request("/v1/workspaces/another/metrics", { headers: bearer(workspace.token) });
  expect([401, 403]).toContain(other.status);
});

it("for ten seconds all scrapes have the figures of the first, and read no more rows", async ({ workspace }) => {
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

it("a scrape of a long audit log reads hardly more rows than that of a short one", async () => {
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

it("the rows of a month are counted over starts of the object, and the next month begins with none", async ({
  workspace,
}) => {
  const rowsOf = async (): Promise<number> => (await workspace.ask("health", {})).rowsThisMonth ?? 0;
  const tasks = Array.from({ length: 100 }, () => ({ type: "build" }));
  const before = await rowsOf();
  for (let at = 0; at < 12; at++) await workspace.ask("tasks.submit", { tasks });
  const counted = await rowsOf();
  expect(counted).toBeGreaterThan(before + 1_200);
  await workspace.inside((state) => state.abort("a deployment")).catch(() => undefined);
  const after = await rowsOf();
  expect(after).toBeGreaterThan(counted - 1_000);
  wait(32 * 86_400_000);
  expect(await rowsOf()).toBeLessThan(1_000);
});
