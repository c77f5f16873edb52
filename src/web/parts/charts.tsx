import type { JSX } from "preact";
import { percent } from "../format.ts";

/** Pictures of a few numbers. What they show is said in words beside them, or in their label. */

/** A share of the context is a matter of note from here on. */
const full = { warn: 0.75, bad: 0.9 };

function toneOf(share: number): string {
  return share >= full.bad ? "bad" : share >= full.warn ? "warn" : "";
}

/** The bar is for the eye, its share for all. @param label only read out */
export function Meter({ share, label }: { share: number; label: string }): JSX.Element {
  return (
    <span class={`share ${toneOf(share)}`}>
      <svg class="meter" aria-hidden="true">
        <rect width="100%" height="100%" rx="3" />
        <rect width={`${100 * Math.min(1, share)}%`} height="100%" rx="3" />
      </svg>
      <span class="hidden">{`${label} `}</span>
      {percent(share)}
    </span>
  );
}

export interface Point {
  readonly ageMs: number;
  readonly share: number;
}

const width = 300;
const height = 48;

/** How full the context was, over the life of a chat. */
export function ContextChart({ points }: { points: readonly Point[] }): JSX.Element | null {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last || points.length < 2) return null;
  const spanMs = Math.max(1, first.ageMs - last.ageMs);
  const at = ({ ageMs, share }: Point): string =>
    `${(((first.ageMs - ageMs) / spanMs) * width).toFixed(1)} ${((1 - Math.min(1, share)) * height).toFixed(1)}`;
  const line = `M${points.map(at).join("L")}`;
  return (
    <svg
      class={`chart ${toneOf(last.share)}`}
      role="img"
      aria-label={`The context, from ${percent(first.share)} to ${percent(last.share)}`}
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
    >
      <line x1="0" x2={width} y1={height} y2={height} />
      <path class="area" d={`${line}L${width} ${height}L0 ${height}Z`} />
      <path d={line} />
    </svg>
  );
}

/** A bar for each of them, the newest at the right; none for a value of 0. */
export function Bars({ values, label }: { values: readonly number[]; label: string }): JSX.Element {
  const most = Math.max(...values, Number.MIN_VALUE);
  const step = 100 / Math.max(1, values.length);
  return (
    <svg class="chart" role="img" aria-label={label} viewBox={`0 0 100 ${height}`} preserveAspectRatio="none">
      <line x1="0" x2="100" y1={height} y2={height} />
      {values.map((value, at) => {
        const tall = (value / most) * (height - 2);
        return <rect key={at} x={at * step} y={height - tall} width={step * 0.7} height={tall} />;
      })}
    </svg>
  );
}

/** Parts of a whole, each in the colour of its state. Words beside it say the numbers. */
export function Portions({ parts }: { parts: readonly (readonly [tone: string, value: number])[] }): JSX.Element {
  const whole = Math.max(
    1,
    parts.reduce((sum, [, value]) => sum + value, 0),
  );
  let before = 0;
  return (
    <svg class="portions" aria-hidden="true">
      {parts.map(([tone, value]) => {
        const x = before;
        before += (100 * value) / whole;
        return <rect key={tone} class={tone} x={`${x}%`} width={`${before - x}%`} height="100%" />;
      })}
    </svg>
  );
}
