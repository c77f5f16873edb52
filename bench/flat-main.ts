/** `npm run bench -- flat`: what an operation costs in a large workspace against a small one. Prints a table and writes bench/results-flat.json. */
import { flat, flatCorners } from "./engine/flat.ts";
import { Parts } from "./parts.ts";

const parts = new Parts();
await parts.run("daily", flat);
await parts.run("corners", flatCorners);
parts.report("bench/results-flat.json");
