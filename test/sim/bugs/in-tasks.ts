import type { Bug } from "../bug.ts";
import { works } from "./focus.ts";
import { emptied, misread, patched, reworded, swallowed } from "./patches.ts";

/** In the statements about tasks. */
const planted: readonly Bug[] = [
  {
    name: "claim-not-raised",
    about: "a second attempt has the number of the first",
    patch: reworded("claim = max(claim, ?) + 1", "claim = max(1, 0 * ?)"),
  },
  { name: "stale-claim-accepted", about: "any claim is taken for the present one", host: { takesAnyClaim: true } },
  {
    name: "attempts-not-counted",
    about: "a failure is not counted",
    patch: patched(/^UPDATE tasks SET state = \?, reason = \?, detail = \?, failures/, () => ({
      run: (next, values) => next(...values.with(3, 0)),
    })),
  },
  {
    name: "silence-forgiven",
    about: "after a heartbeat nobody looks for the next one",
    patch: reworded("min(closeAt, seenAt + heartbeatMs)", "min(closeAt, seenAt + 86400000)"),
  },
  {
    name: "silence-punished-early",
    about: "a heartbeat counts from 2 s before it",
    patch: patched(/^UPDATE tasks SET seenAt = \?, progress/, () => ({
      run: (next, [at = 0, ...rest]) => next(Number(at) - 2_000, ...rest),
    })),
  },
  {
    name: "children-start-early",
    about: "a task goes on when the first of those that it depends on has ended",
    patch: patched(/^SELECT task, state FROM tasks WHERE task IN/, () => ({
      all: (next, values) => next(...values).slice(0, -1),
    })),
  },
  {
    name: "children-forgotten",
    about: "nobody looks at those that depended on what has ended",
    patch: emptied(/^SELECT DISTINCT task FROM task_dependents/),
  },
  {
    name: "priority-inverted",
    about: "what was submitted first goes first, whatever its priority",
    patch: reworded("ORDER BY priority DESC, task LIMIT ?", "ORDER BY task LIMIT ?"),
  },
  {
    name: "capacity-ignored",
    about: "a chat that is full gets one more",
    patch: misread(/^SELECT .+ FROM chats WHERE chat = \?/, "capacity", 1),
  },
  {
    name: "task-dropped",
    about: "one accepted task in thirty is not stored",
    patch: patched(/^INSERT INTO (tasks|task_texts) /, () => ({
      run: (next, values) => (Number(values[0]) % 30 === 0 ? 1 : next(...values)),
    })),
  },
  { name: "key-forgotten", within: 60_000, about: "no key is kept", patch: swallowed(/^INSERT INTO task_dedupe/, 1) },
  {
    name: "cancelled-runs-again",
    within: 60_000,
    focus: { ...works, acts: { ...works.acts, cancel: 6 } },
    about: "a cancellation of what runs is not kept",
    patch: swallowed(/^UPDATE tasks SET cancelReason/, 1),
  },
  {
    name: "number-reused",
    within: 100_000,
    about: "the number of the newest task is forgotten with it",
    patch: swallowed(/^INSERT INTO meta/, 1, (values) => values.includes("task_floor")),
  },
  { name: "use-forgotten", about: "usage of an attempt is not kept", patch: swallowed(/^INSERT INTO task_usage/, 1) },
  {
    name: "begun-moved",
    about: "a task that somebody has begun goes to a chat with less to do",
    patch: reworded("IS NOT NULL AND state = 'assigned'", "IS NOT NULL AND state IN ('assigned', 'running')"),
  },
];

export const inTasks = planted.map((bug): Bug => Object.assign({ focus: works }, bug));
