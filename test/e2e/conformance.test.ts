import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import * as z from "zod";
import { machineTools } from "#src/contract/tools.ts";
import { conformanceHost } from "../conformance/conformance-host.ts";
import { outputOf } from "#harness/machine/programs.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const suite = dirname(createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/package.json"));

/** Passed checks of what counts; the suite is pinned, so that a check that no longer runs is noticed. */
const passes = { "2025-11-25": 70, "2026-07-28": 120 };

it.each(Object.entries(passes))("the official suite for %s: every scenario that counts", async (revision, passed) => {
  const runtime = tempRuntime();
  const host = await conformanceHost(runtime);
  onTestFinished(() => host.close());
  const args = [join(suite, "dist", "index.js"), "server", "--url", host.url, "--requirements", revision];
  const { code, out, err } = await outputOf(spawn(process.execPath, args, { cwd: dirname(runtime.paths.home) }));
  const output = out + err;
  const results = resultsIn(output);
  const scored = requiredBy(revision).map((name) => [name, results.get(name)] as const);
  const failing = scored.filter(([, result]) => result === undefined || result.failed > 0 || result.passed === 0);
  expect(failing, output).toEqual([]);
  expect(scored.reduce((sum, [, result]) => sum + (result?.passed ?? 0), 0)).toBe(passed);
  expect(code, output).toBe(0);
});

it("the suite tests SHIM's own tools, with its fixtures beside them", async () => {
  const host = await conformanceHost(tempRuntime());
  onTestFinished(() => host.close());
  for (const mode of ["legacy", "auto"] as const) {
    const client = new Client({ name: "looker", version: "1" }, { versionNegotiation: { mode } });
    await client.connect(new StreamableHTTPClientTransport(new URL(host.url)));
    const own = (await client.listTools()).tools.filter(({ name }) => !name.startsWith("test_"));
    expect(own.map(({ name }) => name)).toEqual(Object.keys(machineTools));
    const { structuredContent } = await client.callTool({ name: "shim_session_status", arguments: {} });
    expect(structuredContent).toMatchObject({ session: expect.stringMatching(/^ses_/) });
    await client.close();
  }
});

/** Of lines such as "✓ tools-list: 2 passed, 0 failed". */
function resultsIn(output: string): Map<string, { passed: number; failed: number }> {
  const lines = output.matchAll(/^[✓✗] ([\w-]+): (\d+) passed, (\d+) failed/gm);
  return new Map(
    [...lines].map(([, name = "", passed, failed]) => [name, { passed: Number(passed), failed: Number(failed) }]),
  );
}

/** The suite's own list; what else it runs (extensions, what came later) it reports without counting it. */
function requiredBy(revision: string): string[] {
  const text = readFileSync(join(suite, "requirements", `${revision}.yaml`), "utf8");
  return z.object({ server: z.array(z.string()) }).parse(parse(text)).server;
}
