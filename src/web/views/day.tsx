import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Day, DayLane, DayMark, DaySpan } from "../../contract/machine/page.ts";
import { age } from "../../contract/age.ts";
import { stateWords } from "../../contract/chat-state.ts";
import { count, matches, plain, splitPath } from "../format.ts";
import { linkTo, query } from "../page-state.ts";
import { Empty, Head, Read } from "../parts/pieces.tsx";

const hourMs = 3_600_000;
const choices = [4, 12, 24, 72] as const;

/** A lane for each chat: when it worked, when it waited, and what happened to it. */
export function DayView(): JSX.Element {
  const [hours, setHours] = useState<number>(24);
  return (
    <>
      <Head title="Day" search="Search chats" />
      <div class="filters" role="group" aria-label="How far back">
        {choices.map((one) => (
          <button type="button" key={one} aria-pressed={one === hours} onClick={() => setHours(one)}>
            {one === 72 ? "3 days" : `${one} hours`}
          </button>
        ))}
        <Legend />
      </div>
      <Read name="page.day" input={{ hours }}>
        {(day) => <Lanes day={day} />}
      </Read>
    </>
  );
}

function Legend(): JSX.Element {
  return (
    <span class="legend">
      {(["works", "waits"] as const).map((kind) => (
        <span key={kind} class={kind}>
          <svg aria-hidden="true">
            <rect width="100%" height="100%" rx="2" />
          </svg>
          {stateWords[kind]}
        </span>
      ))}
      {(Object.keys(shapes) as DayMark["kind"][]).map((kind) => (
        <span key={kind}>
          <svg aria-hidden="true">
            <Shape kind={kind} x="50%" />
          </svg>
          {kind}
        </span>
      ))}
    </span>
  );
}

/** Each kind of mark has a shape of its own, so that none depends on its colour. */
function Shape({ kind, x, title }: { kind: DayMark["kind"]; x: string; title?: string }): JSX.Element {
  const named = title !== undefined && <title>{title}</title>;
  return (
    <svg x={x} y="0" width="1" height="100%" overflow="visible" class={`mark ${kind}`}>
      {shapes[kind]}
      {named}
    </svg>
  );
}

const shapes: Readonly<Record<DayMark["kind"], JSX.Element>> = {
  died: <path d="M-5 3 L5 13 M5 3 L-5 13" />,
  ended: <path d="M0 1 V15" />,
  continued: <path class="solid" d="M-4 2 L5 8 L-4 14 Z" />,
  compacted: <path class="solid" d="M0 3 L5 8 L0 13 L-5 8 Z" />,
  conflict: <path class="solid" d="M0 1 L6 14 H-6 Z" />,
};

function Lanes({ day: { hours, lanes, scripts, isAll } }: { day: Day }): JSX.Element {
  const fitting = lanes.filter(({ title, project }) => matches(query.value, [title, project]));
  if (lanes.length === 0)
    return (
      <Empty title="No chat of a person was active in this time.">
        Choose a longer time, or start Claude Code in a project: its lane begins with its first prompt.
      </Empty>
    );
  if (fitting.length === 0) return <Empty title="No chat matches the search." />;
  return (
    <>
      <ol class="lanes">
        <li aria-hidden="true">
          <span />
          <Axis hours={hours} />
        </li>
        {fitting.map((lane) => (
          <li key={lane.id}>
            <span class="name">
              <a href={linkTo("chat", lane.id)}>{plain(lane.title ?? "untitled")}</a>
              <span class="meta">{lane.project === null ? "" : plain(splitPath(lane.project)[0])}</span>
            </span>
            <Lane lane={lane} hours={hours} />
          </li>
        ))}
      </ol>
      {!isAll && <p class="muted">{`Only the ${lanes.length} chats that were active last are shown.`}</p>}
      {scripts > 0 && <p class="muted" children={`and ${count(scripts, "run")} of scripts`} />}
    </>
  );
}

function xOf(ageMs: number, hours: number): number {
  return 100 * (1 - ageMs / (hours * hourMs));
}

function share(value: number): string {
  return `${value.toFixed(2)}%`;
}

/** Full hours by this browser's clock. */
function Axis({ hours }: { hours: number }): JSX.Element {
  const step = hours <= 8 ? 1 : hours <= 24 ? 3 : 12;
  const now = new Date();
  const sinceFull = ((now.getHours() % step) * 60 + now.getMinutes()) * 60_000;
  const ticks = Array.from({ length: Math.floor(hours / step) }, (_, at) => sinceFull + at * step * hourMs);
  return (
    <svg class="lane axis">
      {ticks.map((ageMs) => (
        <text key={ageMs} x={share(xOf(ageMs, hours))} y="12">
          {new Date(now.getTime() - ageMs).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}
        </text>
      ))}
    </svg>
  );
}

function Lane({ lane, hours }: { lane: DayLane; hours: number }): JSX.Element {
  return (
    <svg class="lane" role="img" aria-label={summaryOf(lane)}>
      <line x1="0" x2="100%" y1="8" y2="8" />
      {lane.spans.map((span) => (
        <SpanOf key={`${span.kind} ${span.fromMs}`} span={span} hours={hours} />
      ))}
      {lane.marks.map(({ kind, ageMs, text }, at) => (
        <Shape key={`${at} ${kind}`} kind={kind} x={share(xOf(ageMs, hours))} title={`${text}, ${age(ageMs)} ago`} />
      ))}
    </svg>
  );
}

function SpanOf({ span: { kind, fromMs, toMs }, hours }: { span: DaySpan; hours: number }): JSX.Element {
  const x = xOf(fromMs, hours);
  // A short one is a hair, not nothing.
  const width = Math.max(0.15, xOf(toMs, hours) - x);
  return (
    <rect
      class={kind}
      x={share(x)}
      width={share(width)}
      y={kind === "works" ? 2 : 5}
      height={kind === "works" ? 12 : 6}
    >
      <title>{`${stateWords[kind]}: ${age(fromMs - toMs)}`}</title>
    </rect>
  );
}

/** The picture in words. */
function summaryOf({ state, spans, marks }: DayLane): string {
  const total = (kind: DaySpan["kind"]): number =>
    spans.filter((one) => one.kind === kind).reduce((sum, { fromMs, toMs }) => sum + fromMs - toMs, 0);
  const parts = [
    `now ${stateWords[state]}`,
    `worked ${age(total("works"))}`,
    `waited ${age(total("waits"))}`,
    ...marks.map(({ text, ageMs }) => `${text} ${age(ageMs)} ago`),
  ];
  return plain(parts.join(", "));
}
