/** `npm test`: runs every group of tests, also after one that failed, and fails if any did. */
import { spawnSync } from "node:child_process";

const groups = ["test:node", "test:e2e", "test:workers"] as const;

const failed = groups.filter((group) => {
  // On Windows npm is a script of its shell.
  const { status, error } = spawnSync("npm", ["run", "--silent", group], {
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  if (error) throw error;
  return status !== 0;
});
if (failed.length > 0) {
  console.error(`Failed: ${failed.join(", ")}.`);
  process.exitCode = 1;
}
