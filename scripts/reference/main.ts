/**
 * `npm run docs`: writes the pages of docs/reference that are made from the source, for reading in a browser or an
 * editor, and the table of ends into the guide to clients, which is stored.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { endsPage, withEnds } from "./ends.ts";
import { referencePages } from "./pages.ts";

const docs = join(import.meta.dirname, "..", "..", "docs");

for (const [file, text] of Object.entries(await referencePages())) writeFileSync(join(docs, "reference", file), text);
const page = join(docs, endsPage);
writeFileSync(page, withEnds(readFileSync(page, "utf8")));
