import { writeFileSync } from "node:fs";
import { CannotMeasureError } from "./cannot-measure.ts";
import { printTable, type Row } from "./figures.ts";
import { share } from "./size.ts";

export type Parts = Readonly<Record<string, () => Promise<Row[]>>>;

/**
 * Measures the parts that were named, or all, and prints one table. One that cannot be measured does not keep the others from it.
 *
 * @param file takes the rows of a whole run, as JSON
 * @param suites whose names may stand in place of a part
 * @throws {CannotMeasureError} for a name that no part has
 */
export async function measureParts(
  file: string,
  parts: Parts,
  names: readonly string[],
  suites: readonly string[] = [],
): Promise<void> {
  const unknown = names.filter((name) => !Object.hasOwn(parts, name));
  if (unknown.length > 0)
    throw new CannotMeasureError(
      [
        `There is no part ${unknown.join(", ")}, only ${Object.keys(parts).join(", ")}.`,
        ...(suites.length === 0 ? [] : [`As the first word: ${suites.join(", ")}.`]),
      ].join("\n"),
    );
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(parts)) {
    if (names.length > 0 && !names.includes(name)) continue;
    console.error(`measuring ${name} ...`);
    try {
      rows.push(...(await measure()));
    } catch (error) {
      process.exitCode = 1;
      console.error(`${name} was not measured:`, error instanceof CannotMeasureError ? error.message : error);
    }
  }
  const at = new Date().toISOString();
  console.log(`node ${process.version}, ${process.platform} ${process.arch}, ${at.slice(0, 10)}\n`);
  printTable(rows);
  if (share === 1) writeFileSync(file, `${JSON.stringify({ node: process.version, at, rows }, null, 2)}\n`);
}
