import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { OutputOf } from "../../contract/operations.ts";
import type { TaskLine, TypeStats } from "../../contract/task-views.ts";
import { age } from "../../contract/age.ts";
import { shortIds } from "../../contract/short-id.ts";
import { count, percent, plain, words } from "../format.ts";
import { linkTo, useLoaded } from "../page-state.ts";
import { Age, Badge, Empty, Field, Found, Head, Read, Select, Shown, Table, type Column } from "../parts/pieces.tsx";
import { findTasks, type TaskFilter } from "../task-reads.ts";

const states = ["running", "assigned", "queued", "scheduled", "blocked", "done", "dead", "cancelled"] as const;
type State = (typeof states)[number];

export function TasksView(): JSX.Element {
  return (
    <>
      <Head title="Tasks" search="Search tasks" />
      <Read name="tasks.progress" input={{}}>
        {(totals) => (
          <>
            <Totals totals={totals} />
            {totals.totalTasks > 0 && <List isRunning={totals.inProgressTasks > 0} />}
          </>
        )}
      </Read>
      <Read name="tasks.stats" input={{}}>
        {({ types }) =>
          types.length > 0 && (
            <section aria-labelledby="lanes">
              <h2 id="lanes">Lanes, by type</h2>
              <Table caption="Lanes" items={types} columns={laneColumns} keyOf={({ type }) => type} />
            </section>
          )
        }
      </Read>
    </>
  );
}

function Totals({ totals }: { totals: OutputOf<"tasks.progress"> }): JSX.Element {
  const { totalTasks, completedTasks, inProgressTasks, queuedTasks, activeChats } = totals;
  if (totalTasks === 0) {
    return (
      <Empty title="No task was submitted yet.">
        A chat submits tasks with the tool <code>shim_submit</code>; in a terminal: <code>shim task submit</code>.
      </Empty>
    );
  }
  return (
    <>
      <p class="summary">
        {[
          `${percent(completedTasks / totalTasks)} of ${count(totalTasks, "task")} done`,
          `${inProgressTasks.toLocaleString("en-US")} under way in ${count(activeChats, "chat")}`,
          `${queuedTasks.toLocaleString("en-US")} queued`,
        ].join(" · ")}
      </p>
      <p children={<a href={linkTo("dead")}>Dead letters</a>} />
    </>
  );
}

const laneColumns: readonly Column<TypeStats>[] = [
  { head: "Type", cell: ({ type }) => plain(type) },
  { head: "Queued", cell: ({ queued }) => queued, isNumber: true },
  { head: "Oldest", cell: ({ oldestQueuedMs }) => (oldestQueuedMs === null ? "-" : age(oldestQueuedMs)) },
  { head: "Running", cell: ({ running }) => running, isNumber: true },
  { head: "Done", cell: ({ done }) => done, isNumber: true },
  { head: "Dead", cell: ({ dead }) => dead, isNumber: true },
  { head: "Done in the last hour", cell: ({ doneLastHour }) => doneLastHour, isNumber: true },
  { head: "Wait p50 / p95", cell: ({ wait }) => (wait ? `${age(wait.p50Ms)} / ${age(wait.p95Ms)}` : "-") },
  { head: "Run p50 / p95", cell: ({ run }) => (run ? `${age(run.p50Ms)} / ${age(run.p95Ms)}` : "-") },
];

function taskColumns(at: number, tasks: readonly TaskLine[]): readonly Column<TaskLine>[] {
  const short = shortIds(tasks.flatMap(({ chat }) => chat ?? []));
  return [
    { head: "Task", cell: ({ task }) => <a href={linkTo("task", task)}>{`#${task}`}</a> },
    { head: "Type", cell: ({ type }) => plain(type) },
    { head: "State", cell: (task) => <StateBadge task={task} /> },
    { head: "Age", cell: ({ ageMs }) => <Age ms={ageMs} at={at} suffix="" /> },
    { head: "Failures", cell: ({ failures, maxAttempts }) => `${failures} of ${maxAttempts}` },
    { head: "Chat", cell: ({ chat }) => chat !== null && <a href={linkTo("chat", chat)}>{plain(short(chat))}</a> },
    { head: "Note", cell: noteOf },
  ];
}

function noteOf({ progress, detail, tags }: TaskLine): string {
  const done = progress?.percent === undefined ? "" : `${Math.round(progress.percent)} % `;
  return plain(`${done}${progress?.note ?? detail ?? tags.join(", ")}`);
}

export function StateBadge({ task }: { task: Pick<TaskLine, "state" | "reason" | "isCancelAsked"> }): JSX.Element {
  const { state, reason, isCancelAsked } = task;
  const text = reason === null ? state : `${state}: ${words(reason)}`;
  return <Badge kind={state}>{isCancelAsked && state === "running" ? `${text}, asked to stop` : text}</Badge>;
}

const perPage = 50;

/** @param isRunning whether a task is under way, which the list shows first */
function List({ isRunning }: { isRunning: boolean }): JSX.Element {
  const [state, setState] = useState<State | "">(isRunning ? "running" : "");
  const [type, setType] = useState("");
  const [tag, setTag] = useState("");
  const [least, setLeast] = useState(perPage);
  const filter: TaskFilter = { ...(state && { state }), ...(type && { type }), ...(tag && { tag }) };
  const loaded = useLoaded(`${JSON.stringify(filter)} ${least}`, () => findTasks(filter, least));
  return (
    <section aria-labelledby="list">
      <h2 id="list">List, oldest first</h2>
      <div class="filters">
        <Select label="State" value={state} onChange={setState} options={states} />
        <Field label="Type" value={type} onChange={setType} />
        <Field label="Tag" value={tag} onChange={setTag} />
      </div>
      <Shown loaded={loaded}>
        {({ tasks, cursor }) => (
          <Found
            items={tasks}
            textsOf={(one) => [String(one.task), one.type, one.chat, noteOf(one)]}
            none={<Empty title={`No task ${type || tag ? "of this type and tag " : ""}is ${state || "there"} now.`} />}
          >
            {(fitting) => (
              <>
                <Table
                  caption="Tasks"
                  items={fitting.slice(0, least)}
                  columns={taskColumns(loaded.at, fitting)}
                  keyOf={({ task }) => task}
                />
                {(cursor !== null || least < fitting.length) && (
                  <button type="button" onClick={() => setLeast(least + 2 * perPage)} children="Show more" />
                )}
              </>
            )}
          </Found>
        )}
      </Shown>
    </section>
  );
}
