import { execFile, spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify, stripVTControlCharacters } from "node:util";
import { expect, it } from "vitest";
import { conformanceSuite, mcpInspector, programOf } from "../../scripts/install-clients.ts";
import { record, type Message } from "#harness/machine/mcp-connection.ts";
import { bearerProxy } from "#harness/edge/real-server.ts";
import { openForm } from "#harness/edge/oauth-keeper.ts";
import { EdgeRuntime, freePort } from "#harness/edge/edge-runtime.ts";
import { outputOf } from "#harness/machine/programs.ts";

/** Passed checks of each scenario that needs no tools of the suite's own. */
const scenarios = {
  "2025-11-25": { "server-initialize": 2, ping: 2, "tools-list": 3, "dns-rebinding-protection": 2 },
  "2026-07-28": {
    "server-stateless": 22,
    "tools-list": 4,
    "dns-rebinding-protection": 2,
    caching: 4,
    "http-header-validation": 14,
    "input-required-result-unsupported-methods": 2,
  },
};

/** Checks that fail: they call tools of the suite's own, ask for a stream of changes, for prompts or for resources. */
const failing: Readonly<Record<string, readonly string[]>> = {
  "server-stateless": [
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
    "sep-2575-http-server-no-independent-requests-on-stream",
    "sep-2575-server-no-log-without-loglevel",
    "sep-2575-server-sends-subscription-ack",
    "sep-2575-server-tags-subscription-id",
  ],
  caching: [
    "sep-2549-prompts-list-caching-hints",
    "sep-2549-resources-list-caching-hints",
    "sep-2549-resources-templates-list-caching-hints",
  ],
};

it.each(Object.entries(scenarios))(
  "the official suite of MCP for %s passes, against workerd @night",
  async (revision, wanted) => {
    const edge = await EdgeRuntime.open({ log: () => undefined });
    const url = `${await bearerProxy(edge.url, edge.adminToken)}/mcp`;
    for (const [scenario, count] of Object.entries(wanted)) {
      const args = ["server", "--url", url, "--scenario", scenario, "--spec-version", revision];
      const { out, err } = await outputOf(startSuite(edge, args));
      const output = stripVTControlCharacters(out + err);
      const failed = [...output.matchAll(/\[([\w-]+) *\] FAILURE/g)].map(([, id = ""]) => id);
      const passed = Number(/Passed: (\d+)/.exec(output)?.[1]);
      expect([scenario, passed, failed]).toEqual([scenario, count, failing[scenario] ?? []]);
    }
  },
);

function startSuite(edge: EdgeRuntime, args: readonly string[]): ChildProcessWithoutNullStreams {
  const env = { ...process.env, NO_COLOR: "1" };
  return spawn(process.execPath, [programOf(conformanceSuite), ...args], { cwd: edge.folder, env });
}

it("the official suite of authorization servers passes, against workerd, with a person's consent @night", async () => {
  const edge = await EdgeRuntime.open({ log: () => undefined, isOAuth: true });
  const port = await freePort();
  const client = { client_name: "suite", redirect_uris: [`http://127.0.0.1:${port}/callback`] };
  const body = JSON.stringify({ ...client, token_endpoint_auth_method: "none" });
  const headers = { "content-type": "application/json" };
  const made = await fetch(`${edge.url}/oauth/register`, { method: "POST", headers, body });
  const { client_id: id } = (await made.json()) as { client_id: string };
  const about = ["--url", edge.url, "--client-id", id, "--resource", `${edge.url}/mcp`, "--port", String(port)];
  const running = startSuite(edge, ["authorization", ...about]);
  const asked = Promise.withResolvers<URL>();
  running.stdout.on("data", (text: Buffer) => {
    const [address] = /http:\S+\/authorize\?\S+/.exec(String(text)) ?? [];
    if (address) asked.resolve(new URL(address));
  });
  const [{ out }] = await Promise.all([
    outputOf(running),
    asked.promise.then(async (url) => {
      const allowed = await (await openForm(fetch, url)).allow(edge.adminToken);
      return fetch(allowed.headers.get("location") ?? "");
    }),
  ]);
  expect(out).toContain("Total: 3 passed, 0 failed");
});

it("MCP Inspector lists and calls the tools over HTTP, in both eras @night", async () => {
  const edge = await EdgeRuntime.open();
  const headers = { Authorization: `Bearer ${edge.adminToken}` };
  for (const protocolEra of ["legacy", "modern"]) {
    const config = join(edge.folder, "..", `inspector-${protocolEra}.json`);
    const shim = { type: "streamable-http", url: `${edge.url}/mcp`, headers, protocolEra };
    writeFileSync(config, JSON.stringify({ mcpServers: { shim } }));
    const inspect = async (method: string, ...more: string[]): Promise<Message> => {
      const options = ["--cli", "--config", config, "--server", "shim", "--format", "json", "--method", method];
      const env = { PATH: process.env["PATH"], HOME: edge.folder, NO_COLOR: "1" };
      const { stdout } = await promisify(execFile)(process.execPath, [programOf(mcpInspector), ...options, ...more], {
        env,
      });
      return record((JSON.parse(stdout) as Message)["result"]);
    };
    const listed = await inspect("tools/list", "--strict");
    expect((listed["tools"] as { name: string }[]).map(({ name }) => name)).toContain("tasks_submit");
    const value = ["--tool-arg", "key=k", "--tool-arg", `value=${protocolEra}`];
    await inspect("tools/call", "--tool-name", "state_set", ...value);
    expect((await edge.call("state.get", { key: "k" })).entry?.value).toBe(protocolEra);
  }
});
