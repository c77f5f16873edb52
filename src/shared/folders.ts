export function folderOf(path: string, depth = Number.POSITIVE_INFINITY): string {
  const names = path.split("/").slice(0, -1).slice(0, depth);
  return names.join("/") || ".";
}
