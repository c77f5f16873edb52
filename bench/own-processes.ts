import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Socket } from "node:net";

const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
const parentCheckMs = 500;

/**
 * Waits for the end of its stdin, and so of the bench, also by kill -9. Then kills each process that has the first folder in its
 * environment, until there is none, and removes both folders. Each try takes some milliseconds.
 */
const guard = `cat >/dev/null
tries=0
while [ $tries -lt 200 ]; do
  pids=$(grep -lsF -- "$1" /proc/[0-9]*/environ | cut -d/ -f3)
  [ -n "$pids" ] || break
  kill -9 $pids 2>/dev/null
  tries=$((tries + 1))
done
rm -rf -- "$1" "$2"`;

/**
 * Gives the bench a home, and a folder for all that it writes and starts. Every process below this one names that folder in its
 * environment, by which it is found when this process has ended, in whatever way. Linux, as much else in the bench.
 */
export function ownProcesses(): void {
  const folder = mkdtempSync(join(tmpdir(), "shim-bench-"));
  // Durability is measured on a disk, which the folder of temporary files need not be.
  const disk = join(process.cwd(), ".scratch", basename(folder));
  const home = join(folder, "home");
  for (const each of [disk, home]) mkdirSync(each, { recursive: true });
  const sh = spawn("/bin/sh", ["-c", guard, "sh", folder, disk], {
    cwd: "/",
    // Not one of those that it ends.
    env: { PATH: process.env["PATH"] },
    // In a session of its own, so that neither Ctrl-C nor a kill of the group ends it. The reader of the bench's errors waits for it.
    detached: true,
    stdio: ["pipe", "ignore", "inherit"],
  });
  sh.unref();
  (sh.stdin as Socket).unref();
  // npm's cache stays where it is.
  process.env["npm_config_cache"] ??= join(process.env["HOME"] ?? "", ".npm");
  Object.assign(process.env, { TMPDIR: folder, SHIM_BENCH_DISK: disk, HOME: home, SHIM_HOME: join(home, "shim") });
  for (const [signal, number] of Object.entries(signals)) process.once(signal, () => process.exit(128 + number));
  endWithNpm();
}

/** A signal to npm ends npm and its shell, and reaches nothing below them. */
function endWithNpm(): void {
  if (process.env["npm_lifecycle_event"] !== "bench") return;
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(128 + signals.SIGHUP);
  }, parentCheckMs).unref();
}

/** A new folder on a disk. */
export function folderOnDisk(name: string): string {
  const parent = process.env["SHIM_BENCH_DISK"] ?? join(process.cwd(), ".scratch");
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, `${name}-`));
}
