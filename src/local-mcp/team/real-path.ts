import { realpathSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { pathIn } from "./file-paths.ts";

/** Follows links; the path of a file that does not exist yet is resolved by the nearest folder above it. @param path absolute */
export function realPath(path: string): string {
  for (let at = path, rest = ""; ; rest = join(at.slice(dirname(at).length), rest), at = dirname(at)) {
    try {
      return join(realpathSync(at), rest);
    } catch {
      if (dirname(at) === at) return path;
    }
  }
}

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
