/** `npm run bench -- fleet`: one workspace split over many objects, in the engine in memory, and what a hop costs. Prints a table and writes bench/results-fleet.json. */
import { fleet } from "./engine/fleet.ts";
import { hop } from "./engine/hop.ts";
import { Parts } from "./parts.ts";

const parts = new Parts();
await parts.run("hop", hop);
await parts.run("split", fleet);
parts.report("bench/results-fleet.json");
