import { beforeEach, expect, vi, type MockInstance } from "vitest";
import { errorTable, isRetryable } from "#src/contract/errors.ts";
import type { InputOf } from "#src/contract/operations.ts";
import { defaultMaxBodyBytes, WireError } from "#src/contract/protocol.ts";
import { app } from "#src/worker/app.ts";
import { mcpHeaders, ping } from "./remote-client.ts";
import { aChat, bearer, bindings, it, origin, refusalOf, request, wait, type TestWorkspace } from "./support.ts";

function send(workspace: TestWorkspace, method: string, path: string, body: BodyInit | null = null): Promise<Response> {
  return request(`/v1/workspaces/${workspace.name}${path}`, { method, headers: bearer(workspace.token), body });
}

/** A body with a value that is nested so deep. */
function deep(levels: number, open: string, shut: string): string {
  return `{"key":"k","value":${open.repeat(levels)}1${shut.repeat(levels)}}`;
}

/** Asks the app with other bindings than its own. */
function asked(env: object, workspace: TestWorkspace): Response | Promise<Response> {
  const url = `${origin}/v1/workspaces/${workspace.name}/settings`;
  return app.request(url, { headers: bearer(workspace.token) }, { ...bindings, ...env });
}

/** What was logged in the test, without anything on the screen. */
let log: MockInstance;
beforeEach(() => void (log = vi.spyOn(console, "error").mockReset().mockReturnValue()));

it("a body has at most the bytes of its operation, also where it tells no length", async ({ workspace }) => {
  const forgotten = { device: "d1", keyId: "0123456789abcdef", forgotten: [{ session: "s1" }] };
  const payload = "x".repeat(65_000);
  const tasks = Array.from({ length: 120 }, () => ({ type: "x", payload }));
  for (const [method, path, most, body] of [
    ["PUT", "/state", defaultMaxBodyBytes, { key: "k", value: "x" }],
    ["POST", "/tasks", 10 * defaultMaxBodyBytes, { tasks }],
    ["POST", "/sync/records", 4 * defaultMaxBodyBytes, forgotten],
  ] as const) {
    const full = JSON.stringify(body).padEnd(most);
    for (const text of [`${full} `, new Response(`${full} `).body])
      expect([path, ...(await refusalOf(send(workspace, method, path, text)))]).toEqual([path, 413, "too_large"]);
    expect([path, (await send(workspace, method, path, full)).status]).toEqual([path, 200]);
  }
  expect((await workspace.ask("tasks.progress", {})).totalTasks).toBe(120);
});

it("a body that is no JSON object in UTF-8, or too deep, is refused unchanged", async ({ workspace }) => {
  const before = await workspace.tables();
  const wrong = [
    new Uint8Array([...new TextEncoder().encode('{"key":"k","value":"'), 0xff, 0x22, 0x7d]),
    new TextEncoder().encode("\0"),
    "{",
    '[{"key":"k","value":1}]',
    "null",
    '"text"',
    '{"key":"k","value":NaN}',
    deep(100, "[", "]"),
    deep(5_000, '{"a":', "}"),
    deep(200_000, "[", "]"),
    '{"key":"k","value":{"a":[{"__proto__":{"b":1}}]}}',
  ];
  for (const body of wrong) {
    const shown = String(body).slice(0, 40);
    const refused = await refusalOf(send(workspace, "PUT", "/state", body));
    expect([shown, ...refused]).toEqual([shown, 400, "bad_input"]);
  }
  expect(await refusalOf(send(workspace, "POST", "/epoch/raise"))).toEqual([400, "bad_input"]);
  expect(await workspace.tables()).toEqual(before);
  expect((await send(workspace, "PUT", "/state", deep(98, "[", "]"))).status).toBe(200);
});

it("unknown fields and values out of bounds are refused by name, and change nothing", async ({ workspace }) => {
  const before = await workspace.tables();
  const inputs: [object, string][] = [
    [{ key: "k", value: 1, extra: true }, "extra"],
    [{ key: "k", value: 1, ["__proto__"]: { ttlMs: 5_000 } }, "__proto__"],
    [{ key: "$chat/c1", value: 1 }, "reserved for the coordinator"],
    [{ key: "k", value: 1, ifVersion: 2 ** 60 }, "ifVersion"],
  ];
  for (const [input, problem] of inputs) {
    const { status, error } = await workspace.call("state.set", input as InputOf<"state.set">);
    expect([status, error?.code]).toEqual([400, "bad_input"]);
    expect(error?.message).toContain(problem);
  }
  for (const name of ["constructor", "__proto__", "toString", "chats.delete", ""]) {
    const answer = await workspace.stub.call({ id: workspace.tokenId, hash: "" }, name, {});
    expect(answer).toMatchObject({ ok: false });
  }
  expect(await workspace.tables()).toEqual(before);
});

it("a query has each parameter once, in UTF-8, and its numbers are told by the schema", async ({ workspace }) => {
  await workspace.register("c1");
  await workspace.ask("state.set", { key: "17", value: "text" });
  expect((await workspace.ask("state.get", { key: "17" })).entry?.value).toBe("text");
  expect((await workspace.ask("chats.list", { limit: 1, machine: "m1" })).chats).toHaveLength(1);
  const limits = ["0", "201", "1.5", "1e2", "0x10", "", "ten", "-1", "99999999999999999999", "1 "];
  const queries = ["key=%ff", "key=%E0%A4", "key=%", "%ff=k", "key=k&key=k", "key=k&%6bey=j", "key=k&extra=1"];
  for (const path of [
    ...limits.map((limit) => `/chats?limit=${encodeURIComponent(limit)}`),
    ...queries.map((query) => `/state?${query}`),
  ])
    expect([path, ...(await refusalOf(send(workspace, "GET", path)))]).toEqual([path, 400, "bad_input"]);
});

it("unknown routes, and operations of a connection over HTTP, are refused", async ({ workspace }) => {
  const headers = bearer(workspace.token);
  const base = `/v1/workspaces/${workspace.name}`;
  const nowhere = [
    ...["/", "/v1", base, `${base}/`, `${base}/nothing`, `${base}/../../health/x`].map((path) => ["GET", path]),
    ["DELETE", `${base}/chats`],
    ["POST", `${base}/state`],
    ["POST", `${base}/state/watch`],
    ["OPTIONS", `${base}/state`],
    ["POST", `${base}/connect`],
    ["POST", "/health"],
  ] as const;
  for (const [method = "", path = ""] of nowhere) {
    const refused = await refusalOf(request(path, { method, headers }));
    expect([method, path, ...refused]).toEqual([method, path, 404, "unknown_operation"]);
  }
  expect(await refusalOf(request(`${base}/connect`, { headers }))).toEqual([400, "bad_input"]);
});

it("a client of another protocol is refused; no header means the present one", async ({ workspace }) => {
  const path = `/v1/workspaces/${workspace.name}/settings`;
  for (const version of ["0", "2", "one", "", "1.5", "-1"]) {
    const headers = { ...bearer(workspace.token), "shim-protocol": version };
    expect(await refusalOf(request(path, { headers }))).toEqual([400, "unsupported_protocol"]);
    expect((await workspace.upgrade(undefined, { "shim-protocol": version })).status).toBe(400);
  }
  expect((await request(path, { headers: { ...bearer(workspace.token), "shim-protocol": "1" } })).status).toBe(200);
  const { VERSION } = bindings;
  const deployed = { version: VERSION?.id, deployedAt: VERSION?.timestamp };
  const shim: unknown = expect.stringMatching(/^\d+\.\d+\.\d+/);
  const served = { protocol: 1, oldestProtocol: 1, ...deployed, now: expect.any(Number) as number, shim };
  expect(await (await request("/health")).json()).toEqual(served);
});

it("no answer is stored or allows other origins, whether it has data or an error", async ({ workspace }) => {
  const base = `/v1/workspaces/${workspace.name}`;
  const headers = { ...bearer(workspace.token), origin: "https://evil.example" };
  const answers = await Promise.all([
    request(`${base}/chats`, { headers }),
    request(`${base}/chats`),
    request(`${base}/settings`, { method: "OPTIONS", headers: { ...headers, "access-control-request-method": "GET" } }),
    request(`${base}/metrics`, { headers }),
    request(`${base}/tickets`, { headers, method: "POST" }),
    request(`${base}/tokens`, { headers, method: "POST", body: JSON.stringify({ machine: "m", scope: "observe" }) }),
    request("/v1/workspaces", { headers, method: "POST" }),
    request("/health", { headers }),
    request("/mcp", { method: "POST", headers: { ...mcpHeaders, ...headers }, body: JSON.stringify(ping) }),
    request("/authorize"),
    request("/oauth/token", { method: "POST" }),
    asked({ COORDINATOR: { getByName: () => null } }, workspace),
  ]);
  for (const { url, headers: given } of answers) {
    const allowed = [...given.keys()].filter((name) => name.startsWith("access-control"));
    expect([url, given.get("cache-control"), allowed]).toEqual([url, "no-store", []]);
  }
  for (const page of ["https://evil.example", "null"])
    expect(await refusalOf(workspace.upgrade(undefined, { origin: page }))).toEqual([403, "forbidden"]);
});

it("above the rate limit a request is answered without its object", async ({ workspace }) => {
  const limit = vi.fn(() => Promise.resolve({ success: false }));
  const getByName = vi.fn();
  const answer = await asked({ RATE_LIMITER: { limit }, COORDINATOR: { getByName } }, workspace);
  expect(answer.headers.get("retry-after")).toBe("10");
  expect(await refusalOf(answer)).toEqual([429, "rate_limited"]);
  expect(limit).toHaveBeenCalledWith({ key: workspace.tokenId });
  expect(getByName).not.toHaveBeenCalled();
});

it("an object that has too much to do is not asked again", async ({ workspace }) => {
  const call = vi.fn(() => Promise.reject(Object.assign(new Error("overloaded"), { overloaded: true })));
  const answer = await asked({ COORDINATOR: { getByName: () => ({ call }) } }, workspace);
  expect(answer.headers.get("retry-after")).toBe("5");
  expect(await answer.json()).toMatchObject({ error: { code: "overloaded", retryable: true, retryAfterMs: 5_000 } });
  expect([answer.status, call.mock.calls.length]).toEqual([503, 1]);
});

it("a failure is logged and answered without its stack, and neither has a token or secret", async ({ workspace }) => {
  const { token } = workspace;
  for (const failure of [new Error("the object broke"), Object.assign(new Error("y"), { remote: true })]) {
    const call = (): Promise<never> => Promise.reject(failure);
    const answer = await asked({ COORDINATOR: { getByName: () => ({ call }) } }, workspace);
    const internal = { code: "internal", message: "the coordinator failed", retryable: true, retryAfterMs: 1_000 };
    expect([answer.status, await answer.json()]).toEqual([500, { error: internal }]);
  }
  await workspace.inside((one) => one.storage.sql.exec("ALTER TABLE messages RENAME TO lost"));
  const { status, error } = await workspace.call("messages.list", {});
  expect([status, error?.message]).toEqual([500, "the coordinator failed; nothing was changed"]);
  const logged = log.mock.calls.map(String);
  expect(logged).toHaveLength(3);
  expect(logged[0]).toMatch(/^\{"what":"a request failed","path":"\/v1\//);
  expect(logged[2]).toMatch(/"what":"an operation failed".*no such table: messages.*at /);
  for (const secret of [token.split(".")[1] ?? "", bindings.SHIM_SIGNING_SECRET, bindings.SHIM_ADMIN_SECRET])
    expect(logged.join("\n")).not.toContain(secret);
});

it("refusals have one shape, the status of the table, and tell when to repeat", async ({ workspace }) => {
  const [self, other] = [await workspace.register("c1"), await workspace.register("c2")];
  await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q", ttlMs: 9_500 });
  const answers = {
    unknown_chat: await workspace.call("chats.get", { chat: "none" }),
    session_in_use: await workspace.call("chats.register", aChat("c1", { process: "boot-1/2/200" })),
    lease_held: await workspace.call("leases.acquire", { self: other, resource: "r", requestId: "q" }),
    too_large: await workspace.call("state.set", { key: "k", value: "x".repeat(140_000) }),
  };
  for (const [name, { status, error, headers }] of Object.entries(answers)) {
    const code = name as keyof typeof answers;
    expect([code, WireError.safeParse(error).success]).toEqual([code, true]);
    expect([error?.code, status, error?.retryable]).toEqual([code, errorTable[code].status, isRetryable(code)]);
    const seconds = error?.retryAfterMs === undefined ? null : String(Math.ceil(error.retryAfterMs / 1_000));
    expect([code, headers.get("retry-after")]).toEqual([code, seconds]);
  }
  expect(answers.lease_held.headers.get("retry-after")).toBe("10");
});

it("near the limit of the storage growth is refused; ends and deletions are done", async ({ workspace }) => {
  const { connection, self } = await workspace.join("c1", { capacity: 1 });
  await workspace.ask("state.set", { key: "old", value: 1 });
  const [task] = (await workspace.ask("tasks.submit", { tasks: [{ type: "t", payload: 1 }] })).tasks;
  const { claims } = await connection.ask("tasks.claim", { self, limit: 1, requestId: "q" });
  const held = await connection.ask("leases.acquire", { self, resource: "r", requestId: "q" });
  const token = held.state === "granted" ? held.lease.token : 0;
  let bytes = 8_000_000_000;
  await workspace.inside(({ storage }) => {
    Object.defineProperty(storage.sql, "databaseSize", { get: () => bytes, configurable: true });
  });
  const full = { bytes, limitBytes: 10_000_000_000, state: "full" };
  expect((await workspace.ask("health", {})).storage).toEqual(full);
  const quotaExceeded = { status: 507, error: { code: "quota_exceeded" } };
  for (const [name, input] of [
    ["state.set", { key: "a", value: 2 }],
    ["tasks.submit", { tasks: [{ type: "t", payload: 1 }] }],
    ["messages.send", { self, target: { to: "all" }, body: "x" }],
    ["tokens.create", { machine: "m2", scope: "work" }],
    ["leases.acquire", { self, resource: "s", requestId: "q" }],
    ["chats.register", aChat("c2")],
  ] as const)
    expect([name, await workspace.call(name, input as never)]).toMatchObject([name, quotaExceeded]);
  await connection.ask("chats.heartbeat", { self, status: "busy" });
  await connection.ask("leases.renew", { self, resource: "r", token });
  await connection.ask("leases.release", { self, resource: "r", token });
  await connection.ask("tasks.ack", { self, task: task?.task ?? 0, claim: claims[0]?.claim ?? 0, result: 1 });
  await connection.ask("state.update", { writes: [{ op: "delete", key: "old" }] });
  await connection.ask("settings.set", { settings: { maxTasks: 1_000 } });
  // A chat that lost its connection comes back.
  await workspace.join("c1", { capacity: 1 });
  wait(60_000);
  await workspace.ring();
  bytes -= 1;
  await workspace.ask("state.set", { key: "a", value: 2 });
});

it("a workspace at a small limit prunes as soon as the oldest is old enough, and recovers", async ({ workspace }) => {
  await workspace.ask("settings.set", { settings: { maxStorageBytes: 2_000_000, keepChangesMs: 60_000 } });
  let refused: string | null = null;
  for (let written = 0; refused === null && written < 100; written++)
    refused = await workspace.refusal("state.set", { key: "again", value: "x".repeat(100_000 + written) });
  expect(refused).toBe("quota_exceeded");
  expect((await workspace.ask("health", {})).storage).toMatchObject({ limitBytes: 2_000_000, state: "full" });
  wait(60_000);
  expect(await workspace.alarmAt()).toBeLessThanOrEqual(Date.now());
  await workspace.ring();
  expect((await workspace.ask("health", {})).storage?.state).toBe("normal");
  await workspace.ask("state.set", { key: "again", value: 1 });
});
