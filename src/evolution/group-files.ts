import type { Finding } from "../analysis/finding.ts";

/**
 * Pure. Groups files of which one change needs the other: a finding appears in one file since the
 * lines that used its symbol were removed from another.
 *
 * @returns the name of a file's group, which is one of its files
 */
export function groupFiles(
  diff: string,
  appeared: readonly Pick<Finding, "file" | "symbol" | "message">[],
  prefix: string,
): (file: string) => string {
  const removed = diff
    .split(/^(?=diff --git )/m)
    .filter((part) => part.startsWith("diff --git "))
    .map((part) => ({
      file: (/^--- "?a\/(.+?)"?$/m.exec(part)?.[1] ?? "").slice(prefix === "" ? 0 : prefix.length + 1),
      words: new Set(part.match(/^-(?!-- ).*$/gm)?.flatMap((line) => line.match(/[\w$]+/g) ?? [])),
    }));
  const parents = new Map<string, string>();
  const root = (file: string): string => {
    const parent = parents.get(file);
    return parent === undefined ? file : root(parent);
  };
  for (const { file, symbol, message } of appeared) {
    const name = symbol ?? /['"`]([\w$]+)['"`]/.exec(message)?.[1] ?? "";
    for (const one of removed) {
      const [from, to] = [root(one.file), root(file)];
      if (from !== to && one.words.has(name)) parents.set(from, to);
    }
  }
  return root;
}
