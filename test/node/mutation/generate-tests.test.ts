import { expect, it } from "vitest";
import { mutantsOf, nodeTool } from "#harness/mutation/fake-tests.ts";
import { generateRequest, realDeps, runTests } from "#harness/mutation/real-tests.ts";
import { projectFolder } from "#harness/mutation/tiny-project.ts";
import { generateTests, type GeneratedTests } from "#src/mutation/generate/generate-tests.ts";
import type { TestOutcome } from "#src/mutation/run-tests.ts";

const test = 'import { test } from "node:test";\nimport "../src/a.mjs";\ntest("loads", () => {});\n';

async function generated(source: string): Promise<GeneratedTests> {
  const files = { "package.json": "{}", "src/a.mjs": source, "test/a.test.mjs": test };
  const survivors = mutantsOf("src/a.mjs", source);
  return generateTests(realDeps, generateRequest(projectFolder(files), "src/a.mjs", survivors));
}

it("[MU24] [MU28] results of a function become tests; one without an end and one with state do not @night", async () => {
  const { verdict, recorded } = await generated(`
    export const f = (a = false) => !a;
    export const endless = (b = true) => { while (b) b = b; return b; };
    let n = 0;
    export const next = (by = 1) => { n += by; return n; };`);
  expect(recorded).toBe(3);
  expect(verdict.kept?.text).toContain("assert.deepEqual(subject.f(), true);");
  expect(verdict.kept?.text).not.toMatch(/endless|next/);
});

it("[MU28] a module that cannot be loaded, and one without a function to call, give the reason @night", async () => {
  const broken = await generated('throw new Error("no database");\nexport const f = (a = false) => !a;');
  expect(broken.verdict).toMatchObject({ kept: null, reason: /the module cannot be called: .*no database/s });
  const empty = await generated("export const a = 1 < 2;");
  expect(empty).toEqual({
    verdict: { kept: null, reason: "no exported function can be called with what is known of its parameters" },
    recorded: 0,
    skipped: [],
  });
});

it("[MU10] a test command passes, fails, takes too long, is stopped or does not start; secrets stay here @night", async () => {
  const folder = projectFolder({ "package.json": "{}" });
  const stop = new AbortController();
  const run = (script: string, limitMs = 60_000): Promise<TestOutcome> =>
    runTests({ tool: nodeTool, args: ["-e", script] }, { folder, limitMs, signal: stop.signal });
  expect(await run('console.log(process.env.CI, process.env.SHIM_EDGE_TOKEN, "yes")')).toMatchObject({
    kind: "passed",
    output: "1 undefined yes\n",
  });
  expect(await run('console.error("why"); process.exit(3)')).toMatchObject({ kind: "failed", output: "why\n" });
  expect(await run("for (;;);", 300)).toMatchObject({ kind: "timeout" });
  const missing = { tool: { ...nodeTool, path: "/nonexistent/tool" }, args: [] };
  const options = { folder: "/nonexistent", limitMs: 9_000, signal: stop.signal };
  expect(await runTests(missing, options)).toMatchObject({ kind: "not_started" });
  const running = run("for (;;);");
  stop.abort();
  expect(await running).toMatchObject({ kind: "stopped" });
});
