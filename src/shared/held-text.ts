import type { Held, HeldGoesTo } from "../contract/machine/handover.ts";
import { firstOf, oneLine, pluralize } from "./format.ts";

/** Pure. In words, what a chat of a handed-over session held, and who gets it. */

const maxNamed = 10;

/** @returns "" for nothing */
export function heldNames({ files, leads, tasks }: Held): string {
  const paths = files.map((resource) => resource.slice(resource.indexOf("/") + 1));
  return [
    ...(files.length > 0 ? [`${pluralize(files.length, "reserved file")} (${firstOf(paths, maxNamed)})`] : []),
    ...(leads.length > 0 ? [`the lead of ${firstOf(leads, maxNamed)}`] : []),
    ...tasks.slice(0, maxNamed).map(taskName),
    ...(tasks.length > maxNamed ? [`${tasks.length - maxNamed} more tasks`] : []),
  ]
    .map((name) => oneLine(name))
    .join(", ");
}

function taskName({ task, type, excerpt }: Held["tasks"][number]): string {
  return `task ${task} (${type}${excerpt === "" ? "" : `: ${excerpt}`})`;
}

export function heldText(held: Held, goesTo: HeldGoesTo): string {
  const names = heldNames(held);
  switch (goesTo) {
    case "taker":
      return `Its chat held ${names}: the chat that continues it on this machine gets what no other chat has by then.`;
    case "others":
      return `Its chat held ${names}: this machine is not in that workspace, so they are free for others there.`;
    case "giver":
      return `Its chat holds ${names}, and keeps them.`;
  }
}
