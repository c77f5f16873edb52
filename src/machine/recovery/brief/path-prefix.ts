/** Pure: one mark for a folder that many paths of a list begin with. */

export const prefixMark = "…/";
/** Characters that it must save. */
const leastSaved = 80;

/** The folder, with its slash, whose mark saves most; "": none. A path keeps the last folder. */
export function sharedFolder(paths: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const path of paths) {
    const parts = path.split("/");
    for (let depth = 1; depth < parts.length - 1; depth++) {
      const folder = `${parts.slice(0, depth).join("/")}/`;
      if (folder !== "/") counts.set(folder, (counts.get(folder) ?? 0) + 1);
    }
  }
  const [best] = [...counts].toSorted((one, two) => saved(two) - saved(one));
  return best && saved(best) >= leastSaved ? best[0] : "";
}

function saved([folder, count]: readonly [string, number]): number {
  return (count - 1) * (folder.length - prefixMark.length);
}

export function withoutPrefix(path: string, prefix: string): string {
  const rest = path.slice(prefix.length);
  return prefix !== "" && path.startsWith(prefix) && rest.includes("/") ? prefixMark + rest : path;
}
