import type { Bug } from "../bug.ts";
import { inFrames } from "./focus.ts";
import { swallowed } from "./patches.ts";

/** In the statements for several requests of a frame. */
const planted: readonly Bug[] = [
  {
    name: "list-unsent",
    about: "writes of a list are not sent to watches",
    patch: swallowed(/^INSERT INTO changes .*json_each/, 1),
  },
];

export const inLists = planted.map((bug): Bug => Object.assign({ isInList: true, focus: inFrames }, bug));
