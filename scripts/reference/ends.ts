import { ends, outcomesOf, ways, type Way } from "../../test/harness/clients/ends.ts";
import { aligned, partsOf } from "../page-table.ts";

/** Path of the page, from the folder of docs. */
export const endsPage = "guide/clients.md";

/** The page with the ends of each client, as the tests try them in its terminal. */
export function withEnds(page: string): string {
  const columns = Object.values(ends);
  const rows = (Object.keys(ways) as Way[]).map((way) => {
    const cells = columns.map((column) => outcomesOf(column, way)?.join(" or ") ?? "-");
    return [ways[way] as string].concat(cells);
  });
  const [before, , after] = partsOf(page, "ends", "npm run docs");
  return `${before}\n${aligned([["what happens", ...columns.map(({ title }) => title)], ...rows])}\n\n${after}`;
}
