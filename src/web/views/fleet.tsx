import type { JSX } from "preact";
import type { ForeseenConflict } from "../../contract/machine/team.ts";
import type { Fleet, FleetRow } from "../../contract/machine/page.ts";
import { groupTitles, toGroups, type FleetGroup } from "../fleet-groups.ts";
import { count, dollars, plain, shortPath } from "../format.ts";
import { linkTo, query } from "../page-state.ts";
import { Age, Badge, Command, Empty, First, Head, Meter, Read, RiskNote } from "../parts/pieces.tsx";

export function FleetView(): JSX.Element {
  return (
    <>
      <Head title="Fleet" search="Search chats" />
      <Read name="page.fleet" input={{}}>
        {(fleet, at) => <Groups fleet={fleet} at={at} />}
      </Read>
    </>
  );
}

function Groups({ fleet, at }: { fleet: Fleet; at: number }): JSX.Element {
  const groups = toGroups(fleet, query.value);
  return (
    <>
      {fleet.notices.map((text) => (
        <p class="trouble" key={text} children={plain(text)} />
      ))}
      {fleet.trouble !== null && <p class="trouble">{`The team could not be read: ${plain(fleet.trouble)}`}</p>}
      {fleet.conflicts.map((one) => (
        <Conflict key={`${one.path} ${one.chats[0].chat} ${one.chats[1].chat}`} one={one} />
      ))}
      <p class="summary">{summaryOf(groups, fleet)}</p>
      {groups.length === 0 && (query.value === "" ? noChats : <Empty title="No chat matches the search." />)}
      {groups.map((group) => (
        <Group key={group.name} group={group} at={at} />
      ))}
    </>
  );
}

function Conflict({ one: { kind, path, chats } }: { one: ForeseenConflict }): JSX.Element {
  const texts = {
    merge: "A conflict is foreseen in",
    file: "Two chats have edited",
    tree: "Two chats write the work tree",
    apart: "Not compared:",
  };
  const sides = chats.map(({ chat, title, did, lines }) => (
    <>
      <a href={linkTo("chat", chat)}>{plain(title ?? "untitled")}</a>
      {kind === "merge" && ` (${lines === null ? did : `lines ${lines}`})`}
    </>
  ));
  return (
    <p class="trouble">
      {`${texts[kind]} ${plain(path)}: `}
      {sides[0]} and {sides[1]}
    </p>
  );
}

function summaryOf(groups: readonly FleetGroup[], { costUsdToday, unpricedTokensToday }: Fleet): string {
  const counts = groups.map(({ name, rows }) => `${rows.length} ${groupTitles[name].toLowerCase()}`);
  if (costUsdToday === undefined) return counts.join(" · ");
  const cost = costUsdToday === null ? "no cost today yet" : `${dollars(costUsdToday)} today`;
  const rest = unpricedTokensToday === 0 ? "" : ` (and ${count(unpricedTokensToday, "token")} without a price)`;
  return [...counts, `${cost}${rest}`].join(" · ");
}

const noChats = (
  <Empty title="No chat is known here yet.">
    Start Claude Code in a project; it appears here with its first prompt. If it does not, <code>shim doctor</code> says
    why.
  </Empty>
);

function Group({ group: { name, rows }, at }: { group: FleetGroup; at: number }): JSX.Element {
  return (
    <section aria-labelledby={`group-${name}`}>
      <h2 id={`group-${name}`}>{`${groupTitles[name]} (${rows.length})`}</h2>
      <First items={rows}>
        {(shown) => (
          <ul class="cards">
            {shown.map((row) => (
              <ChatCard key={row.id} row={row} at={at} kind={name} />
            ))}
          </ul>
        )}
      </First>
    </section>
  );
}

function ChatCard({ row, at, kind }: { row: FleetRow; at: number; kind: string }): JSX.Element {
  const { contextFill, risk, savedAgeMs, costUsdToday } = row;
  const names = [row.shortId, row.project && shortPath(row.project), row.machine, row.model, row.client];
  return (
    <li class={`card ${kind}`}>
      <p class="line">
        <a href={linkTo("chat", row.id)}>{plain(row.title ?? "untitled")}</a>
        {/* The group has the state. */}
        {row.detail !== null && <Badge kind={kind}>{plain(row.detail)}</Badge>}
        {row.waitingMs !== null && <Age ms={row.waitingMs} at={at} suffix="" />}
      </p>
      <p class="line">
        <span class="muted">{plain(names.filter((part) => part).join(" · "))}</span>
        {contextFill !== null && <Meter share={contextFill} label="context" />}
        {risk && <RiskNote risk={risk} />}
        {/* A chat of another machine does not say when it was saved. */}
        {row.machine === null && <span>saved {savedAgeMs === null ? "never" : <Age ms={savedAgeMs} at={at} />}</span>}
        <span>
          seen <Age ms={row.seenAgeMs} at={at} />
        </span>
        {costUsdToday !== null && <span>{`${dollars(costUsdToday)} today`}</span>}
        {row.taskCount ? <span>{count(row.taskCount, "task")}</span> : null}
      </p>
      {row.resumeCommand !== null && <Command purpose="To continue it" command={row.resumeCommand} isMain />}
    </li>
  );
}
