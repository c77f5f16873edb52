import { isAbsolute, posix, relative, sep } from "node:path";
import { err, ok, type Result } from "../../shared/result.ts";

const mostChars = 400;

/**
 * A path as its lease names it: below the root of the project, with `/`; `dir/*` is all files of a folder, `dir/**` all below it. Pure: nothing
 * is looked up. [TE11]
 *
 * @param given relative to the root, or absolute
 */
export function pathIn(root: string, given: string): Result<string, string> {
  const below = isAbsolute(given) ? relative(root, given) : given;
  const path = posix.normalize(below.split(sep).join("/")).replace(/\/$/, "");
  if (path.startsWith("../") || path === ".." || isAbsolute(path)) return err(`"${given}" is not below ${root}`);
  if (path === "." || path === "") return err(`"${given}" is the whole project; "**" reserves that`);
  if (/[*]/.test(path.replace(/(^|\/)\*\*?$/, ""))) return err(`"${given}": * stands only as the last part of a path`);
  if (/\p{Cc}/u.test(path) || path.length > mostChars) return err(`"${given}" is no path that can be reserved`);
  return ok(path);
}
