import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { OutputOf } from "../../contract/operations.ts";
import type { AuditEntry } from "../../contract/workspaces.ts";
import { age } from "../../contract/age.ts";
import { count, dollars, percent, plain, words } from "../format.ts";
import { call, backend } from "../page-state.ts";
import { ActionButton, type Action } from "../parts/confirm.tsx";
import { Age, Badge, Empty, Facts, Field, Head, Left, Read, Table, type Fact } from "../parts/pieces.tsx";

export function HealthView(): JSX.Element {
  return (
    <>
      <Head title="Health" search="Search the audit log" />
      <Read name="health" input={{}}>
        {(value) => <Facts facts={healthFacts(value)} />}
      </Read>
      <h2>Budget of today</h2>
      <Read name="budgets.get" input={{}}>
        {(value, at) => <Facts facts={budgetFacts(value, at)} />}
      </Read>
      {backend.value?.kind === "edge" && <Tokens />}
      <Audit />
    </>
  );
}

function healthFacts(value: OutputOf<"health">): Fact[] {
  const { overdueRows, chats, alarmInMs, sockets, schemaVersion, protocol, storage } = value;
  const late = alarmInMs !== null && alarmInMs < 0 ? age(-alarmInMs) : null;
  const isLate = overdueRows > 0 || late !== null;
  return [
    [
      "State",
      isLate ? (
        <Badge kind="waits">{`${late ?? count(overdueRows, "item")} overdue`}</Badge>
      ) : (
        <Badge kind="works">on time</Badge>
      ),
    ],
    ["Chats that share work", String(chats)],
    ["Connected", String(sockets)],
    ...(storage === null ? [] : [["Storage", `${percent(storage.bytes / storage.limitBytes)} used`] as const]),
    ["Versions", `store ${schemaVersion}, protocol ${protocol}`],
  ];
}

function budgetFacts(value: OutputOf<"budgets.get">, at: number): Fact[] {
  const { today, limits, isDaySpent, dayEndsInMs, chats } = value;
  const limit = limits.day.costMicros;
  const used = `${dollars(today.costMicros / 1e6)}${limit === undefined ? "" : ` of ${dollars(limit / 1e6)}`}`;
  const spent = chats.filter(({ isSpent }) => isSpent).length;
  return [
    ["Cost of tasks", isDaySpent ? <Badge kind="dead">{`${used}: spent`}</Badge> : used],
    ["Tokens of tasks", today.tokens.toLocaleString("en-US")],
    ["Chats over their budget", String(spent)],
    ["Day ends in", <Left ms={dayEndsInMs} at={at} />],
  ];
}

type Token = OutputOf<"tokens.list">["tokens"][number];

function Tokens(): JSX.Element {
  return (
    <section aria-labelledby="tokens">
      <h2 id="tokens">Access tokens</h2>
      <Read name="tokens.list" input={{}}>
        {({ tokens }, at) => (
          <Table<Token>
            caption="Access tokens"
            items={tokens}
            keyOf={({ id }) => id}
            columns={[
              { head: "Machine", cell: ({ machine }) => plain(machine) },
              { head: "Scope", cell: ({ scope }) => scope },
              { head: "Age", cell: ({ ageMs }) => <Age ms={ageMs} at={at} suffix="" /> },
              { head: "Left", cell: ({ expiresInMs: ms }) => ms !== null && <Left ms={ms} at={at} /> },
              { head: "State", cell: ({ isRevoked }) => (isRevoked ? <Badge kind="dead">revoked</Badge> : "good") },
              { head: "Id", cell: ({ id }) => id },
              { head: "", cell: (token) => !token.isRevoked && <ActionButton action={revoke(token)} /> },
            ]}
          />
        )}
      </Read>
    </section>
  );
}

function revoke({ id, machine, scope }: Token): Action {
  return {
    title: `Revoke the ${scope} token of ${plain(machine)}?`,
    effect: [
      "Its connections are closed at once, and its machine is refused until it joins again.",
      "This cannot be undone.",
    ],
    verb: "Revoke",
    isFinal: true,
    run: (requestId) => call("tokens.revoke", { id }, requestId),
    done: "The token is revoked.",
  };
}

function Audit(): JSX.Element {
  const [kind, setKind] = useState("");
  return (
    <section aria-labelledby="audit">
      <h2 id="audit">Audit log, newest first</h2>
      <div class="filters">
        <Field label="Kind, such as task.dead" value={kind} onChange={setKind} />
      </div>
      <Read name="page.audit" input={kind ? { kind } : {}}>
        {({ entries, trouble }, at) => (
          <>
            {trouble && <p class="trouble">{`The log of the team is missing: ${plain(trouble)}`}</p>}
            <Table<AuditEntry>
              caption="Audit log"
              items={entries}
              keyOf={({ seq, kind: name }) => `${name} ${seq}`}
              textsOf={(one) => [one.kind, one.subject, one.actor]}
              none={
                <Empty
                  title="No entry."
                  children="Releases, replays, deaths of tasks and changes of access are written here."
                />
              }
              columns={[
                { head: "Age", cell: ({ ageMs }) => <Age ms={ageMs} at={at} /> },
                {
                  head: "Kind",
                  cell: ({ kind: name }) =>
                    words(
                      name
                        .replace(/^lease/, "lock")
                        .replace("chat.registered", "chat joined")
                        .replace(".", " "),
                    ),
                },
                { head: "Subject", cell: ({ subject }) => <Short text={subject} /> },
                { head: "By", cell: ({ actor }) => actor !== null && <Short text={actor} /> },
                { head: "Detail", cell: ({ detail }) => plain(detailText(detail)) },
              ]}
            />
          </>
        )}
      </Read>
    </section>
  );
}

function detailText(detail: AuditEntry["detail"]): string {
  const entries = typeof detail === "object" && detail !== null ? Object.entries(detail) : [];
  const texts = entries
    // Numbers that only the coordinator's own checks need.
    .filter(([name]) => !/^(?:epoch|incarnation|token)$/.test(name))
    .map(([name, one]) => `${words(name)}: ${typeof one === "object" ? JSON.stringify(one) : one}`);
  return texts.join(", ").replace(/\battested\b/, "its process has ended");
}

/** Ids are long, and the project of a file is a hash of no use to a reader. */
function Short({ text }: { text: string }): JSX.Element {
  const short = text.replace(/^file:[^/]*\//, "").replace(/^([\da-f]{8})-[\da-f-]{27}$/, "$1");
  return <span title={plain(text)}>{plain(short)}</span>;
}
