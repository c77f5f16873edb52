import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

/** A program of the bench, built as SHIM's own are. @returns its path */
export async function builtServer(name: "empty-server" | "empty-hook-server"): Promise<string> {
  const outfile = join(tmpdir(), `${name}.mjs`);
  const entryPoints = [`bench/${name}.ts`];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", target: "node22.16" });
  return outfile;
}
