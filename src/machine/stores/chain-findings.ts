import { createHash } from "node:crypto";
import { titleOf } from "../../clients/adapters.ts";
import { TranscriptBytes } from "../../clients/transcript/transcript-file.ts";
import type { StoreFinding } from "../../contract/machine/stores.ts";
import { pluralize } from "../../shared/format.ts";
import { textAt } from "../../shared/json-fields.ts";
import type { TranscriptFacts } from "../rescue/session-facts.ts";
import { positionText, type Found } from "./position-text.ts";

interface Twin extends Found {
  readonly id: string;
  readonly digest: string;
}

/**
 * Rows with the id of another one, and rows whose parents lead back to them. Only where there are
 * such is the file read again, for their positions and texts.
 *
 * @throws a system error for a file that cannot be read
 */
export async function chainFindings(
  client: string,
  path: string,
  { twins, loops }: Pick<TranscriptFacts, "twins" | "loops">,
): Promise<StoreFinding[]> {
  if (twins.size === 0 && loops.length === 0) return [];
  const found: Twin[] = [];
  const rowsOfLoops = new Map(loops.map(({ line, rows }) => [line, rows]));
  const findings: StoreFinding[] = [];
  for await (const some of TranscriptBytes.open(path).rows())
    for (const { row, text, position, bytes, line } of some) {
      const id = textAt(row, "uuid");
      if (id === null) continue;
      if (twins.has(id)) {
        const digest = createHash("sha256").update(text).digest("base64");
        found.push({ id, position, bytes, line, digest });
      }
      const rows = rowsOfLoops.get(line);
      if (rows !== undefined) findings.push(loopFinding({ position, bytes, line }, rows));
      rowsOfLoops.delete(line);
    }
  return [...findings, ...twinFindings(titleOf(client), [...Map.groupBy(found, ({ id }) => id).values()])];
}

function twinFindings(title: string, all: readonly (readonly Twin[])[]): StoreFinding[] {
  let doubled = 0;
  const others = all.flatMap((twins) => {
    const read = twins.at(-1);
    const unread = twins.filter(({ digest }) => digest !== read?.digest);
    doubled += twins.length - unread.length - 1;
    return unread.map((one) => {
      const text = `a row has the id of another one, and other content: ${positionText(one)}; ${title} reads the one in line ${read?.line}`;
      return { state: "damaged" as const, text, position: one.position };
    });
  });
  if (doubled === 0) return others;
  const stand = doubled === 1 ? "stands" : "stand";
  return [...others, { state: "whole", text: `${pluralize(doubled, "row")} ${stand} twice, which changes nothing` }];
}

function loopFinding(found: Found, rows: number): StoreFinding {
  const which = rows === 1 ? "a row names itself as the one before it" : `${rows} rows name each other in a loop`;
  const text = `${which}: ${positionText(found)}; what stands before is not reached through it`;
  return { state: "damaged", text, position: found.position };
}
