/** `npm test`: runs every group of tests, also after one that failed, and fails if any did. */
import { spawnSync } from "node:child_process";

const groups = [["test:node", "--", "--coverage"], ["test:e2e"], ["test:workers", "--", "--coverage"]] as const;

const failed = groups.filter((args) => {
  // On Windows npm is a script of its shell.
  const { status, error } = spawnSync("npm", ["run", "--silent", ...args], {
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  if (error) throw error;
  return status !== 0;
});
if (failed.length > 0) {
  console.error(`Failed: ${failed.map(([name]) => name).join(", ")}.`);
  process.exitCode = 1;
}
