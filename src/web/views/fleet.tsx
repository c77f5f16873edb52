import type { JSX } from "preact";
import type { ForeseenConflict } from "../../contract/machine/team.ts";
import type { Fleet, FleetRow } from "../../contract/machine/page.ts";
import { stateWords, type ChatGroup, type ChatGroups, type ChatState } from "../../contract/chat-state.ts";
import { requestsOf, toGroups } from "../fleet-groups.ts";
import { count, dollars, plain, shortPath, splitPath } from "../format.ts";
import { linkTo, query } from "../page-state.ts";
import { Meter } from "../parts/charts.tsx";
import { later } from "../parts/later.tsx";
import { NeedOfChat } from "../parts/need.tsx";
import { Age, Empty, First, Fold, Head, Read, riskText } from "../parts/pieces.tsx";

const answers = () => import("../parts/answers.tsx");
const GivenAnswers = later(async () => (await answers()).GivenAnswers);
const NeedOfRequest = later(async () => (await answers()).NeedOfRequest);
const NewChat = later(async () => (await import("../parts/runs.tsx")).NewChat);

export function FleetView(): JSX.Element {
  return (
    <>
      <Head title="Chats" search="Search chats" />
      <Read name="page.fleet" input={{}}>
        {(fleet, at) => <Groups fleet={fleet} at={at} />}
      </Read>
    </>
  );
}

const firstNeeds = 8;

function Groups({ fleet, at }: { fleet: Fleet; at: number }): JSX.Element {
  const groups = toGroups(fleet, query.value);
  const { projects, ended } = groups;
  const requests = requestsOf(fleet, query.value);
  const asking = new Set(requests.map(({ session }) => session));
  const needs = [...requests, ...groups.needs.filter(({ id }) => !asking.has(id))];
  const isNone = needs.length + projects.length + ended.length === 0;
  return (
    <>
      {!isNone && <Summary groups={groups} fleet={fleet} />}
      <NewChat />
      {fleet.notices.map((text) => (
        <p class="trouble warn" key={text} children={plain(text)} />
      ))}
      {fleet.trouble !== null && <p class="trouble">{`Other chats could not be read: ${plain(fleet.trouble)}`}</p>}
      {isNone && (query.value === "" ? noChats : <Empty title="No chat matches the search." />)}
      {needs.length > 0 && (
        <section aria-labelledby="needs">
          <div class="group">
            <h2 id="needs">Needs you</h2>
            <span class="muted">{needs.length}</span>
          </div>
          <First items={needs} atFirst={firstNeeds}>
            {(shown) => (
              <ul class="needs">
                {shown.map((one) =>
                  "tool" in one ? (
                    <NeedOfRequest key={one.id} request={one} at={at} />
                  ) : (
                    <NeedOfChat key={one.id} row={one} at={at} />
                  ),
                )}
              </ul>
            )}
          </First>
        </section>
      )}
      <GivenAnswers answers={fleet.answers ?? []} at={at} />
      <First items={fleet.conflicts} atFirst={3}>
        {(shown) =>
          shown.map((one) => <Conflict key={`${one.path} ${one.chats[0].chat} ${one.chats[1].chat}`} one={one} />)
        }
      </First>
      {projects.map((group) => (
        <Project key={group.project ?? group.machine} group={group} at={at} />
      ))}
      {ended.length > 0 && (
        <Fold title={endedTitle(ended.length, query.value === "" ? fleet.ended : undefined)}>
          <Rows rows={ended} at={at} />
        </Fold>
      )}
      {fleet.scripts ? <p class="muted">{`and ${count(fleet.scripts, "run")} of scripts`}</p> : null}
    </>
  );
}

/** @param all absent: those that are shown */
function endedTitle(shown: number, all = shown): string {
  return all > shown ? `${all} ended in the last day, the newest ${shown}` : `${all} ended in the last day`;
}

const noChats = (
  <Empty title="No chat is known here yet.">
    Start Claude Code in a project; it appears here with its first prompt. If it does not, <code>shim doctor</code> says
    why.
  </Empty>
);

const counted: readonly (readonly [state: ChatState, words: string])[] = [
  ["works", "at work"],
  ["idle", "idle"],
];

function Summary({ groups, fleet }: { groups: ChatGroups<FleetRow>; fleet: Fleet }): JSX.Element {
  const { costUsdToday, unpricedTokensToday } = fleet;
  const open = groups.projects.flatMap(({ rows }) => rows);
  const unpriced = unpricedTokensToday === 0 ? "" : `, and ${count(unpricedTokensToday, "token")} without a price`;
  return (
    <p class="summary">
      {groups.needs.length === 0 && <span>Nothing needs you.</span>}
      {counted.map(([state, text]) => {
        const { length } = open.filter((row) => row.state === state);
        return length > 0 && <span key={state} class={`state ${state}`}>{`${length} ${text}`}</span>;
      })}
      {costUsdToday !== undefined && (
        <span>{costUsdToday === null ? "no cost today yet" : `${dollars(costUsdToday)} today${unpriced}`}</span>
      )}
    </p>
  );
}

const conflictTexts: Readonly<Record<ForeseenConflict["kind"], string>> = {
  merge: "A merge conflict is ahead in",
  file: "Two chats have edited",
  tree: "Two chats write to the folder",
  apart: "Not compared:",
};

function Conflict({ one: { kind, path, chats } }: { one: ForeseenConflict }): JSX.Element {
  const sides = chats.map(({ chat, title, did, lines }) => (
    <>
      <a href={linkTo("chat", chat)}>{plain(title ?? "untitled")}</a>
      {kind === "merge" && ` (${lines === null ? did : `lines ${lines}`})`}
    </>
  ));
  return (
    <p class="trouble warn">
      {`${conflictTexts[kind]} ${plain(path)}: `}
      {sides[0]} and {sides[1]}
    </p>
  );
}

function Project({ group: { project, machine, rows }, at }: { group: ChatGroup<FleetRow>; at: number }): JSX.Element {
  const [name, above] = project === null ? [machine === null ? "No project" : `On ${machine}`, ""] : splitPath(project);
  const id = `project-${rows[0]?.id ?? ""}`;
  return (
    <section aria-labelledby={`${id} ${id}-in`}>
      <div class="group">
        <h2 id={id} children={plain(name)} />
        <span class="muted">{rows.length}</span>
        <span id={`${id}-in`} class="meta">
          {plain(above)}
        </span>
      </div>
      <Rows rows={rows} at={at} />
    </section>
  );
}

const firstRows = 20;

function Rows({ rows, at }: { rows: readonly FleetRow[]; at: number }): JSX.Element {
  return (
    <First items={rows} atFirst={firstRows}>
      {(shown) => (
        <ul class="rows">
          {shown.map((row) => (
            <Row key={row.id} row={row} at={at} />
          ))}
        </ul>
      )}
    </First>
  );
}

/** Detail of the state, risk or progress. */
function noteOf({ detail, risk, progress, taskCount }: FleetRow): [tone: string, text: string] | null {
  // The meter shows how full the context is.
  const reasons = risk?.reasons.filter(({ name }) => name !== "contextFill") ?? [];
  if (risk && risk.level !== "safe" && reasons.length > 0)
    return [risk.level === "warning" ? "warn" : "bad", `at risk: ${riskText({ ...risk, reasons })}`];
  const text = detail ?? progress ?? (taskCount ? count(taskCount, "task") : null);
  return text === null ? null : ["", text];
}

function Row({ row, at }: { row: FleetRow; at: number }): JSX.Element {
  const { contextFill, savedAgeMs, costUsdToday } = row;
  const who = [
    row.client,
    row.model,
    row.machine,
    row.state === "ended" ? row.project && shortPath(row.project) : null,
  ];
  const note = noteOf(row);
  return (
    <li class={row.state}>
      <span class="state">{stateWords[row.state]}</span>
      <span class="main">
        <a href={linkTo("chat", row.id)} title={plain(row.title ?? row.id)} children={plain(row.title ?? "untitled")} />
        {note && <span class={`note meta ${note[0]}`} children={plain(note[1])} />}
      </span>
      <span class="meta who">{plain(who.filter((part) => part).join(" · "))}</span>
      <span class="sum share">{contextFill !== null && <Meter share={contextFill} label="context" />}</span>
      <span class="sum cost">{costUsdToday !== null && `${dollars(costUsdToday)} today`}</span>
      <span class="sum seen">
        <Age ms={row.seenAgeMs} at={at} />
      </span>
      {/* Of a chat of another machine only that one knows when it was saved. */}
      <span class="sum saved">
        {savedAgeMs === null ? row.machine === null && "not saved" : <Age ms={savedAgeMs} at={at} prefix="saved " />}
      </span>
    </li>
  );
}
