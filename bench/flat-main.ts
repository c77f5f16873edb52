/** `npm run bench -- flat`: what an operation costs in a large workspace against a small one. Prints a table and writes bench/results-flat.json. */
import { flat, flatCorners } from "./engine/flat.ts";
import { measureParts } from "./parts.ts";

await measureParts("bench/results-flat.json", { daily: flat, corners: flatCorners }, process.argv.slice(2));
