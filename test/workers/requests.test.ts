import { beforeEach, expect, vi, type MockInstance } from "vitest";
import { errorTable, isRetryable } from "#src/contract/errors.ts";
import { WireError } from "#src/contract/wire-error.ts";
import type { InputOf } from "#src/contract/operations.ts";
import { defaultMaxBodyBytes } from "#src/contract/protocol.ts";
import type { Env } from "#src/worker/env.ts";
import { app } from "#src/worker/app.ts";
import { aChat, bearer, bindings, dump, it, origin, request, TestWorkspace, wait } from "./support.ts";

const state = (workspace: TestWorkspace): string => `/v1/workspaces/${workspace.name}/state`;

async function refusalOf(
  response: Response | Promise<Response>,
): Promise<{ status: number; code: string | undefined }> {
  const answer = await response;
  const { error } = await answer.json<{ error?: { code: string } }>();
  return { status: answer.status, code: error?.code };
}

function put(workspace: TestWorkspace, body: BodyInit | null): Promise<Response> {
  return request(state(workspace), { method: "PUT", headers: bearer(workspace.token), body });
}

/** A body with a value that is nested so deep. */
function deep(levels: number, open: string, shut: string): string {
  return `{"key":"k","value":${open.repeat(levels)}1${shut.repeat(levels)}}`;
}

/** Asks the app with other bindings than its own. */
function asked(env: Partial<Env>, workspace: TestWorkspace, path = "/settings"): Response | Promise<Response> {
  const url = `${origin}/v1/workspaces/${workspace.name}${path}`;
  return app.request(url, { headers: bearer(workspace.token) }, { ...bindings, ...env });
}

/** What was logged in the test, without anything on the screen. */
let log: MockInstance;
beforeEach(() => {
  log = vi.spyOn(console, "error").mockReset().mockReturnValue();
});

it("a body above a mebibyte is refused, also when it does not say how long it is", async ({ workspace }) => {
  const fits = JSON.stringify({ key: "k", value: "x" });
  const full = fits + " ".repeat(defaultMaxBodyBytes - fits.length);
  expect((await put(workspace, full)).status).toBe(200);
  expect(await refusalOf(put(workspace, `${full} `))).toEqual({ status: 413, code: "too_large" });
  const streamed = new Response(`${full} `).body;
  expect(await refusalOf(put(workspace, streamed))).toEqual({ status: 413, code: "too_large" });
  const huge = request("/v1/workspaces", { method: "POST", body: `${full} ` });
  expect(await refusalOf(huge)).toEqual({ status: 413, code: "too_large" });
});

it("a submit of tasks may have ten mebibytes", async ({ workspace }) => {
  const most = 10 * defaultMaxBodyBytes;
  const payload = "x".repeat(65_000);
  const body = JSON.stringify({ tasks: Array.from({ length: 120 }, () => ({ type: "x", payload })) });
  const submit = (text: string): Promise<Response> =>
    request(`/v1/workspaces/${workspace.name}/tasks`, { method: "POST", headers: bearer(workspace.token), body: text });
  expect((await submit(body.padEnd(most))).status).toBe(200);
  expect(await refusalOf(submit(body.padEnd(most + 1)))).toEqual({ status: 413, code: "too_large" });
  expect((await workspace.ask("tasks.progress", {})).totalTasks).toBe(120);
});

it("a body that is no JSON object in UTF-8, or too deep, is refused unchanged", async ({ workspace }) => {
  const before = await workspace.inside((one) => dump(one));
  const wrong = [
    new Uint8Array([...new TextEncoder().encode('{"key":"k","value":"'), 0xff, 0x22, 0x7d]),
    new Uint8Array([0xed, 0xa0, 0x80]),
    new TextEncoder().encode("\0"),
    "{",
    "{'key':1}",
    "[]",
    '[{"key":"k","value":1}]',
    "null",
    "5",
    '"text"',
    '{"key":"k","value":NaN}',
    deep(100, "[", "]"),
    deep(5_000, '{"a":', "}"),
    deep(200_000, "[", "]"),
    '{"key":"k","value":{"a":[{"__proto__":{"b":1}}]}}',
  ];
  for (const body of wrong) {
    expect([String(body).slice(0, 40), await refusalOf(put(workspace, body))]).toEqual([
      String(body).slice(0, 40),
      { status: 400, code: "bad_input" },
    ]);
  }
  expect(await workspace.inside((one) => dump(one))).toBe(before);
  expect((await put(workspace, deep(98, "[", "]"))).status).toBe(200);
  const raise = `/v1/workspaces/${workspace.name}/epoch/raise`;
  const nothing = request(raise, { method: "POST", headers: bearer(workspace.token) });
  expect(await refusalOf(nothing)).toEqual({ status: 400, code: "bad_input" });
});

it("unknown fields and values out of bounds are refused by name, and change nothing", async ({ workspace }) => {
  const before = await workspace.inside((one) => dump(one));
  const inputs: [object, string][] = [
    [{ key: "k", value: 1, extra: true }, "extra"],
    [{ key: "k", value: 1, constructor: 1 }, "constructor"],
    [{ key: "k", value: 1, ["__proto__"]: { ttlMs: 5_000 } }, "__proto__"],
    [{ key: "$chat/c1", value: 1 }, "reserved for the coordinator"],
    [{ key: "k", value: 1, ifVersion: 1.5 }, "ifVersion"],
    [{ key: "k", value: 1, ifVersion: 2 ** 60 }, "ifVersion"],
    [{ key: "", value: 1 }, "key"],
    [{ key: ["k"], value: 1 }, "key"],
    [{ value: 1 }, "key"],
    [{ key: "k" }, "value"],
  ];
  for (const [input, problem] of inputs) {
    const { status, error } = await workspace.call("state.set", input as InputOf<"state.set">);
    expect([status, error?.code]).toEqual([400, "bad_input"]);
    expect(error?.message).toContain(problem);
  }
  const query = request(`${state(workspace)}?key=k&extra=1`, { headers: bearer(workspace.token) });
  expect(await refusalOf(query)).toEqual({ status: 400, code: "bad_input" });
  for (const name of ["constructor", "__proto__", "toString", "chats.delete", ""]) {
    const answer = await workspace.stub.call({ id: workspace.tokenId, hash: "" }, name, {});
    expect(answer).toMatchObject({ ok: false });
  }
  expect(await workspace.inside((one) => dump(one))).toBe(before);
});

it("numbers and booleans in a query are told by the schema", async ({ workspace }) => {
  await workspace.register("c1");
  await workspace.ask("state.set", { key: "17", value: "text" });
  expect((await workspace.ask("state.get", { key: "17" })).entry?.value).toBe("text");
  expect((await workspace.ask("chats.list", { limit: 1, machine: "m1" })).chats).toHaveLength(1);
  for (const limit of ["0", "201", "1.5", "1e2", "0x10", "", "ten", "-1", "99999999999999999999", "1 "]) {
    const path = `/v1/workspaces/${workspace.name}/chats?limit=${encodeURIComponent(limit)}`;
    const answer = request(path, { headers: bearer(workspace.token) });
    expect([limit, await refusalOf(answer)]).toEqual([limit, { status: 400, code: "bad_input" }]);
  }
});

it("unknown routes, and operations of a connection over HTTP, are refused", async ({ workspace }) => {
  const headers = bearer(workspace.token);
  const base = `/v1/workspaces/${workspace.name}`;
  const nowhere = [
    ["GET", "/"],
    ["GET", "/v1"],
    ["GET", "/v1/workspaces"],
    ["GET", base],
    ["GET", `${base}/`],
    ["GET", `${base}/nothing`],
    ["GET", `${base}/chats/`],
    ["GET", `${base}/../../health/x`],
    ["DELETE", `${base}/chats`],
    ["PATCH", `${base}/state`],
    ["POST", `${base}/state`],
    ["POST", `${base}/state/watch`],
    ["POST", `${base}/state/unwatch`],
    ["OPTIONS", `${base}/state`],
    ["POST", `${base}/connect`],
    ["POST", "/health"],
  ] as const;
  for (const [method, path] of nowhere) {
    const answer = await request(path, { method, headers });
    expect([method, path, await refusalOf(answer)]).toEqual([method, path, { status: 404, code: "unknown_operation" }]);
  }
  const plain = request(`${base}/connect`, { headers });
  expect(await refusalOf(plain)).toEqual({ status: 400, code: "bad_input" });
});

it("a client of another protocol is refused; no header means the present one", async ({ workspace }) => {
  const path = `/v1/workspaces/${workspace.name}/settings`;
  for (const version of ["0", "2", "99", "one", "", "1.5", "-1"]) {
    const headers = { ...bearer(workspace.token), "shim-protocol": version };
    expect(await refusalOf(request(path, { headers }))).toEqual({ status: 400, code: "unsupported_protocol" });
    expect((await workspace.upgrade(undefined, { "shim-protocol": version })).status).toBe(400);
  }
  const served = await request(path, { headers: { ...bearer(workspace.token), "shim-protocol": "1" } });
  expect(served.status).toBe(200);
  const { VERSION } = bindings;
  const version = { version: VERSION?.id ?? null, deployedAt: VERSION?.timestamp ?? null };
  expect(await (await request("/health")).json()).toEqual({
    protocol: 1,
    oldestProtocol: 1,
    ...version,
    now: expect.any(Number),
    shim: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
  expect(version.version).toEqual(expect.any(String));
});

it("no answer allows other origins, and a socket opened by a page is refused", async ({ workspace }) => {
  const headers = { ...bearer(workspace.token), origin: "https://evil.example" };
  const path = `/v1/workspaces/${workspace.name}/settings`;
  const asks = "access-control-request";
  const preflight = { ...headers, [`${asks}-method`]: "GET", [`${asks}-headers`]: "authorization" };
  const answers = [
    await request(path, { headers }),
    await request(path, { method: "OPTIONS", headers: preflight }),
    await request("/health", { headers }),
    await request("/nothing", { headers }),
    await request("/v1/workspaces", { method: "POST", headers }),
  ];
  const names = answers.flatMap(({ headers }) => Array.from(headers.keys()));
  expect(names.filter((name) => name.startsWith("access-control"))).toEqual([]);
  for (const page of ["https://evil.example", "null"]) {
    const answer = await workspace.upgrade(undefined, { origin: page });
    expect(await refusalOf(answer)).toEqual({ status: 403, code: "forbidden" });
  }
});

it("above the rate limit a request is answered without its object", async ({ workspace }) => {
  const limit = vi.fn(() => Promise.resolve({ success: false }));
  const getByName = vi.fn();
  const answer = await asked({ RATE_LIMITER: { limit }, COORDINATOR: { getByName } as never }, workspace);
  expect(answer.headers.get("retry-after")).toBe("10");
  expect(await refusalOf(answer)).toEqual({ status: 429, code: "rate_limited" });
  expect(limit).toHaveBeenCalledWith({ key: workspace.tokenId });
  expect(getByName).not.toHaveBeenCalled();
  const allowed = { limit: () => Promise.resolve({ success: true }) };
  expect((await asked({ RATE_LIMITER: allowed }, workspace)).status).toBe(200);
});

it("an object that has too much to do is not asked again", async ({ workspace }) => {
  const call = vi.fn(() =>
    Promise.reject(Object.assign(new Error("Durable Object is overloaded"), { overloaded: true })),
  );
  const answer = await asked({ COORDINATOR: { getByName: () => ({ call }) } as never }, workspace);
  expect(answer.headers.get("retry-after")).toBe("5");
  expect(await answer.json()).toEqual({
    error: { code: "overloaded", message: "the workspace is overloaded", retryable: true, retryAfterMs: 5_000 },
  });
  expect(answer.status).toBe(503);
  expect(call).toHaveBeenCalledTimes(1);
});

it("an address that the worker asks the object at holds nothing of a token", async ({ workspace }) => {
  const fetched: string[] = [];
  const refuse = async (url: string, { headers }: { headers: Headers }): Promise<Response> => {
    fetched.push(url, ...headers.keys());
    return Promise.resolve(Response.json({ code: "overloaded", message: "full" }, { status: 503 }));
  };
  const env = { ...bindings, COORDINATOR: { getByName: () => ({ fetch: refuse }) } as never };
  const path = `${origin}/v1/workspaces/${workspace.name}/connect`;
  await app.request(path, { headers: { ...bearer(workspace.token), upgrade: "websocket" } }, env);
  expect(fetched).toEqual(["https://coordinator/connect", "shim-token", "shim-token-hash", "upgrade"]);
});

it("a failure of the worker is logged and answered without its stack, token or secret", async ({ workspace }) => {
  const token = workspace.token;
  const failures = [new Error("the object broke"), new TypeError("x"), Object.assign(new Error("y"), { remote: true })];
  for (const failure of failures) {
    const call = (): Promise<never> => Promise.reject(failure);
    const answer = await asked({ COORDINATOR: { getByName: () => ({ call }) } as never }, workspace);
    const text = await answer.text();
    expect(answer.status).toBe(500);
    expect(JSON.parse(text)).toEqual({
      error: { code: "internal", message: "the coordinator failed", retryable: true, retryAfterMs: 1_000 },
    });
  }
  expect(log).toHaveBeenCalledTimes(failures.length);
  const logged = log.mock.calls.flat().map(String);
  expect(logged.every((line) => line.startsWith('{"what":"a request failed","path":"/v1/'))).toBe(true);
  for (const secret of [token, token.split(".")[1] ?? "", bindings.SHIM_SIGNING_SECRET, bindings.SHIM_ADMIN_SECRET]) {
    expect(logged.join("\n")).not.toContain(secret);
  }
});

it("a failure inside the object is logged with its stack, and answered without it", async ({ workspace }) => {
  await workspace.inside((one) => one.storage.sql.exec("ALTER TABLE messages RENAME TO lost"));
  const answer = await workspace.call("messages.list", {});
  expect([answer.status, answer.error]).toEqual([
    500,
    { code: "internal", message: "the coordinator failed; nothing was changed", retryable: true, retryAfterMs: 1_000 },
  ]);
  const logged = log.mock.calls.flat().map(String).join("\n");
  expect(logged).toMatch(/"what":"an operation failed".*no such table: messages.*at /);
  expect(logged).not.toContain(workspace.token.split(".")[1]);
});

it("refusals have one shape, the status of the table, and tell when to repeat", async ({ workspace }) => {
  const self = await workspace.register("c1");
  const other = await workspace.register("c2");
  await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q", ttlMs: 9_500 });
  await workspace.ask("state.set", { key: "k", value: 1, requestId: "once" });
  const lease = { self: other, resource: "r", requestId: "q" };
  const answers = {
    bad_input: await workspace.call("chats.get", { chat: "" }),
    unauthenticated: await workspace.call("chats.get", { chat: "c1" }, "none"),
    unknown_chat: await workspace.call("chats.get", { chat: "nobody" }),
    unknown_token: await workspace.call("tokens.revoke", { id: "tok_no" }),
    session_in_use: await workspace.call("chats.register", aChat("c1", { process: "boot-1/2/200" })),
    chat_replaced: await workspace.call("chats.heartbeat", { self: { ...self, incarnation: 7 } }),
    owner_alive: await workspace.call("chats.attest-death", { chat: "c1", machine: "m1", process: "other" }),
    lease_held: await workspace.call("leases.acquire", lease),
    not_holder: await workspace.call("leases.renew", { self: other, resource: "r", token: 1 }),
    stale_token: await workspace.call("state.set", { key: "k", value: 2, guard: { resource: "r", token: 1 } }),
    version_mismatch: await workspace.call("state.set", { key: "k", value: 2, ifVersion: 0 }),
    key_reused: await workspace.call("state.set", { key: "k", value: 2, requestId: "once" }),
    compacted: await workspace.call("state.changes", { after: 1_000_000 }),
  };
  for (const [code, { status, error, headers }] of Object.entries(answers)) {
    expect([code, WireError.safeParse(error).success]).toEqual([code, true]);
    const { status: wanted } = errorTable[code as keyof typeof answers];
    const retryable = isRetryable(code as keyof typeof answers);
    expect([error?.code, status, error?.retryable]).toEqual([code, wanted, retryable]);
    const seconds = error?.retryAfterMs === undefined ? null : String(Math.ceil(error.retryAfterMs / 1_000));
    expect([code, headers.get("retry-after")]).toEqual([code, seconds]);
    expect([code, headers.get("content-type")]).toEqual([code, "application/json"]);
  }
  expect(answers.lease_held.error?.retryAfterMs).toBe(9_500);
  expect(answers.lease_held.headers.get("retry-after")).toBe("10");
  expect(answers.session_in_use.headers.get("retry-after")).toBe("30");
  wait(31_000);
  const gone = await workspace.call("chats.heartbeat", { self });
  expect([gone.status, gone.error?.code]).toEqual([409, "chat_offline"]);
});
