import type { JSX } from "preact";
import { count, plain } from "../format.ts";
import { linkTo, openView } from "../page-state.ts";
import { Badge, Empty, Field, Head, Read, Table } from "../parts/pieces.tsx";
import { layOut, type PlanLayout, type PlanTask } from "../plan-layout.ts";

const maxTasks = 300;
const maxOpen = 1_000;
const box = { width: 150, height: 44, gapX: 60, gapY: 16 };

/** A job: its tasks, and what each waits for. */
export function PlanView({ id }: { id: string }): JSX.Element {
  return (
    <>
      <Head title={id === "" ? "Plan" : `Plan of task #${id}`} />
      <div class="filters">
        <Field
          label="Number of the job's task"
          value={id}
          onChange={(task) => /^\d+$/.test(task) && openView(linkTo("plan", task))}
        />
      </div>
      {id === "" ? <OpenJobs /> : <Plan task={Number(id)} />}
    </>
  );
}

/** Jobs of which a task is open, the newest first. */
function OpenJobs(): JSX.Element {
  return (
    <Read name="tasks.tree" input={{ limit: maxOpen }}>
      {({ tasks }) => (
        <Table<Job>
          caption="Open jobs"
          items={jobsOf(tasks)}
          keyOf={({ job }) => job}
          none={
            <Empty title="No job is open.">
              <code>shim task jobs submit</code> splits a job into parts; its plan is then here. For a job that has
              ended, type its number above.
            </Empty>
          }
          columns={[
            { head: "Job", cell: ({ job }) => <a href={linkTo("plan", job)}>{`#${job}`}</a> },
            { head: "Type", cell: ({ parts }) => plain(parts[0]?.type ?? "") },
            { head: "Parts", cell: ({ parts }) => parts.length, isNumber: true },
            { head: "Done", cell: ({ parts }) => parts.filter(({ state }) => state === "done").length, isNumber: true },
            { head: "Names", cell: ({ parts }) => parts.slice(0, 6).map(nameOf).join(", ") },
          ]}
        />
      )}
    </Read>
  );
}

interface Job {
  readonly job: number;
  readonly parts: readonly PlanTask[];
}

function jobsOf(tasks: readonly PlanTask[]): Job[] {
  const byJob = Map.groupBy(tasks, ({ parent }) => parent);
  return [...byJob].flatMap(([job, parts]) => (job === null ? [] : [{ job, parts }])).toSorted((a, b) => b.job - a.job);
}

function Plan({ task }: { task: number }): JSX.Element {
  return (
    <Read name="tasks.tree" input={{ task, limit: maxTasks }}>
      {({ tasks, isMore }) => (
        <>
          <Picture tasks={tasks} />
          {isMore && <p class="muted">{`Only the first ${count(maxTasks, "task")} are shown.`}</p>}
          <Table<PlanTask>
            caption="Tasks of the plan"
            items={tasks}
            keyOf={(one) => one.task}
            columns={[
              { head: "Task", cell: (one) => <a href={linkTo("task", one.task)}>{`#${one.task}`}</a> },
              { head: "Name", cell: nameOf },
              { head: "State", cell: ({ state }) => <Badge kind={state}>{state}</Badge> },
              { head: "Waits for", cell: ({ dependsOn }) => dependsOn.map((one) => `#${one}`).join(", ") || "-" },
            ]}
          />
        </>
      )}
    </Read>
  );
}

function Picture({ tasks }: { tasks: readonly PlanTask[] }): JSX.Element {
  const layout = layOut(tasks);
  const [first] = layout.critical;
  return (
    <>
      <Graph layout={layout} />
      {first !== undefined && (
        <p class="muted">
          {`Critical path: ${layout.critical.map((task) => `#${task}`).join(" → ")}. The job takes at least as long as these ${layout.critical.length} tasks, one after the other.`}
        </p>
      )}
    </>
  );
}

function nameOf({ ref, type }: PlanTask): string {
  return plain(ref ?? type);
}

/** The table below says the same to those who cannot see it. */
function Graph({ layout: { nodes, edges, columns, rows, critical } }: { layout: PlanLayout }): JSX.Element {
  const isNext = (from: number, to: number): boolean => critical.indexOf(to) === critical.indexOf(from) + 1;
  const isCritical = (task: number): boolean => critical.includes(task);
  const width = columns * (box.width + box.gapX) - box.gapX;
  const height = rows * (box.height + box.gapY);
  const left = (column: number): number => column * (box.width + box.gapX);
  const top = (row: number): number => row * (box.height + box.gapY);
  return (
    <div class="graph" aria-hidden="true">
      <svg class="whole" width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
        {edges.map(({ from, to }) => {
          const [x1, y1] = [left(from.column) + box.width, top(from.row) + box.height / 2];
          const [x2, y2] = [left(to.column), top(to.row) + box.height / 2];
          const middle = (x1 + x2) / 2;
          return (
            <path
              key={`${from.task.task} ${to.task.task}`}
              class={isCritical(from.task.task) && isNext(from.task.task, to.task.task) ? "critical" : ""}
              d={`M${x1} ${y1} C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`}
            />
          );
        })}
        {nodes.map(({ task, column, row }) => (
          <g
            key={task.task}
            class={`${task.state} ${isCritical(task.task) ? "critical" : ""}`}
            transform={`translate(${left(column)} ${top(row)})`}
          >
            <rect width={box.width} height={box.height} rx="6" />
            <text x="10" y="18" children={nameOf(task).slice(0, 20)} />
            <text x="10" y="35">{`#${task.task} ${task.state}`}</text>
          </g>
        ))}
      </svg>
    </div>
  );
}
