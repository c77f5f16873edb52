import { createRequire } from "node:module";
import { join } from "node:path";
import { codeOf } from "../shared/error.ts";

export type AstGrep = typeof import("@ast-grep/napi");
export type { SgNode } from "@ast-grep/napi";

const packageName = "@ast-grep/napi";

export const needsParser = `code is changed and judged by its syntax, which needs a package: npm install --save-dev ${packageName}`;

/**
 * Loads the copy beside SHIM, else that of a trusted project.
 *
 * @returns null where neither has it
 */
export async function loadAstGrep(root: string): Promise<AstGrep | null> {
  try {
    // A name that is no literal stays an import at run time in every bundler.
    return (await import(packageName)) as AstGrep;
  } catch (error) {
    if (codeOf(error) !== "ERR_MODULE_NOT_FOUND") throw error;
  }
  try {
    return createRequire(join(root, "package.json"))(packageName) as AstGrep;
  } catch (error) {
    if (codeOf(error) === "MODULE_NOT_FOUND") return null;
    throw error;
  }
}

/** Extensions of files that can be parsed. */
export const sourceExtension = /\.[cm]?[jt]sx?$/;

/** The grammar of TSX also reads JavaScript. */
export function parseSource({ parse, Lang }: AstGrep, file: string, source: string): import("@ast-grep/napi").SgNode {
  return parse(/\.[cm]?ts$/.test(file) ? Lang.TypeScript : Lang.Tsx, source).root();
}
