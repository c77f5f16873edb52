import type { LinkState } from "../backend.ts";
import { timeText } from "../format.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import type { Fleet, FleetRow } from "../../contract/machine/page.ts";
import type { OpenRequest } from "../../contract/machine/requests.ts";

/** Pure. One answer from those of several machines, each thing with the machine that has it. */

export interface Given<T> {
  /** Its name. */
  readonly machine: string;
  readonly value: T;
}

/** A machine that did not answer. */
export interface Missing {
  readonly phone: { readonly machine: string };
  readonly state: LinkState;
}

/** Calls that all machines answer. */
export type Mergeable = "page.fleet" | "page.day" | "page.messages" | "runs.list";

export const merge: {
  readonly [Name in Mergeable]: (
    given: readonly Given<MachineOutput<Name>>[],
    missing: readonly Missing[],
  ) => MachineOutput<Name>;
} = {
  "page.fleet": fleetOf,
  "page.day": (given) => ({
    hours: given[0]?.value.hours ?? 0,
    lanes: given.flatMap(({ value }) => value.lanes).toSorted((a, b) => lastAge(a) - lastAge(b)),
    scripts: sum(given.map(({ value }) => value.scripts)),
    isAll: given.every(({ value }) => value.isAll),
  }),
  "runs.list": (given) => ({
    projects: given.flatMap(({ value }) => value.projects),
    clients: firstOf(
      given.flatMap(({ value }) => value.clients),
      ({ name }) => name,
    ),
    runs: given.flatMap(({ value }) => value.runs).toSorted((a, b) => b.ageMs - a.ageMs),
  }),
  "page.messages": (given) => {
    const all = given.flatMap(({ value }) => value.messages).toSorted((a, b) => a.ageMs - b.ageMs);
    // Each machine counts its own.
    return { messages: all.map(numbered) };
  },
};

type Message = MachineOutput<"page.messages">["messages"][number];

function numbered(message: Message, id: number): Message {
  return { ...message, id };
}

type Lane = MachineOutput<"page.day">["lanes"][number];

function lastAge({ spans, marks }: Lane): number {
  return Math.min(...spans.map(({ toMs }) => toMs), ...marks.map(({ ageMs }) => ageMs));
}

function fleetOf(given: readonly Given<Fleet>[], missing: readonly Missing[]): Fleet {
  const named = given.flatMap(({ machine, value }) =>
    value.rows.map((row) => ({ row, isOwn: row.machine === null, machine })),
  );
  const own = new Set(named.filter(({ isOwn }) => isOwn).map(({ row }) => row.id));
  const rows = named.filter(({ row, isOwn }) => isOwn || !own.has(row.id));
  const known = new Set(rows.map(({ row }) => row.id));
  const chats = given.flatMap(({ value }) => value.chats);
  const costs = given.flatMap(({ value }) => value.costUsdToday ?? []);
  const from = (texts: (fleet: Fleet) => readonly string[]): string[] =>
    given.flatMap(({ machine, value }) => texts(value).map((text) => `${machine}: ${text}`));
  return {
    rows: firstOf(
      rows.map(({ row, machine }) => withMachine(row, machine)),
      ({ id }) => id,
    ),
    ended: sum(given.map(({ value }) => value.ended ?? 0)),
    scripts: sum(given.map(({ value }) => value.scripts ?? 0)),
    // The registry of their workspace has chats of both.
    chats: firstOf(
      chats.filter(({ chat, session }) => !known.has(chat) && !known.has(session)),
      ({ chat }) => chat,
    ),
    where: given.map(({ machine }) => machine).join(", "),
    costUsdToday: costs.length === 0 ? null : sum(costs),
    unpricedTokensToday: sum(given.map(({ value }) => value.unpricedTokensToday)),
    notices: [...missing.map(awayText), ...from(({ notices }) => notices)],
    conflicts: given.flatMap(({ value }) => value.conflicts),
    requests: given.flatMap(({ machine, value }) => (value.requests ?? []).map((one) => onMachine(one, machine))),
    answers: given.flatMap(({ value }) => value.answers ?? []),
    trouble: from(({ trouble }) => (trouble === null ? [] : [trouble]))[0] ?? null,
  };
}

function withMachine(row: FleetRow, machine: string): FleetRow {
  return { ...row, machine: row.machine ?? machine };
}

function onMachine(request: OpenRequest, machine: string): OpenRequest {
  return { ...request, client: `${request.client} · ${machine}` };
}

/** Why a machine's chats are not in a list. */
function awayText({ phone, state }: Missing): string {
  const why = state.isLive ? `${phone.machine} did not answer` : `${state.why} (last heard ${timeText(state.since)})`;
  return `${why}: its chats are not shown.`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

/** Each once, the first of those with one key. */
function firstOf<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  const seen = new Set<string>();
  return items.filter((item) => seen.size < seen.add(keyOf(item)).size);
}
