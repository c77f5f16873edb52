import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, type TestContext } from "vitest";

export interface DiskOptions {
  /** Files and folders that it takes in all. */
  readonly inodes?: number;
  readonly at?: string;
}

/** A file system of its own with little room. Needs root on Linux: elsewhere the test is skipped with the reason, but never where CI is set. */
export function smallDisk(test: TestContext, megabytes: number, { inodes, at }: DiskOptions = {}): string {
  const folder = at ?? mkdtempSync(join(tmpdir(), "shim-disk-"));
  mkdirSync(folder, { recursive: true });
  const options = [`size=${megabytes}m`, ...(inodes === undefined ? [] : [`nr_inodes=${inodes}`])].join(",");
  mountFor(test, folder, ["-t", "tmpfs", "-o", options, "tmpfs"]);
  return folder;
}

function mountFor(test: TestContext, path: string, args: readonly string[]): void {
  const mounted = spawnSync("mount", [...args, path], { encoding: "utf8" });
  if (mounted.status !== 0) {
    const reason = `nothing can be mounted here: ${mounted.error?.message ?? mounted.stderr}`;
    if (process.env["CI"] || process.getuid?.() === 0) throw new Error(reason);
    test.skip(reason);
  }
  onTestFinished(() => {
    // Lazily: a child that is just being killed may still hold a file.
    spawnSync("umount", ["-l", path]);
    rmSync(path, { recursive: true, force: true });
  });
}

export function remount(path: string, mode: "ro" | "rw", options: readonly string[] = []): void {
  const given = ["remount", mode, ...options].join(",");
  const { status, stderr } = spawnSync("mount", ["-o", given, path], { encoding: "utf8" });
  if (status !== 0) throw new Error(`remount failed: ${stderr}`);
}
