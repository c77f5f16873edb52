import { beforeEach, expect, vi } from "vitest";
import type { WireError } from "#src/contract/protocol.ts";
import { app } from "#src/worker/app.ts";
import type { Env } from "#src/worker/env.ts";
import * as tokens from "#src/worker/tokens.ts";
import { bearer, bindings, it, origin } from "./support.ts";

beforeEach(() => void vi.spyOn(console, "error").mockReturnValue());

/** The limit of wrangler.toml. */
const most = 20;

/** Counts as Cloudflare does within one period. */
function limiter(): RateLimit & { readonly counts: Map<string, number> } {
  const counts = new Map<string, number>();
  return {
    counts,
    limit: ({ key }) => {
      counts.set(key, (counts.get(key) ?? 0) + 1);
      return Promise.resolve({ success: (counts.get(key) ?? 0) <= most });
    },
  };
}

interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: object;
}

async function ask(env: Partial<Env>, { method = "GET", path, headers = {}, body }: Asked) {
  const init = { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) };
  const answer = await app.request(`${origin}${path}`, init, { ...bindings, ...env });
  const value = await answer.json<{ error?: WireError; token?: string }>();
  return { status: answer.status, retryAfter: answer.headers.get("retry-after"), ...value };
}

function making(workspace: string, secret: string, headers: Record<string, string> = {}): Asked {
  return { method: "POST", path: "/v1/workspaces", headers: { ...headers, ...bearer(secret) }, body: { workspace } };
}

function settings(workspace: string, headers: Record<string, string>): Asked {
  return { path: `/v1/workspaces/${workspace}/settings`, headers };
}

it("a secret of the deployment that is not set or could be guessed is used for nothing, and the answer says so", async () => {
  const getByName = vi.fn();
  const weak = "found-from-one-token";
  const claims = { workspace: "team", id: "tok_1", machine: "m1", scope: "admin", expiresAt: null } as const;
  const token = await tokens.make(weak, claims, new Uint8Array(16).fill(7));
  const byToken = settings("team", bearer(token));
  for (const [name, secret, problem, asked] of [
    ["SHIM_ADMIN_SECRET", undefined, "is not set", making("team", "any")],
    ["SHIM_ADMIN_SECRET", "", "is not set", making("team", "")],
    ["SHIM_ADMIN_SECRET", "x".repeat(31), "has 31 characters; at least 32", making("team", "x".repeat(31))],
    ["SHIM_SIGNING_SECRET", undefined, "is not set", byToken],
    ["SHIM_SIGNING_SECRET", weak, "has 20 characters", byToken],
    ["SHIM_SIGNING_SECRET", weak, "has 20 characters", making("team", bindings.SHIM_ADMIN_SECRET)],
  ] as const) {
    const { status, error } = await ask({ [name]: secret, COORDINATOR: { getByName } as never }, asked);
    const said = expect.stringContaining(`${name} ${problem}`) as string;
    expect([name, secret, status, error?.message]).toEqual([name, secret, 500, said]);
  }
  expect(getByName).not.toHaveBeenCalled();
});

it("a token is signed anew by the present secret; both signatures last as long as their secrets", async ({
  workspace,
}) => {
  const rotated = { SHIM_SIGNING_SECRET: "the-next-secret-that-signs-all-tokens" };
  const both = { ...rotated, SHIM_PREVIOUS_SIGNING_SECRET: bindings.SHIM_SIGNING_SECRET };
  const statusOf = async (env: Partial<Env>, token: string): Promise<number> =>
    (await ask(env, settings(workspace.name, bearer(token)))).status;
  const path = `/v1/workspaces/${workspace.name}/tokens/renew`;
  const renew = (token: string) => ask(both, { method: "POST", path, headers: bearer(token), body: {} });
  const work = await workspace.tokenOf("observe");
  const { token: renewed = "" } = await renew(work.token);
  expect(renewed).not.toBe(work.token);
  expect([(await renew(work.token)).token, (await renew(renewed)).token]).toEqual([renewed, renewed]);
  expect([await statusOf(both, work.token), await statusOf(both, renewed)]).toEqual([200, 200]);
  expect([await statusOf(rotated, work.token), await statusOf(rotated, renewed)]).toEqual([401, 200]);
  await workspace.ask("tokens.revoke", { id: work.id });
  expect([await statusOf(both, work.token), await statusOf(both, renewed)]).toEqual([401, 401]);
  expect((await renew(renewed)).status).toBe(401);
});

it("failed authentications of one address are limited; valid ones pass", async ({ workspace }) => {
  const env = { AUTH_FAILURE_LIMITER: limiter() };
  const bad = { "cf-connecting-ip": "203.0.113.7" };
  const kinds: Asked[] = [
    making("guessed", "wrong", bad),
    settings(workspace.name, { ...bad, ...bearer("shim_forged.token") }),
    settings(workspace.name, bad),
    { path: `/v1/workspaces/${workspace.name}/connect`, headers: { ...bad, upgrade: "websocket" } },
  ];
  for (let count = 0; count < most; count += kinds.length)
    for (const kind of kinds) expect(await ask(env, kind)).toMatchObject({ status: 401 });
  for (const kind of kinds) {
    const error = { code: "rate_limited", retryable: true, retryAfterMs: 60_000 };
    expect(await ask(env, kind)).toMatchObject({ status: 429, retryAfter: "60", error });
  }
  expect((await ask(env, settings(workspace.name, { ...bad, ...bearer(workspace.token) }))).status).toBe(200);
  expect((await ask(env, making("made-beside-guesses", bindings.SHIM_ADMIN_SECRET, bad))).status).toBe(200);
  expect((await ask(env, making("guessed", "wrong", { "cf-connecting-ip": "203.0.113.8" }))).status).toBe(401);
});

it("an IPv6 address counts as its network; locally, whatever a header says, all callers are one", async () => {
  const addresses = ["2001:db8:1:2:3:4:5:6", "2001:0DB8:1:2::9", "2001:db8:1:3::9", "2001:db8::1", "::1", "8.8.4.4"];
  const counted = async (more: Partial<Env>): Promise<object> => {
    const AUTH_FAILURE_LIMITER = limiter();
    for (const address of addresses) {
      const asked = making("guessed", "wrong", { "cf-connecting-ip": address, host: "localhost" });
      await ask({ AUTH_FAILURE_LIMITER, ...more }, asked);
    }
    return Object.fromEntries(AUTH_FAILURE_LIMITER.counts);
  };
  const networks = { "2001:db8:1:2": 2, "2001:db8:1:3": 1, "2001:db8:0:0": 1, "0:0:0:0": 1, "8.8.4.4": 1 };
  expect(await counted({})).toEqual(networks);
  expect(await counted({ SHIM_LOCAL: "1" })).toEqual({ local: addresses.length });
});

it("locally another Host than this machine's is refused before it is routed", async ({ workspace }) => {
  const local = { SHIM_LOCAL: "1" };
  const own = `/v1/workspaces/${workspace.name}/settings`;
  const suffixed = ["127.0.0.1.evil.example", "localhost.evil.example:8787", "localhost:8787@evil.example"];
  for (const host of ["evil.example", "evil.example:8787", ...suffixed, "127.0.0.2", "0.0.0.0:8787", "[::2]:8787", ""])
    for (const path of ["/", "/health", own, "/cdn-cgi/local/explorer"]) {
      const { status, error } = await ask(local, { path, headers: { ...bearer(workspace.token), host } });
      expect([host, path, status, error?.code]).toEqual([host, path, 403, "forbidden"]);
    }
  for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1:8787", "[::1]:8787"])
    expect((await ask(local, { path: own, headers: { ...bearer(workspace.token), host } })).status).toBe(200);
  const deployed = { path: own, headers: { ...bearer(workspace.token), host: "shim.example" } };
  expect((await ask({}, deployed)).status).toBe(200);
});
