import { expect, it } from "vitest";
import { machineOperationNames, machineOperations } from "#src/contract/machine/operations.ts";
import type { Operation } from "#src/contract/operation.ts";
import { offeredOn, operations } from "#src/contract/operations.ts";
import { EdgeBackend, routeOf, workspaceOf } from "#src/web/edge-backend.ts";

it("the page asks the Worker at the routes of the operations", () => {
  for (const name of offeredOn("page")) {
    const { method, path }: Operation = operations[name];
    expect([name, routeOf(name)]).toEqual([name, `${method} ${path}`]);
  }
});

it("the page asks the Worker for no operation of a machine", async () => {
  const readFromWorkspace: ReadonlySet<string> = new Set(["page.fleet", "page.messages", "page.audit"]);
  const ofPage = machineOperationNames.filter(
    (name) => machineOperations[name].surfaces.includes("page") && !readFromWorkspace.has(name),
  );
  expect(ofPage).toContain("experiments.list");
  for (const name of ofPage)
    expect([name, await new EdgeBackend("team-1", "").call(name, {} as never)]).toEqual([
      name,
      { ok: false, error: { code: "unknown_operation", message: "this is only on the machine of the chat" } },
    ]);
});

it("the workspace is read from the token; anything else is none", () => {
  const payload = Buffer.from(JSON.stringify({ w: "team-1", i: "tok" })).toString("base64url");
  expect(workspaceOf(`shim_${payload}.signature`)).toBe("team-1");
  for (const wrong of ["", "shim_", "shim_e30.x", "hello", "shim_%%%.x"]) expect(workspaceOf(wrong)).toBe(null);
});
