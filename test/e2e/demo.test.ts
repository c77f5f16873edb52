import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import type { DemoResult } from "../../demo/chat-demo.ts";
import { built, envOf, oldNode } from "#harness/machine/mcp-process.ts";
import { tempHome } from "#harness/store/temp-store.ts";

const nodes = { "this Node": process.execPath, "an old Node": oldNode() };

for (const [name, node] of Object.entries(nodes)) {
  it(`[DE1] [DE2] [DE3] the built demo, started by ${name}: all comes back, in under 15 s, and nothing is left`, (test) => {
    if (node === null) return test.skip("there is no Node older than 22 on the PATH");
    const paths = tempHome();
    const scratch = join(dirname(paths.home), "scratch");
    mkdirSync(scratch);
    const startedAt = performance.now();
    const env = envOf(paths, { TMPDIR: scratch });
    const { status, stdout } = spawnSync(node, [built.launcher, "demo", "--json"], { env, encoding: "utf8" });
    const result = JSON.parse(stdout) as DemoResult;
    expect(result.checks.filter(({ isBack }) => !isBack)).toEqual([]);
    expect([status, result.isComplete]).toEqual([0, true]);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    expect(readdirSync(dirname(paths.home))).toEqual(["scratch"]);
    // The Node of the pinned version keeps what it has compiled there; that is no file of the demo.
    expect(readdirSync(scratch).filter((entry) => entry.startsWith("shim-"))).toEqual([]);
  });
}
