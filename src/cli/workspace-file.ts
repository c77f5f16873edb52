import { createHash, type Hash } from "node:crypto";
import { appendFileSync, existsSync, statSync, truncateSync } from "node:fs";
import * as z from "zod";
import { operations, type OutputOf } from "../contract/operations.ts";
import { readFileLines } from "../platform/line-file.ts";
import { parseJson } from "../shared/json-fields.ts";
import { err, ok } from "../shared/result.ts";
import type { CliResult } from "./answer.ts";

/**
 * An exported workspace as JSON lines: one with the freeze, one for each page, one with the number
 * of rows of each table and the SHA-256 of the lines before it.
 */

const Header = z.object({ shim: z.literal("workspace"), format: z.literal(1), freeze: z.int(), at: z.string() });
const Page = operations["workspace.export"].output;
const End = z.object({ end: z.object({ counts: z.record(z.string(), z.int()), sha256: z.string() }) });

export type ExportHeader = z.infer<typeof Header>;
export type ExportPage = OutputOf<"workspace.export">;
export type ExportEnd = z.infer<typeof End>["end"];

/** Sum of the lines of a file, in their order. */
export class ExportSum {
  readonly #hash: Hash = createHash("sha256");
  readonly counts: Record<string, number> = {};
  pages = 0;
  bytes = 0;

  add(line: string): void {
    this.#hash.update(`${line}\n`);
    this.bytes += Buffer.byteLength(line) + 1;
  }

  addPage({ page: { table, rows } }: ExportPage): void {
    this.counts[table] = (this.counts[table] ?? 0) + rows.length;
    this.pages += 1;
  }

  end(): ExportEnd {
    return { counts: this.counts, sha256: this.#hash.copy().digest("hex") };
  }

  get rows(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }
}

/** Follows the lines of a file. */
class Reading {
  readonly sum = new ExportSum();
  header: ExportHeader | null = null;
  last: ExportPage | null = null;
  end: ExportEnd | null = null;

  /** @returns false: the line is cut, or not of an export */
  take(text: string): boolean {
    const value = parseJson(text);
    if (this.header === null) this.header = Header.safeParse(value).data ?? null;
    else if ((this.end = End.safeParse(value).data?.end ?? null)) return true;
    else {
      const page = Page.safeParse(value).data;
      if (!page) return false;
      this.last = page;
      this.sum.addPage(page);
    }
    if (this.header !== null) this.sum.add(text);
    return this.header !== null;
  }
}

export interface UnfinishedExport {
  readonly header: ExportHeader;
  readonly sum: ExportSum;
  readonly last: ExportPage | null;
}

/** Cuts off what follows the last whole page. @returns null: nothing can be continued */
export function readUnfinished(path: string): UnfinishedExport | null {
  if (!existsSync(path)) return null;
  const reading = new Reading();
  for (const line of readFileLines(path)) if (!reading.take(line) || reading.end) break;
  const { header, sum, last } = reading;
  if (header === null) return null;
  // A page that was cut at its line feed is whole.
  if (sum.bytes > statSync(path).size) appendFileSync(path, "\n");
  truncateSync(path, sum.bytes);
  return { header, sum, last };
}

export interface WholeExport {
  readonly header: ExportHeader;
  readonly end: ExportEnd;
  readonly rows: number;
}

/** Checks every line of a file before any is used. */
export function checkExport(path: string): CliResult<WholeExport> {
  if (!existsSync(path)) return err({ code: "not_found", message: `there is no file ${path}` });
  const reading = new Reading();
  let number = 0;
  for (const line of readFileLines(path)) {
    number += 1;
    const isKnown = reading.take(line);
    const { header, end, sum } = reading;
    if (header === null) return damaged(path, "its first line is not that of an exported workspace");
    const isCut = !isKnown && parseJson(line) === undefined;
    if (!isKnown) return damaged(path, `line ${number} is ${isCut ? "cut" : "no page of an export"}`);
    if (!end) continue;
    const own = sum.end();
    if (end.sha256 === own.sha256) return ok({ header, end: own, rows: sum.rows });
    return damaged(path, "its lines are not those that were written (SHA-256 differs)");
  }
  return damaged(path, `it ends after line ${number}, without the line that ends an export`);
}

/** The pages of a file that was checked. */
export function* pagesOf(path: string): Generator<ExportPage> {
  for (const line of readFileLines(path)) {
    const page = Page.safeParse(parseJson(line)).data;
    if (page) yield page;
  }
}

function damaged(path: string, why: string): CliResult<never> {
  const message = `${path} is not a whole export: ${why}. Nothing was imported; export the workspace again`;
  return err({ code: "bad_input", message });
}
