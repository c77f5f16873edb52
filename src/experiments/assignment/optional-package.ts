/** Packages that are installed only where an adapter is configured: none is in a bundle. */
import { codeOf } from "../../shared/error.ts";

export class MissingPackage extends Error {
  readonly code = "missing_package";
}

/** The specifier to import for the name of a package: its file, or the name. */
export type ResolvePackage = (name: string) => string;

/**
 * @throws {MissingPackage} that says what to install
 */
export async function loadPackage(
  name: string,
  what: string,
  resolve: ResolvePackage = (asNamed) => asNamed,
): Promise<unknown> {
  const specifier = resolve(name);
  try {
    // A name that is no literal stays an import at run time in every bundler.
    return await import(specifier);
  } catch (error) {
    if (codeOf(error) !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new MissingPackage(`${what} needs a package that is not installed: npm install ${name}`, { cause: error });
  }
}
