import type { Bug } from "../bug.ts";
import { inFrames } from "./focus.ts";
import { patched, reworded, swallowed } from "./patches.ts";

/** In the statements by which requests of a frame are run as a set. */
const planted: readonly Bug[] = [
  {
    name: "set-grants-what-overlaps",
    about: "a set does not see what is held or awaited around its resources",
    patch: patched(/^SELECT EXISTS \(SELECT 1 FROM json_each/, () => ({ all: () => [{ is_any: 0 }] })),
  },
  {
    name: "set-renews-nothing",
    about: "renewals of a set are answered and not stored",
    patch: swallowed(/^UPDATE leases SET ttlMs = \?, expiresAt = max/, 1),
  },
  {
    name: "set-keeps-released",
    about: "what a set releases stays held",
    patch: swallowed(/^DELETE FROM leases WHERE resource IN/, 1),
  },
  {
    name: "set-unaudited",
    about: "grants of a set are not in the audit log",
    patch: swallowed(/^INSERT INTO audit .*json_each/, 1),
  },
  {
    name: "set-untold",
    about: "writes of a set are not told to watches",
    patch: swallowed(/^INSERT INTO changes .*json_each/, 1),
  },
  {
    name: "set-keeps-deleted",
    about: "what a set deletes stays",
    patch: swallowed(/^DELETE FROM state WHERE key IN/, 1),
  },
  {
    name: "set-result-dropped",
    about: "results of a set are not stored",
    patch: reworded("result = given.value ->> 1", "result = NULL"),
  },
  {
    name: "set-extends-nothing",
    about: "a set leaves the time of its tasks as it was",
    patch: swallowed(/^UPDATE tasks SET closeAt = given/, 1),
  },
];

export const inSets = planted.map((bug): Bug => Object.assign({ isInSet: true, focus: inFrames }, bug));
