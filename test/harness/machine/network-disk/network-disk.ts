import { join } from "node:path";
import type { TestContext } from "vitest";
import { compiled } from "#harness/machine/programs.ts";

/** For programs whose file systems lack it. Needs Linux and a C compiler: elsewhere the test is skipped with the reason. */
export function lacking(test: TestContext, what: "locks" | "sockets"): NodeJS.ProcessEnv {
  if (process.platform !== "linux") test.skip("a file system is played on Linux only");
  const library = compiled(test, join(import.meta.dirname, "network-disk.c"), "-ldl");
  return { LD_PRELOAD: library, SHIM_LACKS: what };
}
