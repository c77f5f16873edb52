import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { run } from "#src/cli/commands/program.ts";
import { startProcess, systemIo } from "#src/cli/io.ts";
import { killHosts, servingHost } from "#harness/machine/process-tree.ts";

function aFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "shim-io-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

it("a program gets its arguments without a shell, in the folder that is named; its exit code is returned", async () => {
  const folder = aFolder();
  const script = 'require("fs").writeFileSync("args", process.argv[1] + process.cwd()); process.exit(7)';
  const text = "$(touch hacked); \"quoted\" 'text'\nline";
  expect(await startProcess({ command: process.execPath, args: ["-e", script, text], cwd: folder })).toBe(7);
  expect(readFileSync(join(folder, "args"), "utf8")).toContain(text);
  expect(
    await startProcess({
      command: process.execPath,
      args: ["-e", "process.kill(process.pid, 'SIGKILL')"],
      cwd: folder,
    }),
  ).toBe(1);
  await expect(startProcess({ command: "shim-no-such-program", args: [], cwd: folder })).rejects.toMatchObject({
    code: "ENOENT",
  });
  expect(process.listenerCount("SIGINT")).toBe(0);
});

it("the runtime and the host of a command are those of its environment, whatever this process has", async () => {
  const own = aFolder();
  const home = join(own, "shim");
  const env = { HOME: own, SHIM_HOME: home, PATH: process.env["PATH"], SHIM_TEST_MARK: own };
  const bundle = pathToFileURL(join(import.meta.dirname, "..", "..", "..", "dist", "cli.cjs")).href;
  onTestFinished(() => killHosts(home));
  const io = { ...systemIo(bundle, env), stdout: () => undefined, stderr: () => undefined };
  expect((await io.makeRuntime()).runtime.paths.home).toBe(home);
  // The host reads the transcript, and refuses it.
  expect(await run(["resume", "--print", "--from-transcript", own], io)).not.toBe(0);
  const { pid } = servingHost(home);
  expect(readFileSync(`/proc/${pid}/environ`, "utf8").split("\0")).toContain(`SHIM_TEST_MARK=${own}`);
});
