import type { SqlValue } from "#src/shared/sql.ts";
import type { Bug } from "../bug.ts";
import type { PatchFor } from "../host/recording-sql.ts";
import { works } from "./focus.ts";
import { column, misread, patched, reworded, type Row, swallowed } from "./patches.ts";

/** Who has it is written down, now and then without the state. */
function seenTwice(): PatchFor {
  let count = 0;
  const isMeant = (): boolean => (count += 1) % 10 === 0;
  return patched(/^UPDATE tasks SET state = \?, claim = /, () => ({
    all: (next, values) => next(...(isMeant() ? values.with(0, "queued") : values)),
  }))();
}

/** What is read of a task is changed, where it is meant. */
function misreadTask(change: (row: Row) => Row): () => PatchFor {
  return patched(/^SELECT task, type, .* FROM tasks WHERE task = \?/, () => ({
    all: (next, values) => (next(...values) as Row[]).map((row) => change(row)),
  }));
}

/** The statement that ends the tasks of one acknowledgement, or of several. */
const done = /^UPDATE tasks SET state = \?, reason = \?, detail = \?, doneBy/;

/** Of what is done the result is stored, but for one in twenty. */
function resultLost(): PatchFor {
  let count = 0;
  return patched(done, (query) => ({
    run: (next, values) =>
      next(
        ...((count += 1) % 20 === 0
          ? values.with(10, withoutResults(values[10], query.includes("json_each")))
          : values),
      ),
  }))();
}

function withoutResults(given: SqlValue = null, isList: boolean): SqlValue {
  if (!isList) return null;
  return JSON.stringify((JSON.parse(String(given)) as [number, string][]).map(([task]) => [task, null]));
}

/** In the statements about tasks. */
const planted: readonly Bug[] = [
  {
    name: "claim-not-raised",
    about: "a second attempt has the number of the first",
    patch: reworded("claim = max(claim, ?) + 1", "claim = max(1, 0 * ?)"),
  },
  { name: "claim-not-stored", about: "who takes a task is written down, and the task stays queued", patch: seenTwice },
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
    patch: patched(/^SELECT DISTINCT task FROM task_dependents/, () => ({ all: () => [] })),
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
  {
    name: "result-dropped",
    about: "one result in twenty is not stored",
    patch: resultLost,
  },
  {
    name: "checkpoint-dropped",
    about: "one heartbeat in ten keeps no checkpoint",
    patch: swallowed(/^UPDATE tasks SET seenAt = \?, progress/, 10),
  },
  { name: "key-forgotten", within: 60_000, about: "no key is kept", patch: swallowed(/^INSERT INTO task_dedupe/, 1) },
  {
    name: "poison-spreads",
    about: "chats that were lost with a task are not counted",
    patch: misreadTask((row) => Object.assign(row, { stalls: 0, lostChats: 0 })),
  },
  {
    name: "cancelled-runs-again",
    within: 60_000,
    focus: { ...works, acts: { ...works.acts, cancel: 6 } },
    about: "a cancellation of what runs is not kept",
    patch: swallowed(/^UPDATE tasks SET cancelReason/, 1),
  },
  {
    name: "expired-runs",
    within: 60_000,
    about: "what nobody took in time is given to who asks before the alarm",
    patch: reworded("(dueAt IS NULL OR dueAt > ?)", "(dueAt IS NULL OR ? > 0)"),
  },
  {
    name: "schedule-ignored",
    about: "a delay is not waited for",
    patch: column(/^INSERT INTO tasks /, "dueAt", (at: number, row: Row): SqlValue =>
      row["state"] === "scheduled" ? Number(row["at"]) : at === 0 ? null : at,
    ),
  },
  {
    name: "task-pruned-early",
    within: 60_000,
    about: "a task is pruned the moment it ends",
    patch: patched(done, () => ({ run: (next, values) => next(...values.with(9, values[8] ?? null)) })),
  },
  {
    name: "number-reused",
    within: 100_000,
    about: "the number of the newest task is forgotten with it",
    patch: swallowed(/^INSERT INTO meta/, 1, (values) => values.includes("task_floor")),
  },
  {
    name: "wish-ignored",
    within: 60_000,
    about: "a task that wishes for a chat is passed by those before it",
    patch: patched(/AND affinity = \? AND lane = \?/, () => ({ all: () => [] })),
  },
  { name: "use-forgotten", about: "usage of an attempt is not kept", patch: swallowed(/^INSERT INTO task_usage/, 1) },
  {
    name: "begun-moved",
    about: "a task that somebody has begun goes to a chat with less to do",
    patch: reworded("IS NOT NULL AND state = 'assigned'", "IS NOT NULL AND state IN ('assigned', 'running')"),
  },
];

export const inTasks = planted.map((bug): Bug => Object.assign({ focus: works }, bug));
