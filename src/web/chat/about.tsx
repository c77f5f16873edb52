import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { FleetRow, SessionPage } from "../../contract/machine/page.ts";
import { count, dollars, percent, plain } from "../format.ts";
import { call, backend, useCall } from "../page-state.ts";
import { ActionButton, type Action } from "../parts/confirm.tsx";
import { Bars, ContextChart } from "../parts/charts.tsx";
import { Age, Code, Command, Empty, Facts, Fold, Lines, Read, RiskNote, type Fact } from "../parts/pieces.tsx";
import { drainAction } from "./member.tsx";

interface AboutProps {
  readonly page: SessionPage;
  readonly at: number;
}

export function About({ page, at }: AboutProps): JSX.Element {
  const { row } = page;
  const isHere = backend.value?.kind === "machine";
  return (
    <section class="about" aria-label="About this chat">
      {row.risk && <RiskNote risk={row.risk} />}
      {isHere && (
        <div class="buttons">
          {actionsOf(page).map((action) => (
            <ActionButton key={action.verb} action={action} />
          ))}
        </div>
      )}
      {row.machine === null && !page.isAlive && isHere && <Obstacle row={row} />}
      <Figures page={page} at={at} />
      {isHere && <OnMachine row={row} />}
    </section>
  );
}

/** Parts that only the machine of the chat answers. */
function OnMachine({ row }: { row: FleetRow }): JSX.Element {
  return (
    <>
      <Fold title="The brief, as the next chat would receive it">
        <Read name="recovery.brief" input={{ session: row.id }}>
          {({ brief, score }) => (
            <>
              <p>{`Restore score: ${score.total} of 100, the mean of prompts quoted, the end of the conversation there, and files as left.`}</p>
              <Code value={brief} />
            </>
          )}
        </Read>
      </Fold>
      <Fold title="What it did that cannot be undone">
        <Effects id={row.id} />
      </Fold>
      {row.project !== null && row.machine === null && (
        <Fold title="What its last turn changed, to take it back">
          <Undo id={row.id} project={row.project} />
        </Fold>
      )}
    </>
  );
}

/** The context and the cost as pictures, and when it was saved. */
function Figures({ page, at }: { page: SessionPage; at: number }): JSX.Element {
  const { row, context, costUsdByDay, checkpoints } = page;
  const facts: Fact[] = [
    ["Last active", <Age ms={row.seenAgeMs} at={at} />],
    [
      "Saved",
      row.savedAgeMs === null ? (
        "not yet"
      ) : (
        <Age ms={row.savedAgeMs} at={at} suffix={checkpoints > 0 ? ` ago, ${count(checkpoints, "time")}` : " ago"} />
      ),
    ],
    ["Id", <code title={row.id}>{row.shortId}</code>],
  ];
  return (
    <div class="figures">
      {row.contextFill !== null && (
        <figure class="panel">
          <figcaption>
            Context <strong>{percent(row.contextFill)}</strong>
          </figcaption>
          <ContextChart points={context} />
        </figure>
      )}
      {costUsdByDay !== null && (
        <figure class="panel">
          <figcaption>
            Cost today <strong>{dollars(costUsdByDay.at(-1) ?? 0)}</strong>
          </figcaption>
          <Bars values={costUsdByDay} label={`Cost of the last ${costUsdByDay.length} days`} />
        </figure>
      )}
      <div class="panel">
        <Facts facts={facts} />
      </div>
    </div>
  );
}

/** Why its client cannot continue it, where that is so. */
function Obstacle({ row }: { row: FleetRow }): JSX.Element | null {
  const loaded = useCall("recovery.diagnose", { session: row.id, folder: row.project ?? "/" });
  const found = loaded.value?.diagnosis;
  // One that may be refused again can be continued.
  if (!found || found.reason === null || found.reason === "refused") return null;
  return (
    <>
      <p class="trouble warn">{`Its client cannot continue it: ${plain(found.why)}.`}</p>
      <Command purpose="To continue it all the same" command={found.command} />
    </>
  );
}

function actionsOf({ row, isAlive, canDismiss, canOfferAgain, atLimit }: SessionPage): Action[] {
  const { id, title, taskCount } = row;
  const name = `“${plain(title ?? id)}”`;
  const dismiss: Action = {
    title: `Dismiss ${name}?`,
    effect: [
      "No chat is offered this session any more.",
      "“Offer again” undoes it until retention deletes the session.",
    ],
    verb: "Dismiss",
    run: (requestId) => call("recovery.dismiss", { session: id }, requestId),
    done: "Dismissed.",
  };
  const offer: Action = {
    title: `Offer ${name} again?`,
    effect: ["It counts as died again, and the next chat of its project is offered it."],
    verb: "Offer again",
    run: (requestId) => call("recovery.undo", { session: id }, requestId),
    done: "It is offered again.",
  };
  const forget: Action = {
    title: `Forget ${name}?`,
    effect: [
      "Its journal, checkpoints and saved files are deleted, with every backup of this machine's store.",
      ...(isAlive ? ["It is running: its next event is stored again."] : []),
      "This cannot be undone.",
    ],
    verb: "Forget",
    isFinal: true,
    run: (requestId) => call("sessions.forget", { target: id }, requestId),
    done: "Forgotten.",
  };
  return [
    ...(canDismiss ? [dismiss] : []),
    ...(canOfferAgain ? [offer] : []),
    ...(isAlive && taskCount !== null ? [drainAction(id)] : []),
    ...(atLimit?.project ? [pauseAction(atLimit.project)] : []),
    forget,
  ];
}

function pauseAction(project: string): Action {
  return {
    title: `Pause SHIM for ${plain(project)}?`,
    effect: [
      "The rule for usage limits stops: what it has started is ended, and it starts nothing.",
      `Nothing of this project is stored until you type: shim pause --off --project ${plain(project)}`,
    ],
    verb: "Pause",
    run: (requestId) => call("pauses.start", { project }, requestId),
    done: "Paused.",
  };
}

function Effects({ id }: { id: string }): JSX.Element {
  const [check, setCheck] = useState(false);
  return (
    <Read name="effects.list" input={{ session: id, check }}>
      {({ effects }) => (
        <>
          {effects.length === 0 && <Empty title="Nothing of the kind is known." />}
          <Lines
            lines={effects.map(({ text, outcomeText, check: way, found }) => {
              const next = found ? `. Asked: ${found.text}` : way && `. To find out: ${way}`;
              return `${text}: ${outcomeText}${next ?? ""}`;
            })}
          />
          {effects.length > 0 && !check && (
            <button type="button" onClick={() => setCheck(true)} children="Ask the remotes" />
          )}
        </>
      )}
    </Read>
  );
}

const undoVerbs = { changed: "is put back", missing: "comes back", created: "is deleted" } as const;

function Undo({ id, project }: { id: string; project: string }): JSX.Element {
  return (
    <Read name="undo.preview" input={{ session: id, folder: project }}>
      {({ prompt, changes, left, atWork, diff }) => (
        <>
          {prompt !== null && <p class="muted">{`Since prompt ${prompt.number}: ${plain(prompt.text)}`}</p>}
          {changes.length === 0 && <Empty title="Nothing of it can be put back." />}
          <Lines lines={changes.map(({ path, now }) => `${path}: ${undoVerbs[now]}`)} />
          <Lines lines={left.map(({ path, reason }) => `${path} stays: ${reason}`)} />
          <Lines lines={atWork.map(({ command }) => `Still at work, and may change files again: ${command}`)} />
          {diff !== "" && <Code value={diff} />}
          {changes.length > 0 && <ActionButton action={undoAction(id, project, prompt?.number, changes.length)} />}
        </>
      )}
    </Read>
  );
}

function undoAction(session: string, folder: string, number: number | undefined, files: number): Action {
  const prompt = number === undefined ? {} : { prompt: String(number) };
  return {
    title: "Take these changes back?",
    effect: [`${count(files, "file")} in ${plain(folder)} will be put back. “shim undo --redo” reverses it.`],
    verb: "Take back",
    run: async (requestId) => {
      const answer = await call("undo.apply", { session, folder, ...prompt }, requestId);
      if (!answer.ok || answer.value.refused.length === 0) return answer;
      const { changes, refused } = answer.value;
      const done = `${changes.length} of ${count(changes.length + refused.length, "file")} taken back. Left:`;
      const message = [done, ...refused.map(({ path, reason }) => `${path}: ${reason}`)].join("\n");
      return { ok: false, error: { code: "refused", message } };
    },
    done: "Taken back.",
  };
}
