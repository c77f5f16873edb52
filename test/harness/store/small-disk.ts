import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, type TestContext } from "vitest";

/** A file system of its own with little room. Needs root on Linux: elsewhere the test is skipped with the reason, but never where CI is set. */
export function smallDisk(test: TestContext, mb: number, at = mkdtempSync(join(tmpdir(), "shim-disk-"))): string {
  mkdirSync(at, { recursive: true });
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${mb}m`, "tmpfs", at], { encoding: "utf8" });
  if (mounted.status !== 0) {
    const reason = `nothing can be mounted here: ${mounted.error?.message ?? mounted.stderr}`;
    if (process.env["CI"] || process.getuid?.() === 0) throw new Error(reason);
    test.skip(reason);
  }
  onTestFinished(() => {
    // Lazily: a child that is just being killed may still hold a file.
    spawnSync("umount", ["-l", at]);
    rmSync(at, { recursive: true, force: true });
  });
  return at;
}

export function remount(path: string, mode: "ro" | "rw"): void {
  const { status, stderr } = spawnSync("mount", ["-o", `remount,${mode}`, path], { encoding: "utf8" });
  if (status !== 0) throw new Error(`remount failed: ${stderr}`);
}
