import type { SqlValue } from "#src/shared/sql.ts";
import type { Bug } from "../bug.ts";
import { pushes, works } from "./focus.ts";
import type { Patch } from "../host/recording-sql.ts";
import { column, emptied, patched, reworded } from "./patches.ts";

/** How long an assignment may wait stands before the task. */
function lateWhereAssigned(): Patch {
  return { all: (next, values) => next(...(values[0] === "assigned" ? withDayMore(values) : values)) };
}

function withDayMore(values: SqlValue[]): SqlValue[] {
  return values.with(values.length - 2, Number(values.at(-2)) + 86_400_000);
}

const queueAlone = { dispatchesAtOnce: false };

/** On the way of tasks to chats, and in what chats do with them. */
const planted: readonly Bug[] = [
  {
    name: "no-reminder",
    within: 60_000,
    focus: { ...pushes, weather: { queueLoss: 0.9 } },
    about: "a token that was lost is not sent again",
    host: queueAlone,
    patch: column(/^INSERT INTO outbox/, "dueAt", (at) => at + 86_400_000),
  },
  {
    name: "draining-given",
    within: 60_000,
    about: "a look gives to a chat that drains",
    patch: reworded("NOT IN ('draining', 'stuck')", "NOT IN ('stuck')"),
  },
  {
    name: "given-for-good",
    about: "what was given out is not taken back when nobody begins it",
    patch: patched(/^UPDATE tasks SET state = \?, claim = /, lateWhereAssigned),
  },
  {
    name: "lost-chats-keep",
    about: "a chat that is gone keeps what it had",
    patch: emptied(/^SELECT task, type, .* FROM tasks WHERE chat = \? ORDER BY task/),
  },
  {
    name: "submits-anew",
    within: 60_000,
    focus: { ...works, weather: { loss: 0.15 } },
    about: "a submit without an answer is sent again as another one",
    client: { submitsAnew: true },
  },
  { name: "begins-anew", about: "an attempt does not continue from its checkpoint", client: { beginsAnew: true } },
  { name: "counts-refused", about: "a result that was refused counts", client: { countsRefused: true } },
  { name: "keeps-returned", about: "a process goes on with a returned task", client: { keepsReturned: true } },
  { name: "never-asks", within: 100_000, focus: pushes, about: "a free chat waits", client: { neverAsks: true } },
];

export const inTheQueue = planted.map((bug): Bug => Object.assign({ focus: works }, bug));
