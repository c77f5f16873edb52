import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { FleetRow } from "../../contract/machine/page.ts";
import type { Run, RunList } from "../../contract/machine/runs.ts";
import { plain, shortPath } from "../format.ts";
import { actTrouble, announce, backend, call, revision, useCall } from "../page-state.ts";
import { Age, Fold, Left, Trouble } from "./pieces.tsx";
import { WordsForm } from "./live.tsx";

/** Clients that may be started from here; null: not known, or this page only reads. */
function useRuns(): { readonly list: RunList; readonly at: number } | null {
  const { value, at } = useCall("runs.list", {});
  return value === null || backend.value?.canAnswer !== true ? null : { list: value, at };
}

interface StartProps {
  readonly label: string;
  readonly verb: string;
  readonly input:
    | { readonly session: string; readonly isNew?: boolean }
    | { readonly project: string; readonly client: Client };
}

type Client = RunList["clients"][number]["name"];

/** Words that start a client without a terminal. */
function Start({ label, verb, input }: StartProps): JSX.Element {
  const send = async (text: string): Promise<string | null> => {
    const answer = await call("runs.start", { ...input, text }, crypto.randomUUID());
    if (!answer.ok) return answer.error.message;
    const { client, isContinued } = answer.value;
    announce(`${client} ${isContinued ? "continues the chat" : "begins a new chat"}.`);
    revision.value++;
    return null;
  };
  return (
    <WordsForm label={label} verb={verb} target={"session" in input ? input.session : input.project} send={send} />
  );
}

/** A chat that no window has open is continued here; a run that works in it can be stopped. */
export function RunsOfChat({ row, isAlive }: { row: FleetRow; isAlive: boolean }): JSX.Element | null {
  const known = useRuns();
  if (known === null || row.machine !== null) return null;
  const { list, at } = known;
  const run = list.runs.findLast(({ session }) => session === row.id);
  const isAllowed = list.projects.some(
    ({ project }) => row.project === project || row.project?.startsWith(`${project}/`),
  );
  return (
    <>
      {run && <RunLine run={run} at={at} />}
      {!isAlive && run?.state !== "runs" && isAllowed && (
        <Start label="Continue it here, without a terminal" verb="Continue" input={{ session: row.id }} />
      )}
      {isAlive && isAllowed && <OpenWindow row={row} isRun={run?.state === "runs"} list={list} />}
      {!isAlive && !isAllowed && (
        <p class="muted">
          {"To continue chats of this project from here, allow it on its machine: "}
          <code>{`shim runs allow ${plain(row.project ?? "")}`}</code>
        </p>
      )}
    </>
  );
}

interface OpenWindowProps {
  readonly row: FleetRow;
  /** The host has started its client, and stops that. */
  readonly isRun: boolean;
  readonly list: RunList;
}

/** A chat that works elsewhere: its turn is stopped where its client takes that. */
function OpenWindow({ row, isRun, list }: OpenWindowProps): JSX.Element {
  const stops = list.clients.find(({ title }) => row.client.startsWith(title))?.stops ?? null;
  return (
    <>
      {stops !== null && !isRun && row.state === "works" && <StopTurn session={row.id} at={stops} />}
      <Fold title="Go on in a new chat">
        <Start
          label="Its window stays as it is: a new chat gets its brief, and these words"
          verb="Start"
          input={{ session: row.id, isNew: true }}
        />
      </Fold>
    </>
  );
}

const states: Readonly<Record<Run["state"], string>> = {
  runs: "works without a terminal",
  done: "has answered",
  failed: "has failed",
  stopped: "was stopped",
};

/** @param run its id, or that of a chat whose turn is stopped in its window */
function useStop(run: string): { readonly stop: JSX.Element; readonly trouble: JSX.Element } {
  const [trouble, setTrouble] = useState<string | null>(null);
  const stop = async (): Promise<void> => {
    const answer = await call("runs.stop", { run }, crypto.randomUUID());
    setTrouble(answer.ok ? null : answer.error.message);
    revision.value++;
  };
  const isOff = actTrouble(run) !== null;
  return {
    stop: <button type="button" disabled={isOff} onClick={() => void stop()} children="Stop" />,
    trouble: <Trouble text={trouble} />,
  };
}

function StopTurn({ session, at }: { session: string; at: "now" | "call" }): JSX.Element {
  const { stop, trouble } = useStop(session);
  return (
    <p class="muted">
      {at === "now" ? "Works in its window. " : "Works in its window, and can be stopped at the end of its next call. "}
      {stop}
      {trouble}
    </p>
  );
}

function RunLine({ run, at }: { run: Run; at: number }): JSX.Element {
  const { stop, trouble } = useStop(run.run);
  return (
    <p role="status" class={run.state === "failed" ? "trouble warn" : "muted"}>
      {`${plain(run.client)} ${states[run.state]}: ${plain(run.by)}, `}
      <Age ms={run.ageMs} at={at} />
      {run.state === "failed" && `: ${plain(run.text.trim())}`}
      {run.state === "runs" && stop}
      {trouble}
    </p>
  );
}

/** A new chat in one of the projects that are allowed; nothing where none is. */
export function NewChat(): JSX.Element | null {
  const known = useRuns();
  const [chosen, setChosen] = useState<{ project?: string; client?: Client | undefined }>({});
  const [first] = known?.list.projects ?? [];
  if (known === null || first === undefined) return null;
  const { projects, clients } = known.list;
  const { project = first.project, client = clients[0]?.name } = chosen;
  const left = projects.find((one) => one.project === project)?.endsInMs ?? null;
  return (
    <Fold title="Start a chat">
      <label>
        {"Project "}
        <select value={project} onChange={({ currentTarget: { value } }) => setChosen({ client, project: value })}>
          {projects.map((one) => (
            <option key={one.project} value={one.project} children={plain(shortPath(one.project))} />
          ))}
        </select>
      </label>
      <label>
        {"Client "}
        <select
          value={client}
          onChange={({ currentTarget: { value } }) => setChosen({ project, client: value as Client })}
        >
          {clients.map(({ name, title }) => (
            <option key={name} value={name} children={plain(title)} />
          ))}
        </select>
      </label>
      {left !== null && (
        <p class="muted">
          {"Allowed for "}
          <Left ms={left} at={known.at} />
        </p>
      )}
      {client && <Start label="The first words" verb="Start" input={{ project, client }} />}
    </Fold>
  );
}
