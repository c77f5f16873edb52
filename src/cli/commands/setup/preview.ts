import type { SetupPlan } from "../../../installer/plan-setup.ts";
import { renderPlan } from "../../../installer/render-plan.ts";
import { pluralize } from "../../../shared/format.ts";
import type { Cli } from "../../cli.ts";
import { shortPath, table } from "../../screen-text.ts";

const maxLinesOfFile = 12;

/** [CL76] The diffs, then one line for each file, the link and each folder. */
export function formatPreview(setup: SetupPlan, cli: Cli, isWhole: boolean): string {
  const plans = setup.plans.map((plan) => renderPlan(plan, isWhole ? Infinity : maxLinesOfFile));
  const problems = setup.problems.map(({ label, message }) => `${label}: ${message}\n`);
  return [...plans, ...problems, linkText(setup, cli), formatSummary(setup, cli)]
    .filter((part) => part !== "")
    .join("\n");
}

function linkText({ link, otherShim }: SetupPlan, { command }: Cli): string {
  if (otherShim !== null) return `Note: ${otherShim} is another program; it stays. SHIM is started by: ${command}\n`;
  if (link === null) return "";
  return link.action === "create"
    ? `Make \`shim\` a command\n+++ ${link.path} -> ${link.target}\n`
    : `Remove the command \`shim\`\n--- ${link.path} -> ${link.target}\n`;
}

function formatSummary({ plans, link, own }: SetupPlan, { io }: Cli): string {
  const short = (path: string): string => shortPath(path, io.env["HOME"] ?? "");
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
  return `Summary: ${counts.join(" and ")}\n${table(rows, io.size().columns)}`;
}

const linkVerbs = { create: "makes the link", remove: "removes the link" } as const;
