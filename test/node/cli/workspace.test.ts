import { existsSync, statSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { expect, it } from "vitest";
import { unfinishedFile } from "#src/cli/commands/edge/edge-workspace.ts";
import { readEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { aCliHome } from "#harness/machine/cli-home.ts";
import { RealServer, type Seen } from "#harness/edge/real-server.ts";

/** Answers what it is given, one after the other; null: no answer. */
async function aServer(...answers: (string | null)[]): Promise<RealServer> {
  const server = await RealServer.listen();
  server.answer = (_request: Seen, response: ServerResponse) => {
    const text = answers.shift() ?? null;
    if (text === null) response.destroy();
    else response.writeHead(text.includes("error") ? 409 : 200).end(text);
  };
  return server;
}

function idsOf(server: RealServer): unknown[] {
  return server.seen.map(({ body }) => (JSON.parse(body) as { requestId?: unknown }).requestId);
}

const made = '{"workspace":"team","id":"tok_1","token":"shim_a.a"}';
const own = '{"id":"tok_2","token":"shim_b.b"}';

it("[CL32] a workspace whose answer was lost is made by the same command again", async () => {
  const home = aCliHome();
  const server = await aServer(null, made, null, null, made, own);
  const env = { ...home.runtime.env, SHIM_ADMIN_SECRET: "secret" };
  const command = ["edge", "workspace", "create", "team", "--url", server.url];
  for (const times of [1, 2]) {
    const { code, err } = await home.shimWith({ env }, ...command);
    expect([times, code]).toEqual([times, 1]);
    expect(err).toMatch(/answer/);
    expect(statSync(unfinishedFile(home.paths.home)).mode & 0o777).toBe(0o600);
    expect(readEdgeConfig(home.paths.home)).toEqual({ ok: true, value: null });
  }
  expect((await home.shimWith({ env }, ...command)).code).toBe(0);
  const ids = idsOf(server);
  const [workspace] = ids;
  const token = ids.at(-1);
  expect(ids).toEqual([workspace, workspace, token, token, workspace, token]);
  expect(token).toMatch(new RegExp(`^${String(workspace)}:.`));
  expect(readEdgeConfig(home.paths.home)).toMatchObject({ value: { token: "shim_b.b", adminToken: "shim_a.a" } });
  expect(existsSync(unfinishedFile(home.paths.home))).toBe(false);
});

it("[CL32] a name that somebody else has is not asked for under the old id again, and others stay", async () => {
  const home = aCliHome();
  const exists = '{"error":{"code":"workspace_exists","message":"this workspace already exists","retryable":false}}';
  const server = await aServer(null, exists, null, exists);
  const env = { ...home.runtime.env, SHIM_ADMIN_SECRET: "secret" };
  for (const name of ["other", "team", "team", "other"]) {
    expect((await home.shimWith({ env }, "edge workspace create", name, "--url", server.url)).code).toBe(1);
  }
  const [other, team, again, otherAgain] = idsOf(server);
  expect([team === again, other === otherAgain]).toEqual([false, true]);
});
