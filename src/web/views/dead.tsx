import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { TaskLine } from "../../contract/task-views.ts";
import { count, plain, words } from "../format.ts";
import { linkTo, announce, revision, useLoaded } from "../page-state.ts";
import { ActionButton, ActionButtons } from "../parts/confirm.tsx";
import { Age, Empty, Field, First, Head, Select, Shown, Table } from "../parts/pieces.tsx";
import {
  findTasks,
  replayAll,
  replayReasons,
  type FoundTasks,
  type ReplayReason,
  type ReplayRun,
} from "../task-reads.ts";
import { taskActions } from "./task.tsx";

const previewed = 500;

/** Dead tasks: replay by filter, with a preview, its progress, and a stop. */
export function DeadView(): JSX.Element {
  const [type, setType] = useState("");
  const [reason, setReason] = useState<ReplayReason | "">("");
  const [tag, setTag] = useState("");
  const filter = { ...(type && { type }), ...(tag && { tag }) };
  const fits = (task: TaskLine): boolean => task.reason !== "discarded" && (reason === "" || task.reason === reason);
  const key = JSON.stringify([filter, reason]);
  const loaded = useLoaded(key, () => findTasks({ ...filter, state: "dead" }, previewed, fits));
  return (
    <>
      <Head title="Dead tasks" />
      <p class="muted">
        Tasks that failed for good, kept until you replay or discard them. <a href={linkTo("tasks")}>All tasks</a>
      </p>
      <div class="filters">
        <Field label="Type" value={type} onChange={setType} />
        <Select label="Reason" value={reason} onChange={setReason} options={replayReasons} />
        <Field label="Tag" value={tag} onChange={setTag} />
      </div>
      <Shown loaded={loaded}>
        {(found, at) =>
          found.tasks.length === 0 ? (
            <Empty
              title="No dead task matches."
              children="A task that fails too often, or that no chat can do, comes here."
            />
          ) : (
            <>
              <Bulk key={key} filter={{ ...filter, ...(reason && { reason }) }} found={found} />
              <First items={found.tasks}>
                {(shown) => (
                  <Table<TaskLine>
                    caption="Dead tasks"
                    items={shown}
                    keyOf={({ task }) => task}
                    columns={[
                      { head: "Task", cell: ({ task }) => <a href={linkTo("task", task)}>{`#${task}`}</a> },
                      { head: "Type", cell: (task) => plain(task.type) },
                      { head: "Reason", cell: (task) => words(task.reason ?? "") },
                      { head: "Detail", cell: ({ detail }) => plain(detail ?? "-") },
                      { head: "Age", cell: ({ ageMs }) => <Age ms={ageMs} at={at} suffix="" /> },
                      { head: "", cell: (task) => <ActionButtons actions={taskActions(task)} /> },
                    ]}
                  />
                )}
              </First>
            </>
          )
        }
      </Shown>
    </>
  );
}

type Filter = Parameters<typeof replayAll>[0];

function Bulk({ filter, found }: { filter: Filter; found: FoundTasks }): JSX.Element {
  const [run, setRun] = useState<(ReplayRun & { readonly most: number }) | null>(null);
  const stop = useRef<AbortController | null>(null);
  useEffect(() => () => stop.current?.abort(), []);
  const most = found.tasks.length;
  const matching = `${count(most, "dead task")}${found.cursor === null ? "" : " or more"}`;
  const start = (): void => {
    stop.current = new AbortController();
    setRun({ done: 0, isOver: false, trouble: null, most });
    const report = (now: ReplayRun): void => {
      setRun({ ...now, most });
      if (!now.isOver) return;
      const { done, trouble } = now;
      announce(trouble === null ? `Replayed: ${done}.` : `Replayed: ${done}; then: ${plain(trouble)}`);
      revision.value++;
    };
    void replayAll(filter, most, report, stop.current.signal);
  };
  const question = {
    title: `Replay ${count(most, "task")}?`,
    effect: [
      `Of each lowest number first: ${preview(found.tasks)}.`,
      "Their attempts count from 0, and they continue from their last checkpoints.",
      "What their attempts did elsewhere may happen a second time.",
      "A stop keeps what was replayed by then.",
    ],
    verb: "Replay all of these",
    done: "The replay has begun.",
    run: async () => {
      start();
      return { ok: true, value: null } as const;
    },
  };
  if (run && !run.isOver) {
    return (
      <div class="line" role="group" aria-label="Replay">
        <progress value={run.done} max={run.most} aria-label="Replayed tasks" />
        <span>{`${run.done} of ${run.most} replayed`}</span>
        <button type="button" onClick={() => stop.current?.abort()} children="Stop" />
      </div>
    );
  }
  return (
    <div class="line">
      <span>{`${matching} match${most === 1 ? "es" : ""}.`}</span>
      <ActionButton action={question} />
    </div>
  );
}

function preview(tasks: readonly TaskLine[]): string {
  const byType = Map.groupBy(tasks, ({ type }) => type);
  return [...byType].map(([type, all]) => `${all.length} × ${plain(type)}`).join(", ");
}
