import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { findOperation } from "#src/contract/machine/find-operation.ts";
import { machineOperationNames, machineOperations } from "#src/contract/machine/operations.ts";

it("an operation is found by its name, and nothing by the name of none", async () => {
  for (const name of machineOperationNames) expect(await findOperation(name), name).toBe(machineOperations[name]);
  for (const name of ["sessions.none", "none", "none.list", "constructor", "sessions.constructor"])
    expect(await findOperation(name)).toBeNull();
});

function imported(path: string): string {
  return `await import(${JSON.stringify(pathToFileURL(resolve(path)))})`;
}

/** Files of `src` that a process loads which does `script`. */
function loadedBy(script: string): string[] {
  const source = `import { registerHooks } from "node:module";
    registerHooks({ load: (url, context, next) => (console.log(url), next(url, context)) });
    ${script}`;
  const out = execFileSync(process.execPath, ["--input-type=module", "-e", source], { encoding: "utf8" });
  return out.split("\n").flatMap((url) => /\/src\/(.+\.ts)$/.exec(url)?.[1] ?? []);
}

it("a host that is asked for a list loads neither the other operations nor the coordinator for it", () => {
  const [operations, handlers] = ["src/contract/machine/find-operation.ts", "src/local-mcp/host/operation-handlers.ts"];
  const loaded = loadedBy(`await (${imported(operations)}).findOperation("sessions.list");
    await (${imported(handlers)}).handlerOf("sessions.list");`);
  expect(loaded).toContain("machine/view/session-handlers.ts");
  expect(loaded.filter((path) => /^(coordination|contract\/(machine\/)?operations\.ts)/.test(path))).toEqual([]);
});
