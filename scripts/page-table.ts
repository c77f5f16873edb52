/** Tables that a command writes into a page that is written by hand. */

/** As the formatter of this repository aligns it. @param rows the first is the head */
export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(3, ...rows.map((cells) => cells[at]?.length ?? 0)));
  const lines = rows.map((cells) => `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`);
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

/**
 * The lines of a page before, between and behind two markers.
 *
 * @param by the command, as the first marker names it
 * @throws {Error} for a page without the markers
 */
export function partsOf(
  page: string,
  name: string,
  by: string,
): readonly [before: string, between: string, after: string] {
  const [begin, end] = [`<!-- ${name}: written by \`${by}\` -->\n`, `<!-- /${name} -->`];
  const [before, rest] = page.split(begin);
  const [between, after] = rest?.split(end) ?? [];
  if (before === undefined || between === undefined || after === undefined)
    throw new Error(`The page has not the two markers of its table of ${name}.`);
  return [before + begin, between, end + after];
}
