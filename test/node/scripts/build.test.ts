import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "..", "..", "..");

it("a build that succeeds prints nothing, and npm reports no newer version of itself", () => {
  const built = spawnSync(process.execPath, ["scripts/build.mjs"], { cwd: root, encoding: "utf8" });
  expect(built).toMatchObject({ status: 0, stdout: "", stderr: "" });
  const notifies = spawnSync("npm", ["config", "get", "update-notifier"], { cwd: root, encoding: "utf8" });
  expect(notifies.stdout.trim()).toBe("false");
});
