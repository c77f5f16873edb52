import type { FileComparison } from "../../snapshots/file-state.ts";
import { oneLine } from "./brief-text.ts";
import { age as ageOf } from "../../shared/format.ts";
import type { Elsewhere } from "./restoration.ts";

const maxTasks = 8;

/** Pure. [RE22] The name is outside of the fence, and another machine has chosen it. */
export function formatMachine({ machine }: Elsewhere): string {
  return ` on another machine (${quotedMachine(machine)})`;
}

function quotedMachine(machine: string): string {
  return machine.replaceAll(/shim-recovered-session|[^\w.@-]+/gi, "-").slice(0, 60);
}

export function aboutLines({ machine, root }: Elsewhere): string[] {
  return [`it ran on: ${quotedMachine(machine)}, in ${root?.slice(0, 300) ?? "no project folder"} there`];
}

export const fileStateText: Record<FileComparison, string> = {
  same: "the same here",
  changed: "DIFFERENT here",
  missing: "NOT HERE",
  unknown: "not verified",
};

export function gitLine({ hasCommit }: Elsewhere, then: string, now: string | null): string {
  if (now === null) return `git: there ${then}; here it cannot be read`;
  if (then === now) return `git: ${then}, the same here`;
  const commit =
    hasCommit === null
      ? "not known whether that commit is here"
      : hasCommit
        ? "that commit is in the repository here"
        : "that commit is NOT HERE: it was not pushed, or not fetched";
  return `git: there ${then} (${commit}); here ${now} (DIFFERENT)`;
}

/** @param now epoch ms */
export function syncLines(elsewhere: Elsewhere, session: string, now: number): string[] {
  const { unsaved, lost, tasks, syncedUntil } = elsewhere;
  const later =
    unsaved === 0
      ? ""
      : `; ${formatEvents(unsaved)} after the checkpoint came with it, and ${unsaved === 1 ? "is" : "are"} in this`;
  const hidden = tasks.length - maxTasks;
  return [
    `not synced: ${lost === null ? "" : `${lost}; `}whatever it did after ${ageOf(now - syncedUntil)} ago${later}`,
    filesLine(elsewhere, session, now),
    ...tasks.slice(0, maxTasks).map((line) => `its task: ${line}`),
    ...(hidden > 0 ? [`and ${hidden} more tasks`] : []),
  ];
}

/** [RE28] */
function filesLine({ machine, uncommitted }: Elsewhere, session: string, now: number): string {
  const why = uncommitted?.notThere ? oneLine(uncommitted.notThere, 200) : null;
  if (uncommitted === null || uncommitted.at === null)
    return `files as they were: on ${quotedMachine(machine)} only, where SHIM's snapshots of them are; what was neither pushed nor copied is not here${why === null ? "" : ` (${why})`}`;
  const { at, missingCommit } = uncommitted;
  const first =
    missingCommit === null
      ? ""
      : ` (they are based on commit ${missingCommit.slice(0, 12)}, which is NOT HERE: \`git fetch\` first)`;
  const newer = why === null ? "" : `; newer ones are on ${quotedMachine(machine)} only: ${why}`;
  return `files as they were ${ageOf(now - at)} ago, uncommitted ones too: \`shim restore ${session} --files\` puts them into a new folder${first}${newer}`;
}

export function formatEvents(count: number): string {
  return count === 1 ? "1 event" : `${count} events`;
}
