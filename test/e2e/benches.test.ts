import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { benches } from "../../bench/benches.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

const root = join(import.meta.dirname, "..", "..");
/** What a bench says that needs a program, a client or a folder that is not there. */
const cannotMeasure = /is not installed|not on the PATH|no chromium|needs? |is missing|folder/i;

it.each(Object.keys(benches))("npm run bench -- %s --smallest measures, or says what it lacks @night", (name) => {
  const folder = temporaryFolder();
  const env = { ...process.env, SHIM_HOME: undefined, TMPDIR: folder, HOME: folder };
  const args = ["bench/main.ts", name, "--smallest"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8" });
  if (status === 0) expect(stdout).toMatch(/\d/);
  else expect(stderr).toMatch(cannotMeasure);
});
