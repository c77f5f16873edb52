/** One edit, in longer words one per four letters typed: not "import" for "export". */
export function isClose(typed: string, knownWord: string): boolean {
  return editDistance(typed, knownWord) <= Math.max(1, Math.floor(typed.length / 4));
}

/** Optimal string alignment distance: insertions, deletions, substitutions and transpositions. */
function editDistance(from: string, to: string): number {
  let older: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const changed = from[i - 1] === to[j - 1] ? 0 : 1;
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swapped = isSwap ? cellAt(older, j - 2) + 1 : Infinity;
      row.push(Math.min(cellAt(last, j) + 1, cellAt(row, j - 1) + 1, cellAt(last, j - 1) + changed, swapped));
    }
    [older, last] = [last, row];
  }
  return cellAt(last, to.length);
}

function cellAt(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}

/** Says which settings there are, those below a group first, and which one may be meant. */
export function unknownKeyText(key: string, keys: readonly string[]): string {
  const given = key.slice(0, 60);
  const below = keys.filter((one) => one.startsWith(`${key}.`));
  const lines = (below.length > 0 ? below : keys).map((one) => `  ${one}`).join("\n");
  const close = keys.filter((one) => isClose(given, one) || isClose(given, one.slice(one.lastIndexOf(".") + 1)));
  const hint = close.length === 0 ? "" : ` Did you mean ${close.join(" or ")}?`;
  return `there is no setting "${given}".${hint} There are:\n${lines}`;
}
