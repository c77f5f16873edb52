import { estimateTokenCount } from "tokenx";
import { expect, vi } from "vitest";
import { operations } from "#src/contract/operations.ts";
import { scopes, type Scope } from "#src/contract/workspaces.ts";
import { app } from "#src/worker/app.ts";
import { call, connect, eras, errorOf, mcpHeaders, ping, post } from "./remote-client.ts";
import { bearer, bindings, it, origin, request, wait } from "./support.ts";

it.for(Object.entries(eras))(
  "a client of %s lists the tools and calls one, without a session",
  async ([era, mode], { workspace }) => {
    const client = await connect(workspace.token, mode);
    expect(client.getNegotiatedProtocolVersion()).toBe(era);
    expect(client.getInstructions()).toContain(`workspace ${workspace.name}; scope admin`);
    expect((await client.listTools()).tools.length).toBeGreaterThan(20);
    const submitted = await call(client, "tasks_submit", { tasks: [{ type: "build" }] });
    expect(submitted).toMatchObject({ isError: false, value: { tasks: [{ task: 1, state: "queued" }] } });
    expect((await call(client, "tasks_progress")).value).toMatchObject({ totalTasks: 1, queuedTasks: 1 });
  },
);

it("no stream, no session and no batch is opened", async ({ workspace }) => {
  const own = bearer(workspace.token);
  expect((await post(own, "", "GET")).status).toBe(405);
  expect((await post(own, "", "DELETE")).status).toBe(405);
  expect(await errorOf(await post(own, [ping, ping]))).toEqual([400, "bad_input", "the body must be a JSON object"]);
  expect((await post({ ...own, "content-type": "text/plain" })).status).toBe(415);
  const answer = await post(own);
  expect([answer.status, answer.headers.get("mcp-session-id")]).toEqual([200, null]);
});

it("a request without a valid token is answered 401 with the metadata of the resource", async ({ workspace }) => {
  const metadata = `resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp"`;
  const { id, token } = await workspace.tokenOf("observe");
  expect((await post(bearer(token))).status).toBe(200);
  await workspace.ask("tokens.revoke", { id });
  const short = await workspace.tokenOf("observe", "m1", 60_000);
  wait(60_001);
  for (const [headers, expected] of [
    [{}, `Bearer ${metadata}`],
    [bearer("shim_forged.token"), `Bearer error="invalid_token", ${metadata}`],
    [bearer(token), `Bearer error="invalid_token", ${metadata}`],
    [bearer(short.token), `Bearer error="invalid_token", ${metadata}`],
  ] as const) {
    const answer = await post(headers);
    expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, expected]);
  }
  for (const path of ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"]) {
    expect(await (await request(path)).json()).toMatchObject({ resource: `${origin}/mcp` });
  }
});

it("a token of a workspace that is not there is refused, and says so", async ({ workspace }) => {
  const { token } = workspace;
  const COORDINATOR = { getByName: () => bindings.COORDINATOR.getByName("never-made") } as never;
  const headers = { "content-type": "application/json", ...bearer(token) };
  const init = { method: "POST", headers, body: JSON.stringify(ping) };
  const answer = await app.request(`${origin}/mcp`, init, { ...bindings, COORDINATOR });
  expect(await errorOf(answer)).toEqual([404, "unknown_workspace", "there is no such workspace"]);
});

it("a token sees the tools of its scope, and can call no other", async ({ workspace }) => {
  const names = async (scope: Scope): Promise<string[]> => {
    const { token } = await workspace.tokenOf(scope, `m-${scope}`);
    const client = await connect(token);
    const { tools } = await client.listTools();
    const listed = tools.map(({ name }) => name);
    for (const { name, annotations } of tools) {
      const operation = operations[operationOf(name)];
      expect([name, scopes.indexOf(operation.scope) <= scopes.indexOf(scope)]).toEqual([name, true]);
      expect([name, annotations?.readOnlyHint]).toEqual([name, operation.method === "GET"]);
    }
    if (scope !== "admin") {
      const refused = call(client, "leases_force_release", { resource: "a", reason: "b" });
      await expect(refused).rejects.toThrow('this token has no tool "leases_force_release"');
    }
    return listed;
  };
  const [observe, submit, work, admin] = [
    await names("observe"),
    await names("submit"),
    await names("work"),
    await names("admin"),
  ];
  expect(observe).toContain("tasks_list");
  expect(observe).not.toContain("tasks_submit");
  expect(submit).toContain("state_set");
  expect(submit).not.toContain("messages_send");
  expect(work).toContain("sync_list");
  expect(work).not.toContain("leases_force_release");
  expect(admin).toEqual(expect.arrayContaining([...work, "leases_force_release"]));
  expect(admin).not.toContain("tasks_claim");
});

function operationOf(tool: string): keyof typeof operations {
  const found = Object.keys(operations).find((name) => name.replaceAll(/[.-]/g, "_") === tool);
  return (found ?? tool) as keyof typeof operations;
}

it("what destroys something says so, and each description and schema is the operation's own", async ({ workspace }) => {
  const { tools } = await (await connect(workspace.token)).listTools();
  const destructive = tools.filter(({ annotations }) => annotations?.destructiveHint).map(({ name }) => name);
  expect(destructive.toSorted()).toEqual([
    "chats_drain",
    "leases_force_release",
    "state_delete",
    "state_set",
    "state_update",
    "tasks_cancel",
    "tasks_discard",
  ]);
  for (const { name, description, inputSchema } of tools) {
    const { summary, input } = operations[operationOf(name)];
    expect([name, description]).toEqual([name, summary]);
    const fields = Object.keys(input.shape).filter((field) => field !== "self" && field !== "by");
    expect([name, Object.keys(inputSchema["properties"] ?? {})]).toEqual([name, fields]);
    expect([name, /^[\w-]{1,64}$/.test(name), JSON.stringify(inputSchema).includes("$ref")]).toEqual([
      name,
      true,
      false,
    ]);
  }
  // Each chat with this server pays for the list.
  expect(estimateTokenCount(JSON.stringify(tools))).toBeLessThan(8_000);
});

it("a refusal is an answer of the tool that says what is wrong, and changes nothing", async ({ workspace }) => {
  const client = await connect(workspace.token);
  for (const [name, given, text] of [
    ["tasks_get", { task: 7 }, /^unknown_task: /],
    ["tasks_get", {}, /^bad_input: tasks\.get: task: is missing\.$/],
    ["tasks_submit", { tasks: [{ type: "a" }], by: "somebody" }, /^bad_input: tasks\.submit: no such field: "by"\.$/],
    ["messages_pull", { self: { chat: "a", incarnation: 1 } }, /no such field: "self"/],
    ["state_set", { key: "a", value: 1, ifVersion: 7 }, /^version_mismatch: /],
  ] as const) {
    expect(await call(client, name, given)).toMatchObject({ isError: true, text: expect.stringMatching(text) });
  }
  await expect(call(client, "tasks_claim")).rejects.toThrow('this token has no tool "tasks_claim"');
  expect((await workspace.ask("tasks.progress", {})).totalTasks).toBe(0);
});

it("a web page calls the endpoint only from an origin that is listed, and only then a preflight is answered", async ({
  workspace,
}) => {
  const env = { ...bindings, SHIM_MCP_ORIGINS: "https://tools.example, https://other.example" };
  const ask = (method: string, from: string): Promise<Response> =>
    Promise.resolve(
      app.request(
        `${origin}/mcp`,
        {
          method,
          headers: {
            ...mcpHeaders,
            ...bearer(workspace.token),
            host: "shim.example",
            origin: from,
          },
          ...(method === "POST" ? { body: JSON.stringify(ping) } : {}),
        },
        env,
      ),
    );
  for (const from of ["https://tools.example", "https://other.example"]) {
    const preflight = await ask("OPTIONS", from);
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([204, from]);
    expect(preflight.headers.get("access-control-allow-headers")).toContain("authorization");
    const answer = await ask("POST", from);
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([200, from]);
  }
  for (const method of ["OPTIONS", "POST"]) {
    const answer = await ask(method, "https://evil.example");
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    expect(await errorOf(answer)).toEqual([403, "forbidden", expect.stringContaining("SHIM_MCP_ORIGINS")]);
  }
  expect((await post({ ...bearer(workspace.token), origin: "https://tools.example" })).status).toBe(403);
  expect((await post({ ...bearer(workspace.token), origin, host: "shim.example" })).status).toBe(200);
});

it("a body that is too long, not JSON, or nested too deep is refused before the object is asked to do anything", async ({
  workspace,
}) => {
  const own = bearer(workspace.token);
  const tooLong = JSON.stringify({ ...ping, params: { text: "x".repeat(1_100_000) } });
  expect(await errorOf(await post(own, tooLong))).toMatchObject([413, "too_large", expect.anything()]);
  expect(await errorOf(await post(own, "{"))).toMatchObject([400, "bad_input", expect.anything()]);
  const deep = `${'{"a":'.repeat(101)}1${"}".repeat(101)}`;
  expect(await errorOf(await post(own, deep))).toMatchObject([400, "bad_input", expect.anything()]);
});

it("a failure of the object is an answer of the tool that says when to repeat, and is logged once", async ({
  workspace,
}) => {
  const log = vi.spyOn(console, "error").mockReturnValue();
  for (const [failure, text] of [
    [new Error("storage of /secret/file failed"), "internal: the coordinator failed. Try again in 1 s."],
    [
      Object.assign(new Error("busy"), { overloaded: true }),
      "overloaded: the workspace is overloaded. Try again in 5 s.",
    ],
  ] as const) {
    log.mockClear();
    const stub = { checkToken: () => ({ ok: true, value: null }), call: () => Promise.reject(failure) };
    const env = { ...bindings, COORDINATOR: { getByName: () => stub } as never };
    const headers = { ...mcpHeaders, ...bearer(workspace.token) };
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "chats_list", arguments: {} },
    });
    const answer = await (await app.request(`${origin}/mcp`, { method: "POST", headers, body }, env)).text();
    expect(answer).toContain(text);
    expect(answer).not.toContain("/secret/file");
    expect(log).toHaveBeenCalledTimes(1);
  }
});
