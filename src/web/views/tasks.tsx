import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { OutputOf } from "../../contract/operations.ts";
import type { TaskLine, TypeStats } from "../../contract/task-views.ts";
import { age } from "../../contract/age.ts";
import { shortIds } from "../../contract/short-id.ts";
import { count, percent, plain, words } from "../format.ts";
import { linkTo, useLoaded } from "../page-state.ts";
import { Portions } from "../parts/charts.tsx";
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
            {totals.totalTasks > 0 && <List totals={totals} />}
          </>
        )}
      </Read>
      <Read name="tasks.stats" input={{}}>
        {({ types }) =>
          types.length > 0 && (
            <section aria-labelledby="types">
              <h2 id="types">By type</h2>
              <Table caption="Types" items={types} columns={typeColumns} keyOf={({ type }) => type} />
            </section>
          )
        }
      </Read>
    </>
  );
}

type Totals = OutputOf<"tasks.progress">;

function Totals({ totals }: { totals: Totals }): JSX.Element {
  const { totalTasks, completedTasks, inProgressTasks, queuedTasks, activeChats } = totals;
  const lost = totalTasks - completedTasks - inProgressTasks - queuedTasks;
  if (totalTasks === 0) {
    return (
      <Empty title="No task was submitted yet.">
        Tasks are work that chats take from each other. A chat submits tasks with the tool <code>shim_submit</code>; in
        a terminal: <code>shim task submit</code>.
      </Empty>
    );
  }
  return (
    <>
      <p class="summary">
        {[
          `${percent(completedTasks / totalTasks)} of ${count(totalTasks, "task")} done`,
          `${inProgressTasks.toLocaleString("en-US")} under way in ${count(activeChats, "chat")}`,
          `${queuedTasks.toLocaleString("en-US")} wait to start`,
        ].join(" · ")}
        {lost > 0 && <a href={linkTo("dead")}>{`${lost.toLocaleString("en-US")} dead or cancelled`}</a>}
      </p>
      <Portions
        parts={[
          ["done", completedTasks],
          ["now", inProgressTasks],
          ["idle", queuedTasks],
          ["dead", lost],
        ]}
      />
    </>
  );
}

const typeColumns: readonly Column<TypeStats>[] = [
  { head: "Type", cell: ({ type }) => plain(type) },
  { head: "Queued", cell: ({ queued }) => number(queued), isNumber: true },
  { head: "Oldest waits", cell: ({ oldestQueuedMs }) => (oldestQueuedMs === null ? "" : age(oldestQueuedMs)) },
  { head: "Running", cell: ({ running }) => number(running), isNumber: true },
  { head: "Done", cell: ({ done }) => number(done), isNumber: true },
  { head: "In the last hour", cell: ({ doneLastHour }) => number(doneLastHour), isNumber: true },
  { head: "Dead", cell: ({ dead }) => number(dead), isNumber: true },
  { head: "Wait: half, 95 %", cell: ({ wait }) => usual(wait) },
  { head: "Run: half, 95 %", cell: ({ run }) => usual(run) },
];

/** Zeros would hide the figures. */
function number(n: number): string {
  return n === 0 ? "" : n.toLocaleString("en-US");
}

function usual(times: TypeStats["wait"]): JSX.Element | string {
  if (!times) return "";
  const title = `Half of them at most ${age(times.p50Ms)}, 95 % at most ${age(times.p95Ms)}`;
  return <span title={title}>{`${age(times.p50Ms)}, ${age(times.p95Ms)}`}</span>;
}

function taskColumns(at: number, tasks: readonly TaskLine[]): readonly Column<TaskLine>[] {
  const short = shortIds(tasks.flatMap(({ chat }) => chat ?? []));
  return [
    { head: "Task", cell: ({ task }) => <a href={linkTo("task", task)}>{`#${task}`}</a> },
    { head: "Type", cell: ({ type }) => plain(type) },
    { head: "About", cell: ({ about }) => plain(about ?? "") },
    { head: "State", cell: (task) => <StateBadge task={task} /> },
    { head: "Age", cell: ({ ageMs }) => <Age ms={ageMs} at={at} suffix="" /> },
    { head: "Failed tries", cell: ({ failures, maxAttempts }) => (failures ? `${failures} of ${maxAttempts}` : "") },
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

/** At first what runs, or else what waits. */
function List({ totals: { inProgressTasks, queuedTasks } }: { totals: Totals }): JSX.Element {
  const [state, setState] = useState<State | "">(inProgressTasks > 0 ? "running" : queuedTasks > 0 ? "queued" : "");
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
            none={
              <Empty title={`No task ${type || tag ? "of this type and tag " : ""}is ${state || "there"} now.`}>
                {queuedTasks > 0 && state !== ""
                  ? `${count(queuedTasks, "task")} ${queuedTasks === 1 ? "waits" : "wait"} to start: choose the state queued, scheduled or blocked.`
                  : "Choose another state, or all."}
              </Empty>
            }
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
