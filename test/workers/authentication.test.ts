import { beforeEach, expect, vi, type MockInstance } from "vitest";
import type { WireError } from "#src/contract/wire-error.ts";
import type { Env } from "#src/worker/env.ts";
import { app } from "#src/worker/app.ts";
import * as tokens from "#src/worker/tokens.ts";
import { bearer, bindings, it, origin } from "./support.ts";

let log: MockInstance;
beforeEach(() => {
  log = vi.spyOn(console, "error").mockReturnValue();
});
/** The limit of wrangler.toml. */
const most = 20;

/** Counts as Cloudflare does within one period. */
function limiter(): RateLimit {
  const counts = new Map<string, number>();
  return {
    limit: ({ key }) => {
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      return Promise.resolve({ success: count <= most });
    },
  };
}

interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: object;
}

async function ask(
  env: Partial<Env>,
  { method = "GET", path, headers = {}, body }: Asked,
): Promise<{ status: number; retryAfter: string | null; value: unknown; error: WireError | undefined }> {
  const init = { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) };
  const answer = await app.request(`${origin}${path}`, init, { ...bindings, ...env });
  const value = await answer.json<{ error?: WireError }>();
  return { status: answer.status, retryAfter: answer.headers.get("retry-after"), value, error: value.error };
}

function making(workspace: string, secret: string, headers: Record<string, string> = {}): Asked {
  return { method: "POST", path: "/v1/workspaces", headers: { ...headers, ...bearer(secret) }, body: { workspace } };
}

function settings(workspace: string, headers: Record<string, string>): Asked {
  return { path: `/v1/workspaces/${workspace}/settings`, headers };
}

function from(address: string): Record<string, string> {
  return { "cf-connecting-ip": address };
}

it("an admin secret that could be guessed, or that no header can hold, makes no workspace, and says what to do", async () => {
  const getByName = vi.fn();
  const COORDINATOR = { getByName } as never;
  for (const [secret, problem] of [
    ["short", "SHIM_ADMIN_SECRET has 5 characters; at least 32 are needed"],
    ["x".repeat(31), "SHIM_ADMIN_SECRET has 31 characters; at least 32 are needed"],
  ] as const) {
    const env = { SHIM_ADMIN_SECRET: secret, COORDINATOR };
    const { status, error } = await ask(env, making("guessed", secret));
    expect([status, error?.code, error?.message.startsWith(problem)]).toEqual([500, "internal", true]);
    expect(error?.message).toContain("wrangler secret put");
    expect(log.mock.calls.flat().join("\n")).toContain(problem);
    expect((await ask(env, making("guessed", `${secret}.`))).error?.code).toBe("unauthenticated");
  }
  expect(getByName).not.toHaveBeenCalled();
  const long = "x".repeat(32);
  expect((await ask({ SHIM_ADMIN_SECRET: long }, making("long-enough", long))).status).toBe(200);
});

it("a deployment without an admin secret says that it is not set, whoever asks for a workspace", async () => {
  for (const secret of [undefined as never, ""]) {
    const { status, error } = await ask({ SHIM_ADMIN_SECRET: secret }, making("unset", "any"));
    expect([status, error?.message]).toEqual([
      500,
      expect.stringMatching(/^SHIM_ADMIN_SECRET is not set; .*\.dev\.vars/),
    ]);
  }
});

it("a signing secret that could be found from a token makes none valid", async () => {
  const getByName = vi.fn();
  const weak = "found-from-one-token";
  const claims = { workspace: "team", id: "tok_1", machine: "m1", scope: "admin", expiresAt: null } as const;
  const token = await tokens.make(weak, claims, new Uint8Array(16).fill(7));
  for (const [secret, problem] of [
    [weak, "SHIM_SIGNING_SECRET has 20 characters"],
    [undefined as never, "SHIM_SIGNING_SECRET is not set"],
    ["", "SHIM_SIGNING_SECRET is not set"],
  ] as const) {
    const env = { SHIM_SIGNING_SECRET: secret, COORDINATOR: { getByName } as never };
    for (const asked of [settings("team", bearer(token)), making("team", bindings.SHIM_ADMIN_SECRET)]) {
      const { status, error } = await ask(env, asked);
      expect([status, error?.message.startsWith(problem)]).toEqual([500, true]);
    }
  }
  expect(getByName).not.toHaveBeenCalled();
});

it("while the previous signing secret is set tokens of both are valid, and the new one signs", async ({
  workspace,
}) => {
  const old = bindings.SHIM_SIGNING_SECRET;
  const rotated = { SHIM_SIGNING_SECRET: "the-next-secret-that-signs-all-tokens" };
  const both = { ...rotated, SHIM_PREVIOUS_SIGNING_SECRET: old };
  const statusOf = async (env: Partial<Env>, token: string): Promise<number> =>
    (await ask(env, settings(workspace.name, bearer(token)))).status;
  const path = `/v1/workspaces/${workspace.name}/tokens`;
  const asked = { method: "POST", path, headers: bearer(workspace.token), body: { machine: "m2", scope: "admin" } };
  const { token } = (await ask(both, asked)).value as { token: string };
  expect([await statusOf(both, workspace.token), await statusOf(both, token)]).toEqual([200, 200]);
  expect([await statusOf(rotated, workspace.token), await statusOf(rotated, token)]).toEqual([401, 200]);
  const weak = { ...rotated, SHIM_PREVIOUS_SIGNING_SECRET: "short" };
  expect([await statusOf(weak, token), await statusOf({}, token)]).toEqual([200, 401]);
});

it("a token is signed again by the present secret, and both signatures are valid as long as their secrets", async ({
  workspace,
}) => {
  const rotated = { SHIM_SIGNING_SECRET: "the-next-secret-that-signs-all-tokens" };
  const both = { ...rotated, SHIM_PREVIOUS_SIGNING_SECRET: bindings.SHIM_SIGNING_SECRET };
  const statusOf = async (env: Partial<Env>, token: string): Promise<number> =>
    (await ask(env, settings(workspace.name, bearer(token)))).status;
  const path = `/v1/workspaces/${workspace.name}/tokens/renew`;
  const renew = async (token: string): Promise<string> =>
    ((await ask(both, { method: "POST", path, headers: bearer(token), body: {} })).value as { token: string }).token;
  const work = await workspace.tokenOf("observe");
  const renewed = await renew(work.token);
  expect(renewed).not.toBe(work.token);
  expect([await renew(work.token), await renew(renewed)]).toEqual([renewed, renewed]);
  expect(await workspace.refusal("settings.set", { settings: {} }, work.token)).toBe("forbidden");
  expect([await statusOf(both, work.token), await statusOf(both, renewed)]).toEqual([200, 200]);
  expect([await statusOf(rotated, work.token), await statusOf(rotated, renewed)]).toEqual([401, 200]);
  await workspace.ask("tokens.revoke", { id: work.id });
  expect([await statusOf(both, work.token), await statusOf(both, renewed)]).toEqual([401, 401]);
  expect((await ask(both, { method: "POST", path, headers: bearer(renewed), body: {} })).status).toBe(401);
});

it("failed authentications of one address are limited; valid ones pass", async ({ workspace }) => {
  const env = { AUTH_FAILURE_LIMITER: limiter() };
  const bad = from("203.0.113.7");
  const connect = { path: `/v1/workspaces/${workspace.name}/connect`, headers: { ...bad, upgrade: "websocket" } };
  const kinds: Asked[] = [
    making("guessed", "wrong", bad),
    settings(workspace.name, { ...bad, ...bearer("shim_forged.token") }),
    settings(workspace.name, bad),
    connect,
  ];
  for (let count = 0; count < most; count++) {
    const answer = await ask(env, kinds[count % kinds.length] ?? connect);
    expect([answer.status, answer.error?.code]).toEqual([401, "unauthenticated"]);
  }
  for (const kind of kinds) {
    const { status, retryAfter, error } = await ask(env, kind);
    expect([status, retryAfter]).toEqual([429, "60"]);
    expect(error).toMatchObject({ code: "rate_limited", retryable: true, retryAfterMs: 60_000 });
  }
  expect((await ask(env, settings(workspace.name, { ...bad, ...bearer(workspace.token) }))).status).toBe(200);
  expect((await ask(env, making("made-beside-guesses", bindings.SHIM_ADMIN_SECRET, bad))).status).toBe(200);
  expect((await ask(env, { path: "/health", headers: bad })).status).toBe(200);
  expect((await ask(env, making("guessed", "wrong", from("203.0.113.8")))).status).toBe(401);
});

it("what the deployment has signed counts as no guess, whatever it is used for", async ({ workspace }) => {
  const limit = vi.fn(() => Promise.resolve({ success: true }));
  const env = { AUTH_FAILURE_LIMITER: { limit } };
  const address = from("203.0.113.9");
  const over = await tokens.make(
    bindings.SHIM_SIGNING_SECRET,
    { workspace: workspace.name, id: "tok_1", machine: "m1", scope: "work", expiresAt: 1 },
    new Uint8Array(16).fill(7),
  );
  expect((await ask(env, settings(workspace.name, { ...address, ...bearer(over) }))).status).toBe(401);
  expect((await ask(env, settings("other", { ...address, ...bearer(workspace.token) }))).status).toBe(403);
  expect((await ask(env, making("guessed", workspace.token, address))).status).toBe(401);
  expect((await ask(env, { path: "/health", headers: { ...address, ...bearer(workspace.token) } })).status).toBe(200);
  expect(limit).not.toHaveBeenCalled();
});

it("an IPv6 address counts as its network; locally, whatever a header says, all callers are one", async () => {
  const keys: string[] = [];
  const AUTH_FAILURE_LIMITER: RateLimit = {
    limit: ({ key }) => {
      keys.push(key);
      return Promise.resolve({ success: true });
    },
  };
  const guess = (address: string, env: Partial<Env> = {}): Promise<unknown> =>
    ask(
      { AUTH_FAILURE_LIMITER, ...env },
      making("guessed", "wrong", { "cf-connecting-ip": address, host: "localhost" }),
    );
  const addresses = ["2001:db8:1:2:3:4:5:6", "2001:0DB8:1:2::9", "2001:db8:1:3::9", "2001:db8::1", "::1", "8.8.4.4"];
  for (const address of addresses) await guess(address);
  expect(keys.splice(0)).toEqual([
    "2001:db8:1:2",
    "2001:db8:1:2",
    "2001:db8:1:3",
    "2001:db8:0:0",
    "0:0:0:0",
    "8.8.4.4",
  ]);
  for (const address of addresses) await guess(address, { SHIM_LOCAL: "1" });
  expect(new Set(keys)).toEqual(new Set(["local"]));
});

it("locally another Host than this machine's is refused before it is routed", async ({ workspace }) => {
  const own = `/v1/workspaces/${workspace.name}/settings`;
  const paths = ["/", "/health", own, "/cdn-cgi/local/explorer"];
  const hosts = [
    "evil.example",
    "evil.example:8787",
    "127.0.0.1.evil.example",
    "localhost.evil.example:8787",
    "localhost:8787@evil.example",
    "127.0.0.2",
    "0.0.0.0:8787",
    "[::2]:8787",
    "",
  ];
  for (const host of hosts) {
    for (const path of paths) {
      const { status, error } = await ask({ SHIM_LOCAL: "1" }, { path, headers: { ...bearer(workspace.token), host } });
      expect([host, path, status, error?.code]).toEqual([host, path, 403, "forbidden"]);
    }
  }
  for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1:8787", "[::1]:8787"]) {
    const headers = { ...bearer(workspace.token), host };
    expect((await ask({ SHIM_LOCAL: "1" }, settings(workspace.name, headers))).status).toBe(200);
  }
  const deployed = settings(workspace.name, { ...bearer(workspace.token), host: "shim.example" });
  expect((await ask({}, deployed)).status).toBe(200);
});
