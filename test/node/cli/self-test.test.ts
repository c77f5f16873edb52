import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { homedir, hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { type CliHome, aCliHome } from "#harness/machine/cli-home.ts";
import type { SelfTestReport } from "#src/cli/commands/self-test.ts";
import type { Io } from "#src/cli/io.ts";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "..", "..", "..");

/** This clone, built. */
const launch = {
  node: process.execPath,
  script: join(root, "bin", "shim.mjs"),
  hookScript: join(root, "dist", "hook.cjs"),
};

const refusing: Io["runQuietly"] = () => ({ code: 1, text: "line 3: unknown key" });

const testFolders = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("shim-self-test-"));

async function selfTest(home: CliHome, io: Partial<Io>): Promise<{ code: number; report: SelfTestReport }> {
  const env = { ...process.env, ...home.runtime.env };
  const ran = await home.shimWith({ launch, env, ...io }, "doctor --self-test --json");
  return { code: ran.code, report: ran.json() as unknown as SelfTestReport };
}

it("[IP7] [IP8] the self-test passes here, leaves no folder and touches no store, and its report names nobody @night", async () => {
  const home = aCliHome();
  const folders = testFolders();
  const { code, report } = await selfTest(home, {});
  expect(report.checks.filter(({ state }) => state === "failed")).toEqual([]);
  expect([code, report.isPassed]).toEqual([0, true]);
  const names = ["checkpoint", "hooks", "store", "permissions", "processes", "service file"];
  expect(report.checks.map(({ name }) => name)).toEqual(names);
  expect(Object.keys(report.about)).toEqual(["shim", "system", "node", "git", "claude code"]);
  expect(testFolders()).toEqual(folders);
  expect(existsSync(home.paths.home)).toBe(false);
  for (const word of [homedir(), hostname(), tmpdir(), root]) expect(JSON.stringify(report)).not.toContain(word);
});

it("[IP7] what does not work is a failed check with its reason, the others run, and the exit code is 1 @night", async () => {
  const home = aCliHome();
  const broken = join(home.folder, "broken-hook.cjs");
  writeFileSync(broken, 'console.error("no such module"); process.exitCode = 1;');
  const machine = { ...home.io().machine, platform: "darwin" as const };
  const { code, report } = await selfTest(home, {
    launch: { ...launch, hookScript: broken },
    runQuietly: refusing,
    machine,
  });
  expect([code, report.isPassed]).toEqual([1, false]);
  const failures = report.checks.filter(({ state }) => state === "failed");
  expect(failures.map(({ name, text }) => `${name}: ${text}`)).toEqual([
    "hooks: the SessionStart hook ended with 1: no such module",
    "service file: plutil does not accept the file for launchd: line 3: unknown key",
  ]);
});

it("[IP7] a server that does not start is reported with what it printed @night", async () => {
  const home = aCliHome();
  const script = join(home.folder, "server.cjs");
  writeFileSync(script, 'console.error("this Node is too old"); process.exitCode = 78;');
  const ran = await home.shimWith({ launch: { ...launch, script }, env: process.env }, "doctor --self-test");
  expect(ran.code).toBe(1);
  expect(ran.out).toMatch(/^failed {2}checkpoint: .*this Node is too old/m);
  expect(ran.out).toMatch(/\d ok, [1-9] failed, \d+ ms\n/);
  expect(ran.out).toContain("Please send it");
});
