import type { JSX } from "preact";
import type { ExperimentView } from "../../contract/machine/learning.ts";
import type { CallOutput } from "../backend.ts";
import { plain } from "../format.ts";
import { call } from "../page-state.ts";
import { ActionButton, type Action } from "../parts/confirm.tsx";
import { Age, Badge, Command, Empty, Head, Read, Table } from "../parts/pieces.tsx";
import { changeText } from "../setting-words.ts";

/** Trials of settings. */
export function ExperimentsView(): JSX.Element {
  return (
    <>
      <Head title="Experiments" search="Search experiments" />
      <Read name="experiments.list" input={{}}>
        {(page, at) => <Experiments page={page} at={at} />}
      </Read>
    </>
  );
}

function Experiments({ page, at }: { page: CallOutput<"experiments.list">; at: number }): JSX.Element {
  const { experiments, readAt } = page;
  return (
    <>
      {experiments.some(({ isRunning }) => isRunning) && (
        <p class="line">
          <ActionButton action={stopAll} />
        </p>
      )}
      <Table<ExperimentView>
        caption="Experiments"
        items={experiments.toReversed()}
        keyOf={({ id }) => id}
        textsOf={(one) => [one.id, one.key, changeText(one), one.state, one.reason]}
        none={<Empty title="No experiment yet." />}
        columns={[
          { head: "Setting", cell: (one) => plain(changeText(one)) },
          { head: "State", cell: ({ state, isRunning }) => <Badge kind={isRunning ? "running" : ""}>{state}</Badge> },
          { head: "Sessions", cell: ({ sessions: n }) => (n ? `${n.with} with it, ${n.without} without` : "-") },
          { head: "Moved", cell: ({ steps }) => <Age ms={ageOf(steps.at(-1)?.at ?? readAt, readAt)} at={at} /> },
          { head: "Last step", cell: ({ steps }) => plain(steps.at(-1)?.note ?? "") },
          { head: "Why", cell: ({ reason }) => plain(reason) },
          { head: "", cell: (one) => one.ending && <ActionButton action={endOne(one, one.ending)} /> },
        ]}
      />
      <Command purpose="To see what to try" command="shim report" />
    </>
  );
}

function ageOf(at: number, readAt: number): number {
  return Math.max(0, readAt - at);
}

function endOne(one: ExperimentView, { consequence }: NonNullable<ExperimentView["ending"]>): Action {
  const { id: experiment } = one;
  return {
    title: `Stop ${experiment}, ${plain(changeText(one))}?`,
    effect: [consequence, "It cannot be continued, only started anew."],
    verb: "Stop",
    run: (requestId) => call("experiments.stop", { experiment }, requestId),
    done: `${experiment} was ended.`,
  };
}

const stopAll: Action = {
  title: "Stop all experiments?",
  effect: ["Each value before is in force again at once.", "SHIM starts none by itself until you set kaizen to apply."],
  verb: "Stop all",
  run: (requestId) => call("experiments.stop", { all: true }, requestId),
  done: "All were stopped.",
};
