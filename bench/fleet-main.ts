/** `npm run bench -- fleet`: one workspace split over many objects, in the engine in memory, and what a hop costs. Prints a table and writes bench/results-fleet.json. */
import { fleet } from "./engine/fleet.ts";
import { hop } from "./engine/hop.ts";
import { measureParts } from "./parts.ts";

await measureParts("bench/results-fleet.json", { hop, split: fleet }, process.argv.slice(2));
