import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import { expect, it, onTestFinished, vi } from "vitest";
import { versionOf } from "#src/local-mcp/host/system-site.ts";
import { run } from "#src/cli/commands/program.ts";
import { readAll, interrupted, startProcess, systemIo } from "#src/cli/system-io.ts";
import { killHosts, servingHost } from "#harness/machine/process-tree.ts";

function aFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "shim-io-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

it("names this copy of SHIM by absolute paths beside and above the bundle", () => {
  const io = systemIo(pathToFileURL("/opt/shim/dist/cli.cjs").href, process.env);
  expect(io.launch).toEqual({
    node: process.execPath,
    script: "/opt/shim/bin/shim.mjs",
    hookScript: "/opt/shim/dist/hook.cjs",
  });
  expect(io.nodeVersion).toBe(process.versions.node);
  expect(io.parentPid()).toBe(process.ppid);
  expect(io.size().columns).toBeGreaterThan(0);
  expect(io.machine.list(join(tmpdir(), "shim-not-there"))).toEqual([]);
  expect(io.machine.exists(tmpdir())).toBe(true);
});

it("the first Ctrl-C or SIGTERM is reported, and the waiting ends at once", async () => {
  const { signal, io } = { signal: interrupted(), io: systemIo(import.meta.url, process.env) };
  const wait = io.wait(60_000, signal);
  process.emit("SIGINT");
  await wait;
  expect(signal.aborted).toBe(true);
  expect(process.listenerCount("SIGINT")).toBe(0);
  for (const name of ["SIGTERM", "SIGHUP"] as const) process.removeAllListeners(name);
});

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

it("a program's version is its first word on the matter, or null", () => {
  expect(versionOf(process.execPath, process.env)).toBe(process.version);
  expect(versionOf("shim-no-such-program", process.env)).toBeNull();
});

it("a short program is run without a terminal: its exit code and what it says, or null", () => {
  const { runQuietly } = systemIo(new URL("../../../dist/cli.cjs", import.meta.url).href, process.env);
  const script = "console.log('out'); console.error('err'); process.exit(3)";
  expect(runQuietly(process.execPath, ["-e", script])).toEqual({ code: 3, text: "out\nerr\n" });
  expect(runQuietly("shim-no-such-program", [])).toBeNull();
});

it("a question goes to stderr and takes one line from stdin", async () => {
  const stdin = new PassThrough();
  const asked: string[] = [];
  vi.spyOn(process, "stdin", "get").mockReturnValue(stdin as unknown as typeof process.stdin);
  const write = vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean(asked.push(String(text))));
  onTestFinished(() => {
    vi.restoreAllMocks();
    write.mockRestore();
  });
  const reply = systemIo(import.meta.url, process.env).ask("Go on? ");
  stdin.write("yes\n");
  expect(await reply).toBe("yes");
  expect(asked.join("")).toContain("Go on? ");
  const ended = systemIo(import.meta.url, process.env).ask("And now? ");
  stdin.end();
  expect(await ended).toBe("");
});

it("stdin is read to its end, up to a bound", async () => {
  expect(await readAll(Readable.from(["a", "b"]))).toBe("ab");
  expect((await readAll(Readable.from(Array.from({ length: 50 }, () => "x".repeat(100_000))))).length).toBe(4_000_000);
});

it("the runtime is made of the real clock and files, with warnings for the person here", async () => {
  const home = join(aFolder(), "home");
  vi.stubEnv("SHIM_HOME", home);
  const err: string[] = [];
  const write = vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean(err.push(String(text))));
  onTestFinished(() => {
    vi.unstubAllEnvs();
    write.mockRestore();
  });
  const { runtime, driver } = await systemIo(import.meta.url, process.env).makeRuntime();
  expect(driver).toBe("better-sqlite3");
  expect(runtime.paths.home).toBe(home);
  runtime.log("info", "nobody needs this");
  runtime.log("error", "settings ignored", { reason: "no JSON" });
  expect(err).toEqual(["shim: settings ignored: no JSON\n"]);
});

it("what is printed goes to the process's own streams", () => {
  const out = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  const err = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const io = systemIo(import.meta.url, process.env);
  io.stdout("a");
  io.stderr("b");
  const calls = [out.mock.calls[0]?.[0], err.mock.calls[0]?.[0]];
  out.mockRestore();
  err.mockRestore();
  expect(calls).toEqual(["a", "b"]);
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
