import { join } from "node:path";
import { build } from "esbuild";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "..", "..", "..", "..");

it("a hook process loads no part of the full schema library, which takes longer to start than most hooks to run", async () => {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ["src/local-mcp/hooks/hook-entry.ts"],
    bundle: true,
    platform: "node",
    write: false,
    metafile: true,
    external: ["better-sqlite3"],
    outfile: "hook.cjs",
  });
  const paths = Object.keys(metafile.inputs);
  expect(paths).toContain("src/local-mcp/hooks/hook-entry.ts");
  const loaded = Object.entries(Object.values(metafile.outputs)[0]?.inputs ?? {}).filter(
    ([, one]) => one.bytesInOutput > 0,
  );
  expect(loaded.map(([path]) => path).filter((path) => path.includes("zod/v4/classic"))).toEqual([]);
});
