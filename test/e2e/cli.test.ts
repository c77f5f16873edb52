import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";

/** The built program behind its launcher, in real processes and a real terminal. */
const launcher = join(import.meta.dirname, "..", "..", "bin", "shim.mjs");

interface Place {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

function aPlace(): Place {
  const folder = mkdtempSync(join(tmpdir(), "shim-cli-e2e-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const env = { PATH: process.env["PATH"], HOME: folder, SHIM_HOME: join(folder, "shim"), TERM: "xterm" };
  return { folder, env };
}

function shim(
  { folder, env }: Place,
  args: readonly string[],
  input = "",
): { code: number | null; out: string; err: string } {
  const ran = spawnSync(process.execPath, [launcher, ...args], { cwd: folder, env, input, encoding: "utf8" });
  return { code: ran.status, out: ran.stdout, err: ran.stderr };
}

/** Waits for the text on stdout, does something, then for the end. */
function until(
  child: ChildProcess,
  text: string,
  act: () => void,
): Promise<{ code: number | null; out: string; err: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number | null; out: string; err: string }>();
  let out = "";
  let err = "";
  let hasActed = false;
  child.stdout?.setEncoding("utf8").on("data", (part: string) => {
    out += part;
    if (hasActed || !out.includes(text)) return;
    hasActed = true;
    act();
  });
  child.stderr?.setEncoding("utf8").on("data", (part: string) => (err += part));
  child.on("close", (code) => resolve({ code, out, err }));
  return promise;
}

it("[CL1] [CL8] the built program answers on a fresh machine, creates nothing, and passes exit codes on", () => {
  const place = aPlace();
  expect(shim(place, ["--version"])).toMatchObject({ code: 0, err: "" });
  expect(shim(place, ["up"])).toMatchObject({
    code: 0,
    out: expect.stringContaining("bin/shim.mjs init  connects it"),
    err: "",
  });
  expect(shim(place, ["sessions", "show", "x"]).code).toBe(3);
  expect(shim(place, ["nonsense"]).code).toBe(2);
  expect(existsSync(join(place.folder, "shim"))).toBe(false);
});

it("[CL19] the status line has a program of its own, which never fails", () => {
  const place = aPlace();
  expect(shim(place, ["statusline"], "no JSON")).toEqual({ code: 0, out: "not saved yet\n", err: "" });
  expect(JSON.parse(shim(place, ["statusline", "--json"], "{}").out)).toMatchObject({
    own: "",
    status: { trouble: null },
  });
  writeFileSync(join(place.folder, "shim"), "a file where the folder should be");
  expect(shim(place, ["statusline"], "{}").code).toBe(0);
});

it("[CL132] Ctrl-C ends the live view at once with 0, with an empty stderr", async () => {
  const place = aPlace();
  expect(shim(place, ["pause", "1h"]).code).toBe(0);
  const child = spawn(process.execPath, [launcher, "up"], { cwd: place.folder, env: place.env });
  const ended = await until(child, "paused: every project", () => child.kill("SIGINT"));
  expect(ended).toMatchObject({ code: 0, err: "" });
});

it("[CL132] in a real terminal the cursor is restored after Ctrl-C", async () => {
  const place = aPlace();
  const command = `exec "${process.execPath}" "${launcher}" up`;
  const child = spawn("script", ["-qefc", command, "/dev/null"], { cwd: place.folder, env: place.env });
  const ended = await until(child, "Ctrl-C ends this view", () => child.stdin.write("\u0003"));
  expect(ended.code).toBe(0);
  expect(ended.out).toContain("\u001b[?25l");
  expect(ended.out.trimEnd().endsWith("\u001b[?25h")).toBe(true);
});

it("[CL5] a reader that goes away early is no error", () => {
  const place = aPlace();
  const ran = spawnSync("sh", ["-c", `"${process.execPath}" "${launcher}" --help | head -1`], {
    env: place.env,
    encoding: "utf8",
  });
  expect(ran).toMatchObject({ status: 0, stderr: "" });
});
