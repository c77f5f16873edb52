// `npm run bundle`: SHIM as an extension of Claude Desktop, .scratch/shim.mcpb, which needs nothing that is not in it.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { packExtension } from "@anthropic-ai/mcpb";
import { build, type Metafile } from "esbuild";
import { promptOfExtension } from "../src/local-mcp/mcp/server.ts";
import { teamTools, machineTools } from "../src/contract/tools.ts";
import { newestSource, licensesOf, processModule } from "./programs.ts";

const root = join(import.meta.dirname, "..");
const source = join(root, "desktop");

const { version, license } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<string, string>;
const scratch = process.argv[2] ?? join(root, ".scratch");
const folder = join(scratch, "bundle");
const packed = join(scratch, "shim.mcpb");

rmSync(folder, { recursive: true, force: true });
rmSync(packed, { force: true });
mkdirSync(join(folder, "server"), { recursive: true });
for (const name of ["icon.png", "PRIVACY.md"]) cpSync(join(source, name), join(folder, name));
cpSync(join(source, "index.cjs"), join(folder, "server", "index.cjs"));
writeFileSync(join(folder, "manifest.json"), `${JSON.stringify(manifest(), null, 2)}\n`);

const { metafile } = await build({
  entryPoints: { mcp: join(root, "src/local-mcp/host/desktop-entry.ts") },
  outdir: join(folder, "server"),
  outExtension: { ".js": ".cjs" },
  bundle: true,
  platform: "node",
  // jsonc-parser's "main" is UMD, which no bundler can follow.
  mainFields: ["module", "main"],
  format: "cjs",
  target: "node22.16",
  // Where somebody needs it after all it is found below.
  external: ["better-sqlite3"],
  plugins: [
    {
      name: "own-process",
      setup: (bundler) => {
        bundler.onResolve({ filter: /^(node:)?process$/ }, () => ({ path: "process", namespace: "own" }));
        bundler.onLoad({ filter: /^process$/, namespace: "own" }, () => ({ contents: processModule }));
      },
    },
  ],
  define: {
    shimBuiltAt: String(newestSource(root)),
    // The native helpers of ws are optional.
    "process.env.WS_NO_BUFFER_UTIL": '"1"',
    "process.env.WS_NO_UTF_8_VALIDATE": '"1"',
  },
  minifyWhitespace: true,
  minifySyntax: true,
  metafile: true,
  absWorkingDir: root,
});
const foreign = [...notBundled(metafile), ...nativeFiles()];
if (foreign.length > 0) throw new Error(`The bundle needs what Claude Desktop cannot load: ${foreign.join(", ")}`);
writeFileSync(join(folder, "server", "third-party-licenses.txt"), licensesOf(root, Object.keys(metafile.inputs)));
// It validates the manifest, and says what is wrong.
if (!(await packExtension({ extensionPath: folder, outputPath: packed, silent: true }))) {
  throw new Error("The bundle could not be packed.");
}
console.log(packed);

/** The written one, with what is known elsewhere: Claude Desktop shows the tools before it has started anything. */
function manifest(): Record<string, unknown> {
  const written = JSON.parse(readFileSync(join(source, "manifest.json"), "utf8")) as Record<string, unknown>;
  const listed = Object.entries({ ...machineTools, ...teamTools }).map(([name, { title }]) => ({
    name,
    description: title,
  }));
  return { ...written, version, license, tools: listed, prompts: [promptOfExtension] };
}

/** Modules that would be looked for beside the bundle, where somebody else's may lie. */
function notBundled({ outputs }: Metafile): string[] {
  const imports = Object.values(outputs).flatMap((output) => output.imports);
  return imports.filter(({ path }) => !isBuiltin(path)).map(({ path }) => path);
}

/** Claude Desktop on macOS loads no library that is not signed by Anthropic. */
function nativeFiles(): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) =>
    /\.(node|so|dylib|dll|exe)$/.test(path),
  );
}
