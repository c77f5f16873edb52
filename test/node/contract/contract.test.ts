import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it, onTestFinished, vi } from "vitest";
import * as z from "zod";
import { configSchema, defaults } from "#src/contract/config.ts";
import { Json, jsonText, limitedJson } from "#src/contract/values.ts";
import { OverlapSet } from "#src/contract/resource-paths.ts";
import { parseConfig, readConfig } from "#src/platform/config-file.ts";
import { fileLog } from "#src/platform/log-file.ts";
import { homeFrom, pathsIn } from "#src/platform/paths.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { systemRuntime } from "#src/runtime/system-runtime.ts";
import { meet, resources } from "#harness/coordinator/peers.ts";

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

/** Whether zod passes over a field unread; such a value is refused before any schema sees it. */
function hasProtoField(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.hasOwn(value, "__proto__") || Object.values(value).some(hasProtoField);
}

it("a value is JSON where zod's own schema says so, and is passed on as it is", () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
  });
  fc.assert(
    fc.property(fc.oneof(anything, fc.jsonValue()), (value) => {
      fc.pre(!hasProtoField(value));
      const parsed = Json.safeParse(value);
      expect(parsed.success).toBe(z.json().safeParse(value).success);
      if (parsed.success) expect(parsed.data).toBe(value);
    }),
    { numRuns: 500 },
  );
});

it("the text that a limit has measured is that of the value, also where the value was changed after an earlier check", () => {
  const limited = limitedJson(20);
  const value = { a: [1] };
  for (const next of [2, 3, 4]) {
    expect(limited.safeParse(value).success).toBe(true);
    expect(jsonText(value)).toBe(JSON.stringify(value));
    value.a.push(next);
  }
  value.a.push(5, 6, 7, 8, 9);
  expect(limited.safeParse(value).error?.issues[0]?.message).toBe("at most 20 characters as JSON");
});

it("what is no JSON is refused before its text is measured", () => {
  for (const value of [() => 1, 1n, Symbol("x"), undefined, { a: 1n }, { a: undefined }, Number.NaN, new Date(0)])
    expect(limitedJson(20).safeParse(value).error?.issues).toMatchObject([{ message: "not a JSON value" }]);
});

it("a set of resources overlaps what one of them overlaps", () => {
  const resource = fc.constantFrom(...resources, "x", "file:p");
  fc.assert(
    fc.property(fc.array(resource, { maxLength: 4 }), resource, (some, one) => {
      const set = new OverlapSet();
      for (const other of some) set.add(other);
      expect([some, one, set.overlaps(one)]).toEqual([some, one, some.some((other) => meet(other, one))]);
    }),
    { numRuns: 1_000 },
  );
});
