import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { expect, vi, beforeEach } from "vitest";
import { pingText } from "#src/contract/sockets.ts";
import { operationNames, operations, type OperationName } from "#src/contract/operations.ts";
import { scopes, type Scope } from "#src/contract/workspaces.ts";
import { hashOf } from "#src/pairing/sealing.ts";
import type { Env } from "#src/worker/env.ts";
import { app } from "#src/worker/app.ts";
import * as tokens from "#src/worker/tokens.ts";
import {
  aChat,
  bearer,
  bindings,
  dump,
  it,
  origin,
  refusalOf,
  request,
  stopClock,
  TestWorkspace,
  wait,
} from "./support.ts";
import type { WireError } from "#src/contract/protocol.ts";

const admin = bearer(bindings.SHIM_ADMIN_SECRET);

function signed(claims: Partial<tokens.Claims>, secret = bindings.SHIM_SIGNING_SECRET): Promise<string> {
  const all = { workspace: "nobody-made-it", id: "tok_1", machine: "m1", scope: "admin", expiresAt: null } as const;
  return tokens.make(secret, { ...all, ...claims }, new Uint8Array(16).fill(7));
}

/** An environment whose objects must not be asked. */
function withoutObjects(): { env: Env; asked: ReturnType<typeof vi.fn> } {
  const asked = vi.fn(() => bindings.COORDINATOR.getByName("never"));
  return { asked, env: { ...bindings, COORDINATOR: { getByName: asked } as never } };
}

function make(body: object, headers: Record<string, string>, env = bindings): Response | Promise<Response> {
  return app.request(`${origin}/v1/workspaces`, { method: "POST", headers, body: JSON.stringify(body) }, env);
}

it("a workspace is made with the admin secret, once; a repeat has the same token, of which nothing is stored", async () => {
  const wanted = { workspace: "team-once", requestId: "r1" };
  const made = await (await make(wanted, admin)).json<{ id: string; token: string }>();
  expect(await (await make(wanted, admin)).json()).toEqual(made);
  for (const other of [{ ...wanted, requestId: "r2" }, { workspace: "team-once" }])
    expect(await refusalOf(make(other, admin))).toEqual([409, "workspace_exists"]);
  expect(await refusalOf(make({ ...wanted, requestId: "a b" }, admin))).toEqual([400, "bad_input"]);
  const stub = bindings.COORDINATOR.getByName("team-once");
  const text = await runInDurableObject(stub, (_instance, state) => dump(state));
  for (const part of made.token.slice("shim_".length).split(".")) expect(text).not.toContain(part);
  const forged = await stub.call({ id: made.id, hash: "" }, "settings.get", {});
  expect(forged).toMatchObject({ ok: false, error: { code: "unauthenticated" } });
  const path = "/v1/workspaces/team-once/tokens";
  const own = await request(path, { headers: bearer(made.token) });
  expect((await own.json<{ tokens: unknown[] }>()).tokens).toHaveLength(1);
  const body = JSON.stringify({ id: made.id });
  await request(`${path}/revoke`, { method: "POST", headers: bearer(made.token), body });
  expect(await refusalOf(make(wanted, admin))).toEqual([409, "workspace_exists"]);
});

it("no other secret, token or name makes a workspace, and no object is asked", async () => {
  const { asked, env } = withoutObjects();
  const token = await signed({ workspace: "team-2" });
  for (const headers of [{}, bearer("wrong"), bearer(token), bearer(bindings.SHIM_SIGNING_SECRET)])
    expect(await refusalOf(make({ workspace: "team-2" }, headers, env))).toEqual([401, "unauthenticated"]);
  for (const workspace of ["", "a", "A-B", "-ab", "a/b", "a".repeat(64), 5, null, ["ab"], undefined])
    expect(await refusalOf(make({ workspace }, admin, env))).toEqual([400, "bad_input"]);
  expect(await refusalOf(make({ workspace: "team-2", settings: {} }, admin, env))).toEqual([400, "bad_input"]);
  expect(asked).not.toHaveBeenCalled();
});

it("a name that nobody has made a workspace of creates nothing, whoever asks for it", async () => {
  const headers = bearer(await signed({ workspace: "made-up" }));
  for (const [path, init] of [
    ["/settings", {}],
    ["/health", {}],
    ["/tokens", { method: "POST", body: JSON.stringify({ machine: "m1", scope: "work" }) }],
    ["/connect", { headers: { ...headers, upgrade: "websocket" } }],
  ] as const) {
    const refused = await refusalOf(request(`/v1/workspaces/made-up${path}`, { headers, ...init }));
    expect([path, ...refused]).toEqual([path, 404, "unknown_workspace"]);
  }
  await runInDurableObject(bindings.COORDINATOR.getByName("made-up"), async (instance, state) => {
    instance.alarm();
    expect(state.storage.sql.exec("SELECT * FROM sqlite_schema").toArray()).toEqual([]);
    expect(await state.storage.getAlarm()).toBeNull();
  });
});

it("what is no signed token of the workspace never reaches an object", async () => {
  const { asked, env } = withoutObjects();
  const good = await signed({ workspace: "team-3" });
  const [text = "", signature = ""] = good.slice("shim_".length).split(".");
  const root = { scope: "root" as Scope };
  const strange = [{ workspace: "A B" }, { id: "" }, { machine: "" }, root, { id: "x".repeat(65) }];
  const wrong = [
    undefined,
    "",
    "Bearer",
    "Bearer ",
    `Basic ${good}`,
    `bearer  ${good} x`,
    `Bearer ${await signed({ workspace: "team-3" }, "another secret")}`,
    `${good}x`,
    `${good}.${signature}`,
    `shim_${text}`,
    `shim_.${signature}`,
    "shim_%00.%00",
    `shim_${text}.${signature.slice(1)}`,
    `shim_${text.slice(1)}.${signature}`,
    `${text}.${signature}`,
    `shim_${text}.${signature.replaceAll(/./g, "A")}`,
    "a".repeat(3_000),
    ...(await Promise.all(strange.map((claims) => signed({ workspace: "team-3", ...claims })))),
  ].map((one) => (one?.includes("earer") || one?.startsWith("Basic") || !one ? one : `Bearer ${one}`));
  for (const authorization of [...wrong, good]) {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    for (const [path, more] of [
      ["/settings", {}],
      ["/connect", { upgrade: "websocket" }],
    ] as const) {
      const answer = app.request(`${origin}/v1/workspaces/team-3${path}`, { headers: { ...headers, ...more } }, env);
      expect([authorization, ...(await refusalOf(answer))]).toEqual([authorization, 401, "unauthenticated"]);
    }
  }
  for (const name of ["team-5", "Team-3", "team-3%20", "%74eam-5"]) {
    const answer = app.request(`${origin}/v1/workspaces/${name}/settings`, { headers: bearer(good) }, env);
    expect([name, ...(await refusalOf(answer))]).toEqual([name, 403, "forbidden"]);
  }
  expect(asked).not.toHaveBeenCalled();
});

it("an expired token is refused by worker and object, and its connection closed", async ({ workspace }) => {
  const { id, token } = await workspace.tokenOf("work", "m1", 60_000);
  const connection = await workspace.connect(token);
  wait(59_999);
  expect(await workspace.refusal("settings.get", {}, token)).toBeNull();
  wait(1);
  const { asked, env } = withoutObjects();
  const url = `${origin}/v1/workspaces/${workspace.name}/settings`;
  expect(await refusalOf(app.request(url, { headers: bearer(token) }, env))).toEqual([401, "unauthenticated"]);
  expect(asked).not.toHaveBeenCalled();
  const inside = await workspace.stub.call({ id, hash: await hashOf(token) }, "settings.get", {});
  expect(inside).toMatchObject({ ok: false, error: { code: "unauthenticated" } });
  expect(await connection.closed).toMatchObject({ code: 4001 });
});

it("a revoked token is refused at once, and only its connections closed with 4001", async ({ workspace }) => {
  const { id, token } = await workspace.tokenOf("work");
  const other = await workspace.tokenOf("work");
  const [one, two] = [await workspace.connect(token), await workspace.connect(token)];
  const stays = await workspace.connect(other.token);
  await one.ask("chats.register", aChat("c1"));
  await workspace.ask("tokens.revoke", { id });
  for (const connection of [one, two]) expect((await connection.closed).code).toBe(4001);
  expect(await workspace.refusal("settings.get", {}, token)).toBe("unauthenticated");
  expect((await workspace.upgrade(token)).status).toBe(401);
  await stays.ask("settings.get", {});
  // The chat has its grace, as after any close, though its client may never have answered.
  const grace = [{ isConnected: 0, graceUntil: Date.now() + 20_000 }];
  expect(await workspace.rows("SELECT isConnected, graceUntil FROM chats")).toEqual(grace);
  expect(await workspace.ask("tokens.revoke", { id })).toEqual({ isRevoked: true });
  expect(await workspace.refusal("tokens.revoke", { id: "tok_x" })).toBe("unknown_token");
  expect((await workspace.ask("tokens.list", {})).tokens.find((one) => one.id === id)?.isRevoked).toBe(true);
});

it("each operation needs its scope or a higher one, over HTTP and sockets", async ({ workspace }) => {
  const byHttp = operationNames.filter((name) => !("isSocketOnly" in operations[name]));
  for (const scope of scopes) {
    const { token } = await workspace.tokenOf(scope);
    const connection = await workspace.connect(token);
    const isEnough = (name: OperationName): boolean => scopes.indexOf(scope) >= scopes.indexOf(operations[name].scope);
    for (const name of byHttp) {
      const code = await workspace.refusal(name, operations[name].example, token);
      expect([name, scope, code === "forbidden"]).toEqual([name, scope, !isEnough(name)]);
    }
    // What closes the connection is left out.
    for (const name of operationNames.filter((one) => one !== "chats.unregister" && one !== "chats.attest-death")) {
      const code = await connection.refusal(name, operations[name].example);
      expect([name, scope, code === "forbidden"]).toEqual([name, scope, !isEnough(name)]);
    }
  }
});

it("a repeated request for a token is answered with the same, stored nowhere", async ({ workspace }) => {
  const wanted = { machine: "m1", scope: "work", ttlMs: 3_600_000, requestId: "r1" } as const;
  const made = await workspace.ask("tokens.create", wanted);
  wait(60_000);
  expect(await workspace.ask("tokens.create", wanted)).toEqual(made);
  expect((await workspace.ask("tokens.list", {})).tokens).toHaveLength(2);
  expect(await workspace.refusal("tokens.create", { ...wanted, machine: "m2" })).toBe("key_reused");
  const text = await workspace.inside((state) => dump(state));
  for (const part of made.token.slice("shim_".length).split(".")) expect(text).not.toContain(part);
  const { token: another } = await workspace.tokenOf("admin", "m3");
  expect((await workspace.ask("tokens.create", wanted, another)).id).not.toBe(made.id);
});

it("connections of a token are closed when it expires, without a request, also while the object slept", async () => {
  stopClock();
  for (const isAsleep of [false, true]) {
    const workspace = await TestWorkspace.create();
    const { token } = await workspace.tokenOf("work", "m1", 60_000);
    const [connection, stays] = [await workspace.connect(token), await workspace.connect()];
    await connection.ask("chats.register", aChat("c1"));
    expect(await workspace.alarmAt()).toBeLessThanOrEqual(Date.now() + 60_000);
    wait(60_000);
    if (isAsleep) await evictDurableObject(workspace.stub, { webSockets: "hibernate" });
    await workspace.ring();
    expect(await connection.closed).toMatchObject({ code: 4001 });
    await stays.ask("settings.get", {});
  }
});

it("nothing is sent to an expired token though the alarm is late, or to a revoked one", async ({ workspace }) => {
  const expired = await workspace.tokenOf("work", "m1", 60_000);
  const revoked = await workspace.tokenOf("work");
  const connections = [await workspace.connect(expired.token), await workspace.connect(revoked.token)];
  for (const connection of connections) await connection.ask("state.watch", { watch: "w", prefix: "" });
  wait(60_000);
  connections[0]?.send(pingText);
  // As a crash between the commit and the close leaves it.
  await workspace.rows("UPDATE tokens SET revokedAt = 1 WHERE id = ?", revoked.id);
  await evictDurableObject(workspace.stub, { webSockets: "hibernate" });
  await workspace.ask("state.set", { key: "secret", value: "s" });
  for (const connection of connections) expect(await connection.closed).toMatchObject({ code: 4001 });
  expect(await connections[0]?.text()).toBe("pong");
});

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
