import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { plain } from "../format.ts";
import { diffLines, type DiffLine } from "./line-diff.ts";

interface DiffProps {
  readonly path: string;
  readonly before: string;
  readonly after: string;
}

const classes: Readonly<Record<DiffLine["sign"], string>> = { "+": "added", "-": "removed", " ": "" };

/** An edit: its lines with their numbers in the texts of the call. */
export function Diff({ path, before, after }: DiffProps): JSX.Element {
  const lines = useMemo(() => diffLines(plain(before), plain(after)), [before, after]);
  return (
    <figure class="diff">
      <figcaption>{plain(path)}</figcaption>
      <div class="wide" tabIndex={0} role="region" aria-label={`Changes of ${plain(path)}`}>
        <table>
          <tbody>
            {lines.map(({ sign, text, before: old, after: now }, at) => (
              <tr key={at} class={classes[sign]}>
                <td class="line-number">{old}</td>
                <td class="line-number">{now}</td>
                <td class="sign">{sign}</td>
                <td class="text">{text}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}
