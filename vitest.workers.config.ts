import { readFile } from "node:fs/promises";
import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";
import { testNamePattern } from "./test/night.ts";

/** As wrangler takes it. */
const htmlAsText = {
  name: "html-as-text",
  enforce: "pre",
  load: async (id: string) =>
    id.endsWith(".html") ? `export default ${JSON.stringify(await readFile(id, "utf8"))};` : null,
} as const;

/** Failures that tests cause in an object: workerd reports each, although its test expects it. */
const planned =
  /no such table: (?:outbox|messages)\b|written by a newer program|put back to an earlier time|the disk is gone|a deployment$/m;
for (const stream of [process.stdout, process.stderr]) {
  const write = stream.write.bind(stream);
  stream.write = (chunk: string | Uint8Array, ...rest: never[]) =>
    planned.test(String(chunk)) && /^(?:uncaught exception|Annotating with brokenness);/.test(String(chunk))
      ? true
      : write(chunk, ...rest);
}

const results = process.env["SHIM_TEST_RESULTS"];

/** workerd: the engine in a real Durable Object, and the worker in front of it. */
export default defineConfig({
  plugins: [
    htmlAsText,
    cloudflareTest({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: {
        bindings: {
          SHIM_SIGNING_SECRET: "signs-the-tokens-of-all-the-tests",
          SHIM_ADMIN_SECRET: "makes-workspaces-for-all-the-tests",
          SHIM_PUBLIC_URL: "https://shim.example",
        },
        kvNamespaces: ["OAUTH_KV"],
      },
    }),
  ],
  test: {
    name: "workers",
    // The other projects have Node import TypeScript itself; workerd cannot.
    experimental: { viteModuleRunner: true },
    setupFiles: ["test/workers/check-copies.ts"],
    include: ["test/workers/**/*.test.ts"],
    exclude: (testNamePattern?.test("@night") ?? true) ? [] : ["test/workers/rules-object.test.ts"],
    testNamePattern,
    reporters: results ? ["default", ["json", { outputFile: `${results}/test-workers.json` }]] : ["default"],
    pool: "forks",
    maxWorkers: 2,
    // A runtime of each file's own would load the engine again; each test has a workspace of its own.
    isolate: false,
    restoreMocks: true,
    testTimeout: 240_000,
    hookTimeout: 240_000,
    coverage: {
      // V8 has no inspector in workerd.
      provider: "istanbul",
      include: ["src/worker/**/*.ts", "src/durable/**/*.ts"],
      reportsDirectory: "coverage/workers",
      reporter: ["text-summary", "json-summary", "html"],
      thresholds: { lines: 97 },
    },
  },
});
