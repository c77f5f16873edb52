import { expect, vi } from "vitest";
import { app } from "#src/worker/app.ts";
import { mcpHeaders, ping } from "./remote-client.ts";
import { bearer, bindings, it, origin, request, type TestWorkspace } from "./support.ts";

function fail(): never {
  throw new Error("the object cannot be reached");
}

async function everyAnswer(workspace: TestWorkspace): Promise<Response[]> {
  const base = `/v1/workspaces/${workspace.name}`;
  const own = { headers: bearer(workspace.token) };
  return Promise.all([
    request(`${base}/chats`, own),
    request(`${base}/chats`),
    request(`${base}/chats?limit=none`, own),
    request(`${base}/metrics`, own),
    request(`${base}/tickets`, { ...own, method: "POST" }),
    request(`${base}/tokens`, { ...own, method: "POST", body: JSON.stringify({ machine: "m", scope: "observe" }) }),
    request(`${base}/tasks`, { ...own, method: "POST", body: "{" }),
    request(`${base}/nothing`, own),
    request(`${base}/connect`, own),
    request("/v1/workspaces", { method: "POST" }),
    request("/v1/elsewhere"),
    request("/health", { headers: bearer(bindings.SHIM_ADMIN_SECRET) }),
    request("/mcp", { method: "POST", headers: { ...mcpHeaders, ...own.headers }, body: JSON.stringify(ping) }),
    request("/authorize"),
    request("/oauth/token", { method: "POST" }),
  ]);
}

it("no answer of the Worker is stored, whether it has data or an error", async ({ workspace }) => {
  for (const { url, headers } of await everyAnswer(workspace))
    expect([url, headers.get("cache-control")]).toEqual([url, "no-store"]);
  expect((await workspace.upgrade()).status).toBe(101);
});

it("a failure of the Worker is not stored either", async () => {
  vi.spyOn(console, "error").mockReturnValue();
  const COORDINATOR = { getByName: () => fail() } as unknown as typeof bindings.COORDINATOR;
  const init = { method: "POST", headers: bearer(bindings.SHIM_ADMIN_SECRET), body: '{"workspace":"w-none"}' };
  const { status, headers } = await app.request(`${origin}/v1/workspaces`, init, { ...bindings, COORDINATOR });
  expect([status, headers.get("cache-control")]).toEqual([500, "no-store"]);
});
