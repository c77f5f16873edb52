import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { DevServer, listeningPorts } from "./dev-server.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

const modules = join(import.meta.dirname, "..", "..", "node_modules");

/** Every path below /cdn-cgi that stands in the programs that run workers, with those of the explorer. */
function toolPaths(): string[] {
  const programs = ["miniflare/dist/src", "wrangler/wrangler-dist"].flatMap((folder) =>
    readdirSync(join(modules, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith("js"))
      .map((name) => readFileSync(join(modules, folder, name), "utf8")),
  );
  const found = programs.flatMap((code) => code.match(/\/cdn-cgi[\w/.-]*/g) ?? []);
  const explorers = ["/cdn-cgi/explorer", "/cdn-cgi/local/explorer"].flatMap((explorer) =>
    ["", "/", "/api", "/api/workers/durable_objects/namespaces"].map((path) => explorer + path),
  );
  return [...new Set([...found, ...explorers, "/cdn-cgi/trace", "/cdn-cgi/handler/scheduled", "/__scheduled"])];
}

/** Where the inspector of workerd, or of wrangler in front of it, would answer, and some of Miniflare's own. */
const otherPaths =
  "/ /json /json/list /json/version /ws /core/log /core/public-url /core/dev-registry /core:user:shim-coordinator /core:entry";

/** The coordinator's, or that of the runtime's own proxy to a request without its secret. */
const refusal = /"code":"unknown_operation"|^(Invalid proxy request)?$/;

const upgrade = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

const origin = "http://localhost:3000";

const requests: readonly (readonly [method: string, headers: Readonly<Record<string, string>>])[] = [
  ["GET", {}],
  ["POST", { origin }],
  ["OPTIONS", { origin }],
  ["GET", { "mf-op": "GET", "mf-op-target": "[0]", "mf-op-secret": "00".repeat(16) }],
  ["GET", upgrade],
];

/** One request to this machine with any headers, also those that fetch sets by itself; an upgrade that succeeds is answered 101. */
function rawRequest(
  port: number,
  path: string,
  headers = {},
  method = "GET",
): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const asked = request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
    text(response).then((body) => resolve({ status: response.statusCode ?? 0, text: body }), reject);
  });
  asked.on("error", reject).on("upgrade", (_response, socket) => {
    socket.destroy();
    resolve({ status: 101, text: "" });
  });
  asked.end();
  return promise;
}

async function expectOnlyTheCoordinator(port: number, pids: readonly number[]): Promise<void> {
  expect((await rawRequest(port, "/health")).status).toBe(200);
  const paths = toolPaths();
  for (const path of paths) {
    for (const [method, headers] of requests) {
      const answer = await rawRequest(port, path, headers, method);
      expect(answer.text, `${method} ${path}`).toMatch(refusal);
      expect(Math.floor(answer.status / 100), `${method} ${path}`).toBe(4);
    }
  }
  const ports = listeningPorts(pids);
  expect(ports).toContain(port);
  for (const other of ports.filter((one) => one !== port)) {
    for (const path of [...otherPaths.split(" "), ...paths]) {
      expect(await rawRequest(other, path), path).toEqual({ status: 403, text: "Forbidden" });
      expect((await rawRequest(other, path, upgrade)).status, path).toBe(403);
    }
  }
}

it("`npm run dev` opens the coordinator alone, and what it stores is its user's only @night", async () => {
  const folder = temporaryFolder();
  const old = join(folder, ".wrangler", "state", "v3", "do", "old");
  mkdirSync(old, { recursive: true });
  writeFileSync(join(old, "one.sqlite"), "");
  for (const path of [join(folder, ".wrangler"), old]) chmodSync(path, 0o755);
  const server = await DevServer.start({ folder, umask: 0o000 });
  expect(await server.makeWorkspace()).toMatch(/^shim_/);
  const pids = server.processes.map(({ pid }) => pid);
  await expectOnlyTheCoordinator(server.port, pids);
  const stored = readdirSync(folder, { recursive: true, encoding: "utf8" });
  expect(stored.filter((name) => name.endsWith(".sqlite")).length).toBeGreaterThan(2);
  expect(stored.filter((name) => (statSync(join(folder, name)).mode & 0o077) !== 0)).toEqual([]);
});

it("a page whose name resolves to this machine is refused, also where a header of the runtime sets the URL @night", async () => {
  const edge = await EdgeRuntime.open();
  const port = Number(new URL(edge.url).port);
  const host = `evil.example:${port}`;
  const chosen = { "mf-original-url": `${edge.url}/health`, "x-forwarded-proto": "http" };
  const token = { authorization: `Bearer ${edge.adminToken}` };
  const paths = ["/health", "/v1/workspaces/team/health", "/v1/workspaces/team/connect", "/cdn-cgi/local/explorer"];
  for (const more of [{}, chosen, token, upgrade, { origin: `http://${host}` }])
    for (const path of paths)
      expect((await rawRequest(port, path, { host, ...more })).status, `${path} ${JSON.stringify(more)}`).toBe(403);
  expect((await rawRequest(port, "/v1/workspaces/team/health", token)).status).toBe(200);
});

it("`npm run dev` that is killed with -9, alone or with its group, leaves no process, also while it starts @night", async () => {
  const server = await DevServer.start();
  server.kill();
  await server.untilGone();
  const group = await DevServer.start({ isAwaited: false });
  await group.runtime();
  group.signal("SIGKILL");
  await group.untilGone();
});
