import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "#harness/machine/git-project.ts";

it.each([
  ["save recovery redaction start chats deaths events neighbours growth sync elsewhere fork undo", 60],
  ["tasks backlog connected cost", 12],
  ["edge rows metrics capacity growth sockets detection", 35],
  ["effects", 6],
  ["flat", 25],
  ["fleet", 15],
  ["capacity", 40],
  ["conflicts", 10],
] as const)("npm run bench -- %s --smallest prints a figure in each row @night", (words, rows) => {
  const folder = temporaryFolder();
  const env = { ...process.env, TMPDIR: folder, HOME: folder, npm_config_registry: "http://127.0.0.1:9/" };
  const cwd = join(import.meta.dirname, "..", "..");
  const args = ["bench/main.ts", ...words.split(" "), "--smallest"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, env, encoding: "utf8" });
  expect(status, stderr).toBe(0);
  expect(stderr).not.toMatch(/not measured|nothing was measured/);
  const lines = stdout.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| part | "));
  expect(lines.length).toBeGreaterThanOrEqual(rows);
  expect(lines.filter((line) => !/\d/.test(line) || line.includes("NaN"))).toEqual([]);
});
