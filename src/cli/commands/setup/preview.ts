import { pluralize } from "../../../shared/format.ts";
import type { LinkPlan } from "../../../installer/command-link.ts";
import type { Plan } from "../../../installer/file-edits.ts";
import { renderPlan } from "../../../installer/render-plan.ts";
import type { ClientTarget } from "../../../installer/targets.ts";
import type { Io } from "../../io.ts";
import { shortPath, table } from "../../screen-text.ts";
import type { OwnFolder } from "./own-folders.ts";

/** Why SHIM is not connected to a client, or not removed from it. */
export interface ClientProblem {
  readonly client: ClientTarget["client"];
  readonly label: string;
  readonly message: string;
}

/** All that `init` or `init --remove` would change. */
export interface PreparedChanges {
  readonly plans: readonly Plan[];
  readonly problems: readonly ClientProblem[];
  readonly link: LinkPlan | null;
  readonly linkNote: string | null;
  readonly own: readonly OwnFolder[];
}

export function hasChanges({ plans, link, own }: PreparedChanges): boolean {
  return link !== null || own.length > 0 || plans.some((plan) => plan.edits.length > 0);
}

const maxLinesOfFile = 12;

/** [CL76] The diffs, then one line for each file, the link and each folder. */
export function formatPreview(changes: PreparedChanges, io: Pick<Io, "env" | "size">, isWhole: boolean): string {
  const plans = changes.plans.map((plan) => renderPlan(plan, isWhole ? Infinity : maxLinesOfFile));
  const problems = changes.problems.map(({ label, message }) => `${label}: ${message}\n`);
  return [...plans, ...problems, linkText(changes), formatSummary(changes, io)]
    .filter((part) => part !== "")
    .join("\n");
}

function linkText({ link, linkNote }: PreparedChanges): string {
  if (linkNote !== null) return `Note: ${linkNote}\n`;
  if (link === null) return "";
  return link.action === "create"
    ? `Make \`shim\` a command\n+++ ${link.path} -> ${link.target}\n`
    : `Remove the command \`shim\`\n--- ${link.path} -> ${link.target}\n`;
}

function formatSummary({ plans, link, own }: PreparedChanges, { env, size }: Pick<Io, "env" | "size">): string {
  const short = (path: string): string => shortPath(path, env["HOME"] ?? "");
  const files = plans.flatMap(({ target, edits }) =>
    edits.map(({ path, summary }) => [` ${target.label}`, short(path), summary.join("; ")]),
  );
  const links = link === null ? [] : [[" command", short(link.path), linkVerbs[link.action]]];
  const folders = own.map(({ path, what }) => [" SHIM", short(path), what]);
  const rows = [...files, ...links, ...folders];
  if (rows.length === 0) return "";
  const counts = Object.entries({ file: files, link: links, folder: folders })
    .filter(([, some]) => some.length > 0)
    .map(([name, some]) => pluralize(some.length, name));
  return `Summary: ${counts.join(" and ")}\n${table(rows, size().columns)}`;
}

const linkVerbs = { create: "makes the link", remove: "removes the link" } as const;
