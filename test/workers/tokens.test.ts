import { evictDurableObject } from "cloudflare:test";
import { expect, vi, beforeEach } from "vitest";
import { pingText } from "#src/contract/sockets.ts";
import { operationNames, operations, type OperationName } from "#src/contract/operations.ts";
import { scopes, type Scope } from "#src/contract/operation.ts";
import { hashOf } from "#src/pairing/sealing.ts";
import type { Env } from "#src/worker/env.ts";
import { app } from "#src/worker/app.ts";
import * as tokens from "#src/worker/tokens.ts";
import { aChat, bearer, bindings, dump, it, origin, stopClock, TestWorkspace, wait } from "./support.ts";
import type { WireError } from "#src/contract/protocol.ts";

const { SHIM_ADMIN_SECRET: adminSecret, SHIM_SIGNING_SECRET: signingSecret } = bindings;

function signed(claims: Partial<tokens.Claims>, secret = signingSecret): Promise<string> {
  const all = { workspace: "team", id: "tok_1", machine: "m1", scope: "admin", expiresAt: null } as const;
  return tokens.make(secret, { ...all, ...claims }, new Uint8Array(16).fill(7));
}

/** An environment whose objects must not be asked. */
function withoutObjects(): { env: Partial<Env>; asked: ReturnType<typeof vi.fn> } {
  const asked = vi.fn();
  return { asked, env: { COORDINATOR: { getByName: asked } as never } };
}

type Asked = Readonly<{ method?: string; path: string; headers?: Record<string, string>; body?: object }>;

async function ask({ method = "GET", path, headers = {}, body }: Asked, env: Partial<Env> = {}) {
  const init = { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) };
  const answer = await app.request(`${origin}${path}`, init, { ...bindings, ...env });
  const value = await answer.json<{ error?: WireError; token?: string; id?: string; tokens?: object[] }>();
  return { status: answer.status, retryAfter: answer.headers.get("retry-after"), ...value };
}

/** The status and the code of a refusal. */
async function refusal(asked: Asked, env?: Partial<Env>): Promise<string> {
  const { status, error } = await ask(asked, env);
  return `${status} ${error?.code}`;
}

function making(body: object, secret = adminSecret, headers: Record<string, string> = {}): Asked {
  return { method: "POST", path: "/v1/workspaces", headers: { ...headers, ...bearer(secret) }, body };
}

function settings(workspace: string, headers: Record<string, string>): Asked {
  return { path: `/v1/workspaces/${workspace}/settings`, headers };
}

it("a workspace is made with the admin secret, once; a repeat has the same token, of which nothing is stored", async () => {
  const wanted = { workspace: "team-once", requestId: "r1" };
  const made = await ask(making(wanted));
  const { id = "", token = "" } = made;
  expect(await ask(making(wanted))).toEqual(made);
  for (const other of [{ ...wanted, requestId: "r2" }, { workspace: "team-once" }])
    expect(await refusal(making(other))).toBe("409 workspace_exists");
  expect(await refusal(making({ ...wanted, requestId: "a b" }))).toBe("400 bad_input");
  const workspace = TestWorkspace.known("team-once");
  const text = await workspace.inside((state) => dump(state));
  for (const part of token.slice("shim_".length).split(".")) expect(text).not.toContain(part);
  const forged = await workspace.stub.call({ id, hash: "" }, "settings.get", {});
  expect(forged).toMatchObject({ ok: false, error: { code: "unauthenticated" } });
  expect((await workspace.ask("tokens.list", {}, token)).tokens).toHaveLength(1);
  await workspace.ask("tokens.revoke", { id }, token);
  expect(await refusal(making(wanted))).toBe("409 workspace_exists");
});

it("no other secret, token or name makes a workspace, and no object is asked", async () => {
  const { asked, env } = withoutObjects();
  for (const secret of ["", "wrong", await signed({ workspace: "team-2" }), signingSecret])
    expect(await refusal(making({ workspace: "team-2" }, secret), env)).toBe("401 unauthenticated");
  for (const workspace of ["", "a", "A-B", "-ab", "a/b", "a".repeat(64), 5, null, ["ab"], undefined])
    expect(await refusal(making({ workspace }), env)).toBe("400 bad_input");
  expect(await refusal(making({ workspace: "team-2", settings: {} }), env)).toBe("400 bad_input");
  expect(asked).not.toHaveBeenCalled();
});

it("a name that nobody has made a workspace of creates nothing, whoever asks for it", async () => {
  const headers = bearer(await signed({ workspace: "made-up" }));
  const [base, unknown] = ["/v1/workspaces/made-up", "404 unknown_workspace"];
  for (const asked of [
    { path: "/settings", headers },
    { path: "/health", headers },
    { path: "/tokens", method: "POST", headers, body: { machine: "m1", scope: "work" } },
    { path: "/connect", headers: { ...headers, upgrade: "websocket" } },
  ])
    expect([asked.path, await refusal({ ...asked, path: `${base}${asked.path}` })]).toEqual([asked.path, unknown]);
  const workspace = TestWorkspace.known("made-up");
  await workspace.inside((_state, instance) => instance.alarm());
  expect(await workspace.rows("SELECT * FROM sqlite_schema")).toEqual([]);
  expect(await workspace.alarmAt()).toBeNull();
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
  const base = "/v1/workspaces/team-3";
  for (const authorization of [...wrong, good]) {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    for (const asked of [
      { path: `${base}/settings`, headers },
      { path: `${base}/connect`, headers: { ...headers, upgrade: "websocket" } },
    ])
      expect([authorization, await refusal(asked, env)]).toEqual([authorization, "401 unauthenticated"]);
  }
  for (const name of ["team-5", "Team-3", "team-3%20", "%74eam-5"])
    expect([name, await refusal(settings(name, bearer(good)), env)]).toEqual([name, "403 forbidden"]);
  expect(asked).not.toHaveBeenCalled();
});

it("an expired token is refused by worker and object", async ({ workspace }) => {
  const { id, token } = await workspace.tokenOf("work", "m1", 60_000);
  wait(59_999);
  expect(await workspace.refusal("settings.get", {}, token)).toBeNull();
  wait(1);
  const { asked, env } = withoutObjects();
  expect(await refusal(settings(workspace.name, bearer(token)), env)).toBe("401 unauthenticated");
  expect(asked).not.toHaveBeenCalled();
  const inside = await workspace.stub.call({ id, hash: await hashOf(token) }, "settings.get", {});
  expect(inside).toMatchObject({ ok: false, error: { code: "unauthenticated" } });
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
  expect(await workspace.chat("c1")).toMatchObject({ status: "idle", isConnected: false });
  wait(20_000);
  expect(await workspace.chat("c1")).toMatchObject({ status: "offline" });
  expect(await workspace.ask("tokens.revoke", { id })).toEqual({ isRevoked: true });
  expect(await workspace.refusal("tokens.revoke", { id: "tok_x" })).toBe("unknown_token");
  expect((await workspace.ask("tokens.list", {})).tokens.find((one) => one.id === id)?.isRevoked).toBe(true);
});

it("each operation needs its scope or a higher one, over HTTP and sockets", async ({ workspace }) => {
  const byHttp = operationNames.filter((name) => !("isSocketOnly" in operations[name]));
  for (const scope of scopes) {
    const { token } = await workspace.tokenOf(scope);
    const connection = await workspace.connect(token);
    const judged = (name: OperationName, code: string | null): void => {
      const isEnough = scopes.indexOf(scope) >= scopes.indexOf(operations[name].scope);
      expect([name, scope, code === "forbidden"]).toEqual([name, scope, !isEnough]);
    };
    for (const name of byHttp) judged(name, await workspace.refusal(name, operations[name].example, token));
    // What closes the connection is left out.
    for (const name of operationNames.filter((one) => one !== "chats.unregister" && one !== "chats.attest-death"))
      judged(name, await connection.refusal(name, operations[name].example));
  }
  // Also requests that would run together.
  const connection = await workspace.connect((await workspace.tokenOf("observe")).token);
  const set = { jsonrpc: "2.0", method: "state.set", params: operations["state.set"].example };
  const answers = await connection.frame([1, 2].map((id) => Object.assign({ id }, set)));
  expect(answers.map(({ error }) => error?.data.code)).toEqual(["forbidden", "forbidden"]);
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
  const limit = async ({ key }: RateLimitOptions): Promise<RateLimitOutcome> => {
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return { success: (counts.get(key) ?? 0) <= most };
  };
  return { counts, limit };
}

it("a secret of the deployment that is not set or could be guessed is used for nothing, and the answer says so", async () => {
  const { asked: objects, env } = withoutObjects();
  const weak = "found-from-one-token";
  const byToken = settings("team", bearer(await signed({}, weak)));
  const workspace = "team";
  for (const [name, secret, problem, asked] of [
    ["SHIM_ADMIN_SECRET", undefined, "is not set", making({ workspace }, "any")],
    ["SHIM_ADMIN_SECRET", "", "is not set", making({ workspace }, "")],
    ["SHIM_ADMIN_SECRET", "x".repeat(31), "has 31 characters; at least 32", making({ workspace }, "x".repeat(31))],
    ["SHIM_SIGNING_SECRET", undefined, "is not set", byToken],
    ["SHIM_SIGNING_SECRET", weak, "has 20 characters", byToken],
    ["SHIM_SIGNING_SECRET", weak, "has 20 characters", making({ workspace })],
  ] as const) {
    const { status, error } = await ask(asked, { ...env, [name]: secret });
    const said = expect.stringContaining(`${name} ${problem}`) as string;
    expect([name, secret, status, error?.message]).toEqual([name, secret, 500, said]);
  }
  expect(objects).not.toHaveBeenCalled();
});

it("a token is signed anew by the present secret, and lasts as long as its secret", async ({ workspace }) => {
  const rotated = { SHIM_SIGNING_SECRET: "the-next-secret-that-signs-all-tokens" };
  const both = { ...rotated, SHIM_PREVIOUS_SIGNING_SECRET: signingSecret };
  const statusOf = async (env: Partial<Env>, token: string): Promise<number> =>
    (await ask(settings(workspace.name, bearer(token)), env)).status;
  const path = `/v1/workspaces/${workspace.name}/tokens/renew`;
  const renew = (token: string, env = both) => ask({ method: "POST", path, headers: bearer(token), body: {} }, env);
  const work = await workspace.tokenOf("observe");
  const { token: renewed = "" } = await renew(work.token);
  expect(renewed).not.toBe(work.token);
  expect([(await renew(work.token)).token, (await renew(renewed)).token]).toEqual([renewed, renewed]);
  expect([await statusOf(both, work.token), await statusOf(both, renewed)]).toEqual([200, 200]);
  expect([await statusOf(rotated, work.token), await statusOf(rotated, renewed)]).toEqual([401, 200]);
  const third = {
    SHIM_SIGNING_SECRET: "the-third-secret-that-signs-all-tokens",
    SHIM_PREVIOUS_SIGNING_SECRET: rotated.SHIM_SIGNING_SECRET,
  };
  const { token: last = "" } = await renew(renewed, third);
  expect([await statusOf(third, renewed), await statusOf(third, last)]).toEqual([200, 200]);
  await workspace.ask("tokens.revoke", { id: work.id });
  expect([await statusOf(both, work.token), await statusOf(both, renewed)]).toEqual([401, 401]);
  expect((await renew(renewed)).status).toBe(401);
});

it("failed authentications of one address are limited; valid ones pass", async ({ workspace }) => {
  const env = { AUTH_FAILURE_LIMITER: limiter() };
  const bad = { "cf-connecting-ip": "203.0.113.7" };
  const guess = { workspace: "guessed" };
  const kinds: Asked[] = [
    making(guess, "wrong", bad),
    settings(workspace.name, { ...bad, ...bearer("shim_forged.token") }),
    settings(workspace.name, bad),
    { path: `/v1/workspaces/${workspace.name}/connect`, headers: { ...bad, upgrade: "websocket" } },
  ];
  for (let count = 0; count < most; count += kinds.length)
    for (const kind of kinds) expect(await ask(kind, env)).toMatchObject({ status: 401 });
  const error = { code: "rate_limited", retryable: true, retryAfterMs: 60_000 };
  for (const kind of kinds) expect(await ask(kind, env)).toMatchObject({ status: 429, retryAfter: "60", error });
  for (const [asked, status] of [
    [settings(workspace.name, { ...bad, ...bearer(workspace.token) }), 200],
    [making({ workspace: "made-beside-guesses" }, adminSecret, bad), 200],
    [making(guess, "wrong", { "cf-connecting-ip": "203.0.113.8" }), 401],
  ] as const)
    expect(await ask(asked, env)).toMatchObject({ status });
});

it("an IPv6 address counts as its network; locally, whatever a header says, all callers are one", async () => {
  const addresses = ["2001:db8:1:2:3:4:5:6", "2001:0DB8:1:2::9", "2001:db8:1:3::9", "2001:db8::1", "::1", "8.8.4.4"];
  const counted = async (more: Partial<Env>): Promise<object> => {
    const AUTH_FAILURE_LIMITER = limiter();
    for (const address of addresses) {
      const asked = making({}, "wrong", { "cf-connecting-ip": address, host: "localhost" });
      await ask(asked, { AUTH_FAILURE_LIMITER, ...more });
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
  const from = (host: string, path = own): Asked => ({ path, headers: { ...bearer(workspace.token), host } });
  const suffixed = ["127.0.0.1.evil.example", "localhost.evil.example:8787", "localhost:8787@evil.example"];
  for (const host of ["evil.example", "evil.example:8787", ...suffixed, "127.0.0.2", "0.0.0.0:8787", "[::2]:8787", ""])
    for (const path of ["/", "/health", own, "/cdn-cgi/local/explorer"])
      expect([host, path, await refusal(from(host, path), local)]).toEqual([host, path, "403 forbidden"]);
  for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1:8787", "[::1]:8787"])
    expect((await ask(from(host), local)).status).toBe(200);
  expect((await ask(from("shim.example"))).status).toBe(200);
});
