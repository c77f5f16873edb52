import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, type TestContext } from "vitest";

/** The wall clock of programs that are started with `env`. Their monotonic clock stays as it is. */
export interface SettableClock {
  readonly env: NodeJS.ProcessEnv;
  /** Sets it to so many ms ahead of the true time; below 0: behind it. */
  set(aheadMs: number): void;
}

/** Needs Linux and a C compiler: elsewhere the test is skipped with the reason. */
export function settableClock(test: TestContext): SettableClock {
  if (process.platform !== "linux") test.skip("the clock of one process is set on Linux only");
  const folder = mkdtempSync(join(tmpdir(), "shim-clock-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [library, file] = [join(folder, "clock.so"), join(folder, "ahead")];
  const source = join(import.meta.dirname, "clock.c");
  const compiled = spawnSync("cc", ["-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"], {
    encoding: "utf8",
  });
  if (compiled.error) test.skip(`no C compiler here: ${compiled.error.message}`);
  if (compiled.status !== 0) throw new Error(`clock.c: ${compiled.stderr}`);
  const set = (aheadMs: number): void => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(aheadMs) * 1_000_000n);
    // In place: the processes have mapped it.
    writeFileSync(file, bytes, { flag: "r+" });
  };
  writeFileSync(file, Buffer.alloc(8));
  return { env: { LD_PRELOAD: library, SHIM_CLOCK: file }, set };
}
