/** `npm run bench -- flat`: what an operation costs in a large workspace against a small one. Prints a table and writes bench/results-flat.json. */
import { flat } from "./engine/flat.ts";
import { Parts } from "./parts.ts";

const parts = new Parts();
await parts.run("flat", flat);
parts.report("bench/results-flat.json");
