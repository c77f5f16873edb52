// Before `npm test`: an installation has the packages of the tests only where it was asked for them.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

if (!existsSync("node_modules/vitest")) {
  const options = { stdio: "inherit", shell: process.platform === "win32" } as const;
  execFileSync("npm", ["install", "--include=dev", "--no-save"], options);
}
