import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "..", "..");

it("two deployments into an empty account keep keys, tasks, tokens and secrets, and add a class and OAuth @night", async () => {
  const script = join(root, "scripts", "deploy-rehearse.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [script], { cwd: root, maxBuffer: 1e8 });
  expect(stdout).toContain("2 queues, 2 secrets");
  expect(stdout).toContain("with OAuth");
  expect(stdout).toContain("Both deployments went well.");
});
