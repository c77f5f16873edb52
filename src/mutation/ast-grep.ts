import { createRequire } from "node:module";
import { join } from "node:path";
import { codeOf } from "../shared/error.ts";

export type AstGrep = typeof import("@ast-grep/napi");
export type { SgNode } from "@ast-grep/napi";

const defaultName = "@ast-grep/napi";

export class MissingAstGrep extends Error {
  readonly code = "missing_package";
}

/**
 * [MU1] Loads the copy beside SHIM, else that of a trusted project.
 *
 * @throws {Error} with the code `missing_package` where neither has it
 */
export async function loadAstGrep(root: string, packageName: string = defaultName): Promise<AstGrep> {
  try {
    // A name that is no literal stays an import at run time in every bundler.
    return (await import(packageName)) as AstGrep;
  } catch (error) {
    if (codeOf(error) !== "ERR_MODULE_NOT_FOUND") throw error;
  }
  try {
    return createRequire(join(root, "package.json"))(packageName) as AstGrep;
  } catch (error) {
    if (codeOf(error) !== "MODULE_NOT_FOUND") throw error;
    const message = `mutants need a package that is not installed: npm install --save-dev ${packageName}`;
    throw new MissingAstGrep(message, { cause: error });
  }
}

/** @returns null where neither has it */
export async function findAstGrep(root: string): Promise<AstGrep | null> {
  try {
    return await loadAstGrep(root);
  } catch (error) {
    if (error instanceof MissingAstGrep) return null;
    throw error;
  }
}

/** Extensions of files that can be mutated and parsed. */
export const sourceExtension = /\.[cm]?[jt]sx?$/;

/** The grammar of TSX also reads JavaScript. */
export function parseSource({ parse, Lang }: AstGrep, file: string, source: string): import("@ast-grep/napi").SgNode {
  return parse(/\.[cm]?ts$/.test(file) ? Lang.TypeScript : Lang.Tsx, source).root();
}
