import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";

/** Resolves a missing file by its nearest folder. @param path absolute */
export function realPath(path: string): string {
  for (let at = path, rest = ""; ; rest = join(at.slice(dirname(at).length), rest), at = dirname(at)) {
    try {
      return join(realpathSync(at), rest);
    } catch {
      if (dirname(at) === at) return path;
    }
  }
}
