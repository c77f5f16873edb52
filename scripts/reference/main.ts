/** `npm run docs`: writes the pages of docs/reference that are made from the source, for reading in a browser or an editor. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { referencePages } from "./pages.ts";

const folder = join(import.meta.dirname, "..", "..", "docs", "reference");

for (const [file, text] of Object.entries(await referencePages())) writeFileSync(join(folder, file), text);
