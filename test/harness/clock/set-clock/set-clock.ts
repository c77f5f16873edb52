import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "vitest";
import { compiled } from "#harness/machine/programs.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

/**
 * The wall clock of programs that are started with `env`; their monotonic clock stays as it is. `set` sets it to so many ms ahead of the
 * true time, or behind it. Needs Linux and a C compiler: elsewhere the test is skipped with the reason.
 */
export function settableClock(test: TestContext) {
  if (process.platform !== "linux") test.skip("the clock of one process is set on Linux only");
  const library = compiled(test, join(import.meta.dirname, "clock.c"), "-ldl");
  const file = join(temporaryFolder(), "ahead");
  const set = (aheadMs: number): void => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(aheadMs) * 1_000_000n);
    // In place: the processes have mapped it.
    writeFileSync(file, bytes, { flag: "r+" });
  };
  writeFileSync(file, Buffer.alloc(8));
  return { env: { LD_PRELOAD: library, SHIM_CLOCK: file }, set };
}
