import { runInDurableObject } from "cloudflare:test";
import { expect, vi } from "vitest";
import { operationNames, operations, type OperationName } from "#src/contract/operations.ts";
import { scopes, type Scope } from "#src/contract/workspaces.ts";
import type { Env } from "#src/worker/env.ts";
import { app } from "#src/worker/app.ts";
import * as tokens from "#src/worker/tokens.ts";
import { aChat, bearer, bindings, dump, it, origin, request, wait } from "./support.ts";

const byHttp = operationNames.filter((name) => !("isSocketOnly" in operations[name]));

function signed(claims: Partial<tokens.Claims>, secret = bindings.SHIM_SIGNING_SECRET): Promise<string> {
  const all = { workspace: "nobody-made-it", id: "tok_1", machine: "m1", scope: "admin", expiresAt: null } as const;
  return tokens.make(secret, { ...all, ...claims }, new Uint8Array(16).fill(7));
}

/** An environment whose objects must not be asked. */
function withoutObjects(): { env: Env; asked: ReturnType<typeof vi.fn> } {
  const asked = vi.fn(() => bindings.COORDINATOR.getByName("never"));
  return { asked, env: { ...bindings, COORDINATOR: { getByName: asked } as never } };
}

function make(body: object, headers: Record<string, string>, env?: Env): Response | Promise<Response> {
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  return env ? app.request(`${origin}/v1/workspaces`, init, env) : request("/v1/workspaces", init);
}

async function codeOf(response: Response | Promise<Response>): Promise<string | undefined> {
  return (await (await response).json<{ error?: { code: string } }>()).error?.code;
}

it("a workspace is made with the admin secret, once; the answer has its first token", async () => {
  const admin = bearer(bindings.SHIM_ADMIN_SECRET);
  const first = await make({ workspace: "team" }, admin);
  expect(first.status).toBe(200);
  const { workspace, token } = await first.json<{ workspace: string; token: string }>();
  expect(workspace).toBe("team");
  const settings = await request("/v1/workspaces/team/settings", { headers: bearer(token) });
  expect(settings.status).toBe(200);
  const again = await make({ workspace: "team" }, admin);
  expect(again.status).toBe(409);
  expect(await codeOf(again)).toBe("workspace_exists");
  const still = await request("/v1/workspaces/team/tokens", { headers: bearer(token) });
  expect((await still.json<{ tokens: unknown[] }>()).tokens).toHaveLength(1);
});

it("the same request for a workspace is answered with the same token, of which nothing is stored", async () => {
  const admin = bearer(bindings.SHIM_ADMIN_SECRET);
  const wanted = { workspace: "team-once", requestId: "r1" };
  const made = await (await make(wanted, admin)).json<{ id: string; token: string }>();
  expect(made.id).toMatch(/^tok_[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
  expect(await (await make(wanted, admin)).json()).toEqual(made);
  for (const other of [{ ...wanted, requestId: "r2" }, { workspace: "team-once" }])
    expect(await codeOf(make(other, admin))).toBe("workspace_exists");
  expect(await codeOf(make(wanted, bearer(made.token)))).toBe("unauthenticated");
  expect(await codeOf(make({ ...wanted, requestId: "a b" }, admin))).toBe("bad_input");
  const stub = bindings.COORDINATOR.getByName("team-once");
  const text = await runInDurableObject(stub, (_instance, state) => dump(state));
  for (const part of made.token.slice("shim_".length).split(".")) expect(text).not.toContain(part);
  const elsewhere = await (await make({ ...wanted, workspace: "team-twice" }, admin)).json<{ id: string }>();
  expect(elsewhere.id).not.toBe(made.id);
  const path = "/v1/workspaces/team-once/tokens";
  const body = JSON.stringify({ machine: "m1", scope: "work", requestId: "r1" });
  const own = await request(path, { method: "POST", headers: bearer(made.token), body });
  expect(own.status).toBe(200);
  const revoked = JSON.stringify({ id: made.id });
  await request(`${path}/revoke`, { method: "POST", headers: bearer(made.token), body: revoked });
  expect(await codeOf(make(wanted, admin))).toBe("workspace_exists");
});

it("no other secret, token or name makes a workspace, and no object is asked", async () => {
  const { asked, env } = withoutObjects();
  const token = await signed({ workspace: "team-2" });
  const others: Record<string, string>[] = [{}, bearer("wrong"), bearer(token), bearer(bindings.SHIM_SIGNING_SECRET)];
  for (const headers of others) {
    const answer = await make({ workspace: "team-2" }, headers, env);
    expect(answer.status).toBe(401);
    expect(await codeOf(answer)).toBe("unauthenticated");
  }
  const admin = bearer(bindings.SHIM_ADMIN_SECRET);
  for (const workspace of ["", "a", "A-B", "-ab", "a/b", "a".repeat(64), 5, null, ["ab"], undefined]) {
    expect(await codeOf(make({ workspace }, admin, env))).toBe("bad_input");
  }
  expect(await codeOf(make({ workspace: "team-2", settings: {} }, admin, env))).toBe("bad_input");
  const unset = { ...env, SHIM_ADMIN_SECRET: "" };
  expect(await codeOf(make({ workspace: "team-2" }, { authorization: "Bearer " }, unset))).toBe("internal");
  expect(asked).not.toHaveBeenCalled();
});

it("a name that nobody has made a workspace of creates nothing, whoever asks for it", async () => {
  const token = await signed({ workspace: "made-up" });
  for (const path of ["/settings", "/chats", "/health"]) {
    const answer = await request(`/v1/workspaces/made-up${path}`, { headers: bearer(token) });
    expect(answer.status).toBe(404);
    expect(await codeOf(answer)).toBe("unknown_workspace");
  }
  const body = JSON.stringify({ machine: "m1", scope: "work" });
  const more = request("/v1/workspaces/made-up/tokens", { method: "POST", headers: bearer(token), body });
  expect(await codeOf(more)).toBe("unknown_workspace");
  const headers = { ...bearer(token), upgrade: "websocket" };
  expect((await request("/v1/workspaces/made-up/connect", { headers })).status).toBe(404);
  await runInDurableObject(bindings.COORDINATOR.getByName("made-up"), async (instance, state) => {
    expect(state.storage.sql.exec("SELECT * FROM sqlite_schema").toArray()).toEqual([]);
    expect(await state.storage.getAlarm()).toBeNull();
    instance.alarm();
    expect(state.storage.sql.exec("SELECT * FROM sqlite_schema").toArray()).toEqual([]);
  });
});

it("a token that the worker has not signed never reaches an object", async () => {
  const { asked, env } = withoutObjects();
  const good = await signed({ workspace: "team-3" });
  const [text = "", signature = ""] = good.slice("shim_".length).split(".");
  const other = await signed({ workspace: "team-3", scope: "admin" }, "another secret");
  const wrong = [
    undefined,
    "",
    good,
    "Bearer",
    "Bearer ",
    `Basic ${good}`,
    `bearer  ${good} x`,
    `Bearer ${other}`,
    `Bearer ${good}x`,
    `Bearer ${good}.${signature}`,
    `Bearer shim_${text}`,
    `Bearer shim_${text}.`,
    `Bearer shim_.${signature}`,
    `Bearer shim_${text}.${signature.slice(1)}`,
    `Bearer shim_${text.slice(1)}.${signature}`,
    `Bearer ${text}.${signature}`,
    `Bearer shim_${text}.${signature.replaceAll(/./g, "A")}`,
    `Bearer shim_%00.%00`,
    `Bearer ${"a".repeat(3_000)}`,
  ];
  for (const authorization of wrong) {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    for (const path of ["/settings", "/connect"]) {
      const init = { headers: { ...headers, ...(path === "/connect" ? { upgrade: "websocket" } : {}) } };
      const answer = await app.request(`${origin}/v1/workspaces/team-3${path}`, init, env);
      expect([authorization, answer.status, await codeOf(answer)]).toEqual([authorization, 401, "unauthenticated"]);
    }
  }
  expect(asked).not.toHaveBeenCalled();
});

it("a token for one workspace opens no other, and without a secret none is valid", async () => {
  const { asked, env } = withoutObjects();
  const token = await signed({ workspace: "team-4" });
  for (const name of ["team-5", "Team-4", "team-4%20", "%74eam-5"]) {
    const answer = await app.request(`${origin}/v1/workspaces/${name}/settings`, { headers: bearer(token) }, env);
    expect([answer.status, await codeOf(answer)]).toEqual([403, "forbidden"]);
  }
  vi.spyOn(console, "error").mockReturnValue();
  const unset = { ...env, SHIM_SIGNING_SECRET: undefined as never };
  const answer = await app.request(`${origin}/v1/workspaces/team-4/settings`, { headers: bearer(token) }, unset);
  expect(answer.status).toBe(500);
  expect(asked).not.toHaveBeenCalled();
});

it("a signed text that is no token is none", async () => {
  const { asked, env } = withoutObjects();
  const wrong = [{ workspace: "A B" }, { id: "" }, { machine: "" }, { scope: "root" as Scope }, { id: "x".repeat(65) }];
  for (const claims of wrong) {
    const token = await signed({ workspace: "team-6", ...claims });
    const answer = await app.request(`${origin}/v1/workspaces/team-6/settings`, { headers: bearer(token) }, env);
    expect(answer.status).toBe(401);
  }
  expect(asked).not.toHaveBeenCalled();
});

it("a token works whatever the name of its machine is, up to the longest", async ({ workspace }) => {
  for (const machine of ["m", "Ω-1", "\u{1F600}".repeat(200), '"'.repeat(200)]) {
    const { token } = await workspace.tokenOf("observe", machine);
    expect(await workspace.refusal("settings.get", {}, token)).toBeNull();
  }
});

it("an expired token is refused by worker and object, and its connection closed", async ({ workspace }) => {
  const { id, token } = await workspace.tokenOf("work", "m1", 60_000);
  const connection = await workspace.connect(token);
  await connection.ask("chats.register", aChat("c1"));
  wait(59_999);
  expect(await workspace.refusal("settings.get", {}, token)).toBeNull();
  wait(1);
  const answer = await workspace.call("settings.get", {}, token);
  expect([answer.status, answer.error?.code]).toEqual([401, "unauthenticated"]);
  const { asked, env } = withoutObjects();
  await app.request(`${origin}/v1/workspaces/${workspace.name}/settings`, { headers: bearer(token) }, env);
  expect(asked).not.toHaveBeenCalled();
  const inside = await workspace.stub.call({ id, hash: await tokens.hashOf(token) }, "settings.get", {});
  expect(inside).toMatchObject({ ok: false, error: { code: "unauthenticated" } });
  expect(await connection.closed).toMatchObject({ code: 4001 });
});

it("a revoked token is refused at once, and only its connections closed with 4001", async ({ workspace }) => {
  const { id, token } = await workspace.tokenOf("work");
  const other = await workspace.tokenOf("work");
  const [one, two, stays] = await Promise.all([
    workspace.connect(token),
    workspace.connect(token),
    workspace.connect(other.token),
  ]);
  await one.ask("chats.register", aChat("c1"));
  await stays.ask("chats.register", aChat("c2"));
  await workspace.ask("tokens.revoke", { id });
  expect((await one.closed).code).toBe(4001);
  expect((await two.closed).code).toBe(4001);
  expect(await workspace.refusal("settings.get", {}, token)).toBe("unauthenticated");
  expect((await workspace.upgrade(token)).status).toBe(401);
  await stays.ask("settings.get", {});
  // The chat has its grace, as after any close, though its client may never have answered.
  expect(await workspace.rows("SELECT isConnected, graceUntil FROM chats WHERE chat = 'c1'")).toEqual([
    { isConnected: 0, graceUntil: Date.now() + 20_000 },
  ]);
  expect(await workspace.ask("tokens.revoke", { id })).toEqual({ isRevoked: true });
  expect(await workspace.refusal("tokens.revoke", { id: "tok_x" })).toBe("unknown_token");
  expect((await workspace.ask("tokens.list", {})).tokens.find((one) => one.id === id)?.isRevoked).toBe(true);
});

it("what is stored of a token does not open the workspace", async ({ workspace }) => {
  const text = await workspace.inside((state) => dump(state));
  expect(text).not.toContain(workspace.token);
  expect(text).not.toContain(workspace.token.split(".")[1]);
  const forged = await workspace.stub.call({ id: workspace.tokenId, hash: "" }, "settings.get", {});
  expect(forged).toMatchObject({ ok: false, error: { code: "unauthenticated" } });
});

it("each operation needs its scope or a higher one, over HTTP and sockets", async ({ workspace }) => {
  for (const scope of scopes) {
    const { token } = await workspace.tokenOf(scope);
    const connection = await workspace.connect(token);
    const isEnough = (name: OperationName): boolean => scopes.indexOf(scope) >= scopes.indexOf(operations[name].scope);
    for (const name of byHttp) {
      const answer = await workspace.call(name, operations[name].example, token);
      const isForbidden = answer.status === 403 && answer.error?.code === "forbidden";
      expect([name, scope, isForbidden]).toEqual([name, scope, !isEnough(name)]);
    }
    // What closes the connection comes last.
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
  expect(await workspace.refusal("settings.get", {}, made.token)).toBeNull();
  expect(await workspace.refusal("tokens.create", { ...wanted, machine: "m2" })).toBe("key_reused");
  const text = await workspace.inside((state) => dump(state));
  expect(text).toContain("tokens.create admin");
  for (const part of made.token.slice("shim_".length).split(".")) expect(text).not.toContain(part);
  const other = await workspace.ask("tokens.create", { ...wanted, requestId: "r2" });
  expect([other.id === made.id, other.token === made.token]).toEqual([false, false]);
  const { token: another } = await workspace.tokenOf("admin", "m3");
  expect((await workspace.ask("tokens.create", wanted, another)).id).not.toBe(made.id);
});
