import type { LinkPlan } from "../../../installer/command-link.ts";
import type { Plan } from "../../../installer/plan.ts";
import type { Io } from "../../io.ts";
import { pluralize, shortPath, table } from "../../screen-text.ts";

interface InitChanges {
  readonly plans: readonly Plan[];
  readonly link: LinkPlan | null;
  readonly linkNote: string | null;
}

export function linkText({ link, linkNote }: InitChanges): string {
  if (linkNote !== null) return `Note: ${linkNote}\n`;
  if (link === null) return "";
  return link.action === "create"
    ? `Make \`shim\` a command\n+++ ${link.path} -> ${link.target}\n`
    : `Remove the command \`shim\`\n--- ${link.path} -> ${link.target}\n`;
}

/** [CL76] */
export function formatSummary({ plans, link }: InitChanges, { env, size }: Pick<Io, "env" | "size">): string {
  const home = env["HOME"] ?? "";
  const edits = plans.flatMap(({ target, edits: all }) => all.map((edit) => ({ label: target.label, edit })));
  if (edits.length === 0 && link === null) return "";
  const rows = edits.map(({ label, edit }) => [` ${label}`, shortPath(edit.path, home), edit.summary.join("; ")]);
  const linkVerb = link?.action === "create" ? "makes the link" : "removes the link";
  const linkRow = link === null ? [] : [[" command", shortPath(link.path, home), linkVerb]];
  const counts = [edits.length > 0 && pluralize(edits.length, "file"), link !== null && "1 link"]
    .filter(Boolean)
    .join(" and ");
  return `Summary: ${counts}\n${table([...rows, ...linkRow], size().columns)}`;
}

export function linkResult({ action, path, isOnPath }: LinkPlan, problem: string | null, env: Io["env"]): string[] {
  if (problem !== null) return [`The link ${path} was not ${action === "create" ? "made" : "removed"}: ${problem}`];
  if (action === "remove") return [`Removed the link ${path}.`];
  if (isOnPath) return ["`shim` is a command now."];
  const { line, file } = pathLine(env["SHELL"] ?? "");
  return [
    `~/.local/bin is not on your PATH yet. For \`shim\` as a command add this line to ${file}, and open a new terminal:`,
    `  ${line}`,
  ];
}

function pathLine(shell: string): { readonly line: string; readonly file: string } {
  if (shell.endsWith("fish")) return { line: "fish_add_path ~/.local/bin", file: "~/.config/fish/config.fish" };
  return { line: 'export PATH="$HOME/.local/bin:$PATH"', file: shell.endsWith("zsh") ? "~/.zshrc" : "~/.bashrc" };
}
