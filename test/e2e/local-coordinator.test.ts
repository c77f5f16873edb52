import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { expect, it, vi } from "vitest";
import { descendantsOf } from "../../scripts/local-edge.ts";
import { DevServer, devFolder, freePort } from "#harness/edge/dev-server.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { listeningPorts } from "#harness/edge/listening-ports.ts";
import { rawRequest } from "#harness/edge/raw-request.ts";

const modules = join(import.meta.dirname, "..", "..", "node_modules");

/** Every path below /cdn-cgi that stands in the programs that run workers, with what an earlier or a later version might serve. */
function toolPaths(): string[] {
  const programs = ["miniflare/dist/src", "wrangler/wrangler-dist"].flatMap((folder) =>
    readdirSync(join(modules, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith("js"))
      .map((name) => readFileSync(join(modules, folder, name), "utf8")),
  );
  const found = programs.flatMap((text) => text.match(/\/cdn-cgi[\w/.-]*/g) ?? []);
  const explorers = ["/cdn-cgi/explorer", "/cdn-cgi/local/explorer"].flatMap((explorer) => [
    `${explorer}/`,
    `${explorer}/api`,
    `${explorer}/api/workers/durable_objects/namespaces`,
    `${explorer}/api/workers/durable_objects/namespaces/shim-coordinator-ChatCoordinator/objects`,
    `${explorer}/api/workers/durable_objects/namespaces/shim-coordinator-ChatCoordinator/query`,
  ]);
  const others = ["/cdn-cgi/trace", "/cdn-cgi/handler/scheduled", "/cdn-cgi/handler/email", "/__scheduled"];
  return [...new Set([...found, ...explorers, ...others])];
}

/** Where the inspector of workerd, or of wrangler in front of it, would answer, and some of Miniflare's own. */
const otherPaths = [
  "/",
  "/json",
  "/json/list",
  "/json/version",
  "/ws",
  "/core/log",
  "/core/public-url",
  "/core/dev-registry",
];
/** The coordinator's, or that of the runtime's own proxy to whoever does not know its secret. */
const refusal = /"code":"unknown_operation"|^(Invalid proxy request)?$/;
const upgrade = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

async function expectOnlyTheCoordinator(
  port: number,
  pids: readonly number[],
  before: readonly number[],
): Promise<void> {
  expect((await rawRequest(port, "/health")).status).toBe(200);
  for (const path of toolPaths()) {
    for (const [method, headers] of [
      ["GET", {}],
      ["POST", { origin: "http://localhost:3000" }],
      ["OPTIONS", { origin: "http://localhost:3000" }],
      ["GET", { "mf-op": "GET", "mf-op-target": "[0]", "mf-op-secret": "00".repeat(16) }],
      ["GET", upgrade],
    ] as const) {
      const { status, text } = await rawRequest(port, path, headers, method);
      expect([method, path, status >= 400 && status < 500, text]).toEqual([
        method,
        path,
        true,
        expect.stringMatching(refusal),
      ]);
    }
  }
  const ports = listeningPorts(pids).filter((one) => !before.includes(one));
  expect(ports).toContain(port);
  for (const other of ports.filter((one) => one !== port)) {
    for (const path of [...otherPaths, "/core:user:shim-coordinator", "/core:entry", ...toolPaths()]) {
      expect([path, await rawRequest(other, path)]).toEqual([path, { status: 403, text: "Forbidden" }]);
      expect([path, (await rawRequest(other, path, upgrade)).status]).toEqual([path, 403]);
    }
  }
}

it("[DV1] [DV2] [DV3] `npm run dev` opens the coordinator alone, and what it stores is its user's only", async () => {
  const folder = devFolder();
  const old = join(folder, ".wrangler", "state", "v3", "do", "old");
  mkdirSync(old, { recursive: true });
  writeFileSync(join(old, "one.sqlite"), "");
  for (const path of [join(folder, ".wrangler"), old]) chmodSync(path, 0o755);
  const server = await DevServer.start(folder, undefined, 0o000);
  const { SHIM_ADMIN_SECRET = "" } = parseEnv(readFileSync(join(folder, ".dev.vars"), "utf8"));
  const token = await server.makeWorkspace("team", SHIM_ADMIN_SECRET);
  expect(token).toMatch(/^shim_/);
  const pids = server.processes.map(({ pid }) => pid);
  await expectOnlyTheCoordinator(server.port, pids, []);
  const stored = readdirSync(folder, { recursive: true, encoding: "utf8" });
  expect(stored.filter((name) => name.endsWith(".sqlite")).length).toBeGreaterThan(2);
  expect(stored.filter((name) => (statSync(join(folder, name)).mode & 0o077) !== 0)).toEqual([]);
});

it("[DV1] [DV2] so do the coordinators of tests, benches and the demo", async () => {
  const before = listeningPorts([process.pid, ...descendantsOf(process.pid)]);
  const edge = await EdgeRuntime.open();
  const pids = [process.pid, ...descendantsOf(process.pid)];
  await expectOnlyTheCoordinator(Number(new URL(edge.url).port), pids, before);
});

it("[WO13] a page that lets its name point here is refused, also where it chooses the URL by a header of the runtime", async () => {
  const edge = await EdgeRuntime.open();
  const port = Number(new URL(edge.url).port);
  const host = `evil.example:${port}`;
  const chosen = { "mf-original-url": `${edge.url}/health`, "x-forwarded-proto": "http" };
  const token = { authorization: `Bearer ${edge.adminToken}` };
  for (const headers of [
    { host },
    { host, ...chosen },
    { host, ...token },
    { host, ...upgrade },
    { host, origin: `http://${host}` },
  ])
    for (const path of [
      "/health",
      "/v1/workspaces/team/health",
      "/v1/workspaces/team/connect",
      "/cdn-cgi/local/explorer",
    ])
      expect([path, headers, (await rawRequest(port, path, headers)).status]).toEqual([path, headers, 403]);
  expect((await rawRequest(port, "/v1/workspaces/team/health", token)).status).toBe(200);
});

it("[WO12] [WO14] [WO15] guesses on this machine are limited, whatever address they claim; valid ones pass", async () => {
  const edge = await EdgeRuntime.open();
  const guess = async (from: number): Promise<number> => {
    const headers = { authorization: "Bearer guess", "cf-connecting-ip": `203.0.113.${from}` };
    const answer = await fetch(`${edge.url}/v1/workspaces`, {
      method: "POST",
      headers,
      body: '{"workspace":"guessed"}',
    });
    if (answer.status === 429) expect(answer.headers.get("retry-after")).toBe("60");
    return answer.status;
  };
  // A minute may end in between, and another one begin.
  const answers: number[] = [];
  for (let from = 0; from < 41; from++) answers.push(await guess(from));
  expect(new Set(answers)).toEqual(new Set([401, 429]));
  await edge.call("health", {});
  const headers = { authorization: `Bearer ${edge.adminSecret}` };
  const made = await fetch(`${edge.url}/v1/workspaces`, { method: "POST", headers, body: '{"workspace":"beside"}' });
  expect(made.status).toBe(200);
});

it("[DV6] a runtime that is killed is back at the same address with the same state; too often, and it ends", async () => {
  const folder = devFolder();
  const server = await DevServer.start(folder);
  const { SHIM_ADMIN_SECRET = "" } = parseEnv(readFileSync(join(folder, ".dev.vars"), "utf8"));
  const token = await server.makeWorkspace("team", SHIM_ADMIN_SECRET);
  const settings = (): Promise<number> =>
    fetch(`${server.url}/v1/workspaces/team/settings`, { headers: { authorization: `Bearer ${token}` } }).then(
      ({ status }) => status,
      () => 0,
    );
  for (let crash = 1; crash <= 4; crash++) {
    process.kill(server.runtime, "SIGKILL");
    await server.untilSaid(`it is started again with the same state (crash ${crash} of at most 4`);
    await vi.waitUntil(async () => (await settings()) === 200, { timeout: 30_000, interval: 20 });
  }
  process.kill(server.runtime, "SIGKILL");
  expect(await server.ended).toBe(1);
  expect(server.stderr).toContain("That was crash 5 within 15 minutes: it is not started again. The state is kept.");
  await server.untilGone();
});

it("[DV5] a second one on the same folder is refused, on another port too, until the first one is gone", async () => {
  const folder = devFolder();
  const first = await DevServer.start(folder);
  for (const port of [first.port, await freePort()]) {
    const second = await DevServer.start(folder, port);
    expect(await second.ended).toBe(1);
    expect(second.stderr).toMatch(
      /^Another `npm run dev` uses .*\.wrangler, which is made for one\. Use .* or end it first/,
    );
  }
  first.kill();
  await first.untilGone();
  const next = await DevServer.start(folder, first.port);
  expect((await rawRequest(next.port, "/health")).status).toBe(200);
});

it("[DV8] a runtime that was left running keeps a second one out", async () => {
  const folder = devFolder();
  const first = await DevServer.start(folder);
  const { runtime } = first;
  first.leaveRuntime();
  await first.ended;
  const second = await DevServer.start(folder);
  expect(await second.ended).toBe(1);
  expect(second.stderr).toContain(`A runtime (process ${runtime}) still uses ${join(folder, ".wrangler")}`);
  process.kill(runtime, "SIGKILL");
  await first.untilGone();
  const next = await DevServer.start(folder);
  expect((await rawRequest(next.port, "/health")).status).toBe(200);
});

it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "[DV7] %s to all of its processes ends it in good order",
  async (signal) => {
    const server = await DevServer.start(devFolder());
    expect(server.processes.length).toBeGreaterThan(2);
    server.signal(signal);
    expect(await server.ended).toBe(0);
    expect(server.stderr.trim().split("\n")).toHaveLength(2);
    await server.untilGone();
  },
);

it("[DV7] killed with -9, alone or with its group, it leaves no process, also while it starts", async () => {
  const server = await DevServer.start(devFolder());
  server.kill();
  await server.untilGone();
  const group = DevServer.launch(devFolder(), await freePort());
  await vi.waitUntil(() => group.hasRuntime, { timeout: 30_000, interval: 1 });
  group.signal("SIGKILL");
  await group.untilGone();
});
