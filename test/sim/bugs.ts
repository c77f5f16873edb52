import type { Bug } from "./bug.ts";
import { inRestores, inTheClients, inTheHost } from "./bugs/around-the-engine.ts";
import { inLists } from "./bugs/in-lists.ts";
import { inStatements } from "./bugs/in-statements.ts";
import { inTasks } from "./bugs/in-tasks.ts";
import { inTheQueue } from "./bugs/in-the-queue.ts";

const groups = [inStatements, inTheHost, inTheClients, inTasks, inTheQueue, inRestores, inLists];

/** Bugs that are planted to see that they are caught; none of them touches the engine itself. */
export const bugs: readonly Bug[] = groups.flat();

/** Two of each group: that the simulation notices a bug in each part of the machinery. */
export const sampledBugs: readonly Bug[] = groups.flatMap((group) => group.slice(0, 2));

export function bugNamed(name: string): Bug {
  const bug = bugs.find((one) => one.name === name);
  if (!bug) throw new Error(`there is no bug ${name}; there are ${bugs.map((one) => one.name).join(", ")}`);
  return bug;
}
