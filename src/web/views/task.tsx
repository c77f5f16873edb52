import type { JSX } from "preact";
import type { OutputOf } from "../../contract/operations.ts";
import type { Attempt } from "../../contract/task-views.ts";
import { age } from "../../contract/age.ts";
import { shortIdAmong, shortIds } from "../../contract/short-id.ts";
import { dollars, plain, words } from "../format.ts";
import { call, linkTo } from "../page-state.ts";
import { ActionButtons, type Action } from "../parts/confirm.tsx";
import { Age, Code, Facts, Head, Left, Read, Table, type Column } from "../parts/pieces.tsx";
import { StateBadge } from "./tasks.tsx";

type Task = OutputOf<"tasks.get">;

export function TaskView({ id }: { id: string }): JSX.Element {
  const task = Number(id);
  return (
    <>
      <Head title={`Task #${task}`} />
      <Read name="tasks.get" input={{ task }}>
        {(value, at) => <Detail task={value} at={at} />}
      </Read>
      <Attempts task={task} />
    </>
  );
}

function Detail({ task, at }: { task: Task; at: number }): JSX.Element {
  return (
    <>
      <Facts
        facts={[
          ["State", <StateBadge task={task} />],
          ["Type", plain(task.type)],
          ["Age", <Age ms={task.ageMs} at={at} suffix="" />],
          ["Priority", String(task.priority)],
          ["Failed tries", `${task.failures} of ${task.maxAttempts}`],
          [
            "Chat",
            task.chat === null ? "-" : <a href={linkTo("chat", task.chat)}>{plain(shortIdAmong(task.chat, []))}</a>,
          ],
          ["Used", `${age(task.used.wallMs)}, ${dollars(task.used.costMicros / 1e6)}`],
          ["Time left", task.running ? <Left ms={task.running.remainingMs} at={at} /> : "-"],
          ["Tags", plain(task.tags.join(", ") || "-")],
          ["Plan", <a href={linkTo("plan", task.parent ?? task.task)}>its job as a picture</a>],
        ]}
      />
      {task.detail !== null && <p class="trouble">{plain(task.detail)}</p>}
      <ActionButtons actions={taskActions(task)} />
      <h2>What to do</h2>
      <Code value={task.payload} />
      {task.result !== null && (
        <>
          <h2>Result</h2>
          <Code value={task.result} />
        </>
      )}
    </>
  );
}

export function taskActions({ task, state, reason }: Pick<Task, "task" | "state" | "reason">): Action[] {
  const replay: Action = {
    title: `Replay task #${task}?`,
    effect: [
      "It is queued again, with its attempts counted from 0, and continues from its last checkpoint.",
      "What its attempts did elsewhere may happen a second time.",
      "Tasks that died because of it stay dead.",
    ],
    verb: "Replay",
    run: (requestId) => call("tasks.replay", { task }, requestId),
    done: `Task #${task} was replayed.`,
  };
  const discard: Action = {
    title: `Discard task #${task}?`,
    effect: ["It stays in the list until it is pruned, and can never be replayed."],
    verb: "Discard",
    isFinal: true,
    run: (requestId) => call("tasks.discard", { task, reason: "discarded from the live page" }, requestId),
    done: `Task #${task} was discarded.`,
  };
  const cancel: Action = {
    title: `Cancel task #${task}?`,
    effect: [
      state === "running" ? "Its chat is asked to stop at its next heartbeat." : "No chat will start it.",
      "Tasks that depend on it die, unless they were submitted to ignore that.",
    ],
    verb: "Cancel task",
    isFinal: true,
    run: (requestId) => call("tasks.cancel", { task, reason: "cancelled from the live page" }, requestId),
    done: `Task #${task} is cancelled, or asked to stop.`,
  };
  if (state === "dead" && reason !== "discarded") return [replay, discard];
  return state === "done" || state === "dead" || state === "cancelled" ? [] : [cancel];
}

function Attempts({ task }: { task: number }): JSX.Element {
  return (
    <section aria-labelledby="attempts">
      <h2 id="attempts">Tries that ended, newest first</h2>
      <Read name="tasks.history" input={{ task, limit: 50 }}>
        {({ attempts }, at) => (
          <Table
            caption="Attempts"
            items={attempts}
            keyOf={({ claim }) => claim}
            columns={attemptColumns(at, attempts)}
            none={<p class="muted">None yet.</p>}
          />
        )}
      </Read>
    </section>
  );
}

function attemptColumns(at: number, attempts: readonly Attempt[]): readonly Column<Attempt>[] {
  const short = shortIds(attempts.flatMap(({ chat }) => chat ?? []));
  return [
    { head: "Attempt", cell: ({ attempt }) => attempt, isNumber: true },
    { head: "Chat", cell: ({ chat }) => (chat === null ? "SHIM" : plain(short(chat))) },
    { head: "End", cell: ({ end }) => words(end) },
    { head: "Reason", cell: ({ reason }) => plain(reason ?? "-") },
    { head: "Waited", cell: ({ waitedMs }) => age(waitedMs) },
    { head: "Ran", cell: ({ ranMs }) => (ranMs === null ? "-" : age(ranMs)) },
    { head: "Ended", cell: ({ endedAgeMs }) => <Age ms={endedAgeMs} at={at} /> },
  ];
}
