import type { JSX } from "preact";
import type { ExperimentLine, PageOutputs } from "../../contract/live-page.ts";
import { plain, words } from "../format.ts";
import { call, useCall } from "../page-state.ts";
import { ActionButton, type Action } from "../parts/confirm.tsx";
import { Age, Badge, Command, Empty, Found, Head, Shown, Table } from "../parts/pieces.tsx";

/** Trials of the machine's and the workspace's settings; how often each pattern was found. */
export function ExperimentsView(): JSX.Element {
  const loaded = useCall("page.experiments", {});
  return (
    <>
      <Head title="Experiments" search="Search experiments" />
      <Shown loaded={loaded}>{(page) => <Experiments page={page} at={loaded.at} />}</Shown>
    </>
  );
}

function Experiments({ page, at }: { page: PageOutputs["page.experiments"]; at: number }): JSX.Element {
  const { experiments, offAgeMs, opportunities, trouble } = page;
  const found = opportunities.map(({ pattern, n }) => `${n} × ${words(pattern)}`).join(", ");
  return (
    <>
      <p class="line">
        {offAgeMs === null ? "Experiments may start." : "Switched off: none starts. Since"}
        {offAgeMs !== null && <Age ms={offAgeMs} at={at} />}
        <ActionButton action={offAgeMs === null ? stopAll : allow} />
      </p>
      {trouble !== null && <p class="trouble">{`Those of the workspace are missing: ${plain(trouble)}`}</p>}
      <Found
        items={experiments}
        textsOf={({ id, change, state, reason }) => [id, change, state, reason]}
        none={<Empty title="No experiment yet. Opportunities say what to try." />}
      >
        {(fitting) => <ExperimentTable experiments={fitting} at={at} />}
      </Found>
      <h2>Opportunities</h2>
      <p>{found || "No finding is stored."}</p>
      <Command purpose="To see the figures and what to do" command="shim learn opportunities" />
    </>
  );
}

function ExperimentTable({ experiments, at }: { experiments: readonly ExperimentLine[]; at: number }): JSX.Element {
  return (
    <Table<ExperimentLine>
      caption="Experiments"
      items={experiments}
      keyOf={({ id }) => id}
      columns={[
        { head: "Setting", cell: ({ change }) => plain(change) },
        { head: "State", cell: ({ state, isRunning }) => <Badge kind={isRunning ? "running" : ""}>{state}</Badge> },
        { head: "Sessions", cell: ({ sessions: n }) => (n ? `${n.with} with it, ${n.without} without` : "-") },
        { head: "Moved", cell: ({ stepAgeMs }) => <Age ms={stepAgeMs} at={at} /> },
        { head: "Last step", cell: ({ note }) => plain(note) },
        { head: "Why", cell: ({ reason }) => plain(reason) },
        { head: "", cell: (one) => one.ending && <ActionButton action={endOne(one, one.ending)} /> },
      ]}
    />
  );
}

function endOne({ id, change }: ExperimentLine, { isRevert, effect }: NonNullable<ExperimentLine["ending"]>): Action {
  const verb = isRevert ? "Revert" : "Stop";
  return {
    title: `${verb} ${id}, ${plain(change)}?`,
    effect: [effect, "It cannot be continued, only started anew."],
    verb,
    run: (requestId) => call("page.end-experiment", { experiment: id, isRevert }, requestId),
    done: `${id} was ended.`,
  };
}

const stopAll: Action = {
  title: "Stop all experiments?",
  effect: ["Each value before is in force again at once.", "None starts until you allow it here, or in a terminal."],
  verb: "Stop all",
  run: (requestId) => call("page.switch-experiments", { isOff: true }, requestId),
  done: "All were stopped.",
};

const allow: Action = {
  title: "Allow experiments again?",
  effect: ["New ones may start: yours, and SHIM's own where kaizen is “apply”. Those that were stopped stay so."],
  verb: "Allow",
  run: (requestId) => call("page.switch-experiments", { isOff: false }, requestId),
  done: "Experiments may start.",
};
