import { isAbsolute, posix, relative, resolve, sep } from "node:path";
import { err, ok, type Result } from "../../shared/result.ts";
import { realPath } from "./real-path.ts";

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
  const wrong = wrongs.find(({ isSo }) => isSo(path));
  return wrong ? err(`"${given}" ${wrong.why(root)}`) : ok(path);
}

const wrongs: readonly { readonly isSo: (path: string) => boolean; readonly why: (root: string) => string }[] = [
  { isSo: (path) => /^\.\.(\/|$)/.test(path) || isAbsolute(path), why: (root) => `is not below ${root}` },
  { isSo: (path) => path === "." || path === "", why: () => 'is the whole project; "**" reserves that' },
  {
    isSo: (path) => path.replace(/(^|\/)\*\*?$/, "").includes("*"),
    why: () => "has * elsewhere than as its last part",
  },
  { isSo: (path) => /\p{Cc}/u.test(path) || path.length > mostChars, why: () => "cannot be reserved" },
];

/**
 * A path to be reserved, by the name under which the guard finds what is edited: links in it are followed, where they do not lead out of the project.
 * [TE11]
 *
 * @param path as {@link pathIn} gives it
 */
export function followed(root: string, path: string): string {
  const [range = ""] = /(^|\/)\*\*?$/.exec(path) ?? [];
  const real = relative(realPath(root), realPath(resolve(root, path.slice(0, path.length - range.length))));
  const found = pathIn(root, real.split(sep).join("/") + (real === "" ? range.replace("/", "") : range));
  return found.ok ? found.value : path;
}
