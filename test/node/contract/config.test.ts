import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it, onTestFinished, vi } from "vitest";
import { configSchema, defaults } from "#src/contract/config.ts";
import { parseConfig, readConfig } from "#src/platform/config-file.ts";
import { fileLog } from "#src/platform/log-file.ts";
import { homeFrom, pathsIn } from "#src/platform/paths.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { systemRuntime } from "#src/runtime/system-runtime.ts";

function aFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "shim-config-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

it("the defaults are those of the schema", () => {
  expect(configSchema().parse({})).toEqual(defaults);
});

it("without a file all settings have their defaults; a file may give some, with comments", () => {
  const path = join(aFolder(), "config.json");
  expect(readConfig(path)).toEqual({ ok: true, value: defaults });
  writeFileSync(path, '\uFEFF{\n  // mine\n  "recovery": "ask",\n  "checkpoint": { "everyToolCalls": 3, },\n}\n');
  expect(readConfig(path)).toMatchObject({
    ok: true,
    value: { recovery: "ask", checkpoint: { everyToolCalls: 3, everyMs: 300_000 } },
  });
});

it("a file that cannot be used is refused with its path and what is wrong, never half used", () => {
  const cases: [string, RegExp][] = [
    ["", /not valid JSON/],
    ["{,}", /not valid JSON: value expected at line 1, column 2/],
    ['{"recovry": "ask"}', /recovry/],
    ['{"recovery": "now"}', /recovery/],
    ['{"checkpoint": {"everyMs": 0}}', /everyMs/],
    ['{"risk": {"levels": {"danger": 2}}}', /danger/],
    ["[]", /type object/],
  ];
  for (const [text, problem] of cases) {
    const parsed = parseConfig(text, "/c.json");
    expect(parsed, text).toMatchObject({ ok: false, error: expect.stringMatching(/^\/c\.json: /) as string });
    expect(parsed.ok ? "" : parsed.error, text).toMatch(problem);
  }
  const folder = aFolder();
  expect(readConfig(folder)).toEqual({ ok: false, error: `${folder}: cannot be read (EISDIR)` });
});

it("no text makes the reading of settings throw", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseConfig(text, "c")));
});

it("every file is below one folder, which SHIM_HOME moves", () => {
  expect(homeFrom({ SHIM_HOME: "/elsewhere" })).toBe("/elsewhere");
  expect(homeFrom({ SHIM_HOME: "" })).toMatch(/shim/);
  const { home, ...places } = pathsIn("/elsewhere");
  expect(Object.values(places).every((path) => path.startsWith(`${home}/`))).toBe(true);
});

it("the log is JSON lines, private, moved aside when it is large; one that cannot be written goes to stderr", () => {
  const path = join(aFolder(), "new", "shim.log");
  const log = fileLog(path, () => 7);
  log("warn", "first", { event: "Stop" });
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({
    level: "warn",
    time: 7,
    pid: process.pid,
    msg: "first",
    event: "Stop",
  });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  writeFileSync(path, "x".repeat(5_000_001));
  log("info", "second");
  expect(readFileSync(path, "utf8")).toContain("second");
  expect(statSync(`${path}.1`).size).toBe(5_000_001);
  const stderr = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  onTestFinished(() => stderr.mockRestore());
  const folder = aFolder();
  mkdirSync(join(folder, "shim.log"));
  fileLog(join(folder, "shim.log"), () => 8)("error", "third");
  expect(stderr).toHaveBeenCalledWith(expect.stringContaining('"msg":"third"'));
});

it("a process takes its folder from the environment; settings that cannot be used are logged, and the defaults hold", () => {
  const home = aFolder();
  const env = { SHIM_HOME: home };
  const logged: unknown[] = [];
  const options = { driver: openBetterSqlite3, busyMs: 100, env, log: (...line: unknown[]) => void logged.push(line) };
  const runtime = systemRuntime(options);
  expect(runtime).toMatchObject({ paths: pathsIn(home), config: defaults });
  expect(runtime.store.path).toBe(join(home, "shim.db"));
  expect(runtime.random(5)).toHaveLength(5);
  expect(logged).toEqual([]);
  writeFileSync(join(home, "config.json"), '{"recovery": "never"}');
  expect(systemRuntime(options).config).toEqual(defaults);
  expect(logged).toMatchObject([
    ["error", "settings ignored", { reason: expect.stringContaining("recovery") as string }],
  ]);
});
