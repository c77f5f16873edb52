import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Detection } from "../analysis/adapter.ts";
import { parseObject, textAt } from "../shared/json-fields.ts";

/**
 * [TX5] Finds a package without a program, as tools are found: in `node_modules` of the folder and
 * of those above it, up to the repository's.
 */
export function detectLibrary(from: string, packageName: string, risk: string): Detection {
  for (let folder = from; ; folder = dirname(folder)) {
    const library = join(folder, "node_modules", packageName);
    const manifest = join(library, "package.json");
    if (existsSync(manifest)) {
      const version = textAt(parseObject(readFileSync(manifest, "utf8")), "version");
      return { kind: "ready", tool: { path: realpathSync(library), isScript: true, version }, risk };
    }
    if (existsSync(join(folder, ".git")) || dirname(folder) === folder)
      return { kind: "missing", why: `the codemod is for ${packageName}, which is not installed in node_modules` };
  }
}
