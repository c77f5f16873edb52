import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { openTerminal } from "#src/cli/commands/run/supervise/run-supervisor.ts";

it("[SU41] what opens a terminal runs in the chat's folder, in a group of its own, and is not waited for", async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "shim-open-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const script = `require("node:fs").writeFileSync("pid.txt", String(process.pid)); setInterval(() => 0, 1000)`;
  await openTerminal(process.execPath, ["-e", script], folder);
  const path = join(folder, "pid.txt");
  await vi.waitFor(() => expect(existsSync(path) && readFileSync(path, "utf8")).toMatch(/^\d+$/), { timeout: 10_000 });
  // The whole group, so it leads one.
  expect(process.kill(-Number(readFileSync(path, "utf8")), "SIGKILL")).toBe(true);
  await expect(openTerminal("shim-no-such-program", [], folder)).rejects.toMatchObject({ code: "ENOENT" });
});
