import type { JSX } from "preact";
import type { OpenedCall } from "../../contract/machine/conversation.ts";
import { count, plain } from "../format.ts";

const classes: Readonly<Record<string, string>> = { "+": "added", "-": "removed" };

/** An edit: its lines with their numbers in the texts of the call. */
export function Diff({ path, diff, left }: OpenedCall["edits"][number]): JSX.Element {
  const number = { before: 0, after: 0 };
  // A machine of another version may send none.
  const lines = diff ? plain(diff).split("\n") : [];
  return (
    <figure class="diff">
      <figcaption>{plain(path)}</figcaption>
      <div class="wide" tabIndex={0} role="region" aria-label={`Changes of ${plain(path)}`}>
        <table>
          <tbody>
            {lines.map((line, at) => {
              const sign = line.slice(0, 1);
              return (
                <tr key={at} class={classes[sign] ?? ""}>
                  <td class="line-number">{sign === "+" ? null : (number.before += 1)}</td>
                  <td class="line-number">{sign === "-" ? null : (number.after += 1)}</td>
                  <td class="sign">{sign}</td>
                  <td class="text">{line.slice(1)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {left > 0 && <p class="muted">{`and ${count(left, "line")} more`}</p>}
    </figure>
  );
}
