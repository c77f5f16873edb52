import { diff } from "node:util";
import { harmlessTools } from "../contract/own-tools.ts";
import { pluralize } from "../shared/format.ts";
import type { FileEdit, Piece, Plan } from "./file-edits.ts";
import type { TrustSource } from "./hook-trust.ts";
import type { FoundClient } from "./inspect.ts";
import type { SetupPlan } from "./setup.ts";

/** Clients of the machine, and what of SHIM they have. */
export function foundLines(clients: readonly FoundClient[], store: string): string[] {
  const lines = clients.map(({ label, version, hasHooks, presence }) => {
    const name = version === null ? label : `${label} ${version}`;
    return `  ${name}: ${(hasHooks ? hookWords : serverWords)[presence]}`;
  });
  return ["Found:", ...lines, `  Store: ${store}`];
}

type PresenceWords = Readonly<Record<FoundClient["presence"], string>>;

const hookWords: PresenceWords = {
  whole: "SHIM's hooks are there",
  part: "a part of SHIM is there",
  none: "no hooks of SHIM yet",
};
const serverWords: PresenceWords = { ...hookWords, whole: "SHIM is connected", none: "SHIM is not connected" };

interface ChangeContext {
  readonly isRemoval: boolean;
  /** Hooks that Codex will trust; null: none. */
  readonly trust: TrustSource | null;
  /** A path as a person reads it. */
  readonly short: (path: string) => string;
}

/** With their heading; the question and what was found come beside them. */
const maxChangeLines = 12;

/** Changes of a setup: what each client gets or loses, then a line for each file. */
export function changeLines(setup: SetupPlan, { isRemoval, trust, short }: ChangeContext): string[] {
  const { plans, problems, link, own } = setup;
  const command = isRemoval ? "shim init --remove" : "shim init";
  const edits = plans.flatMap((plan) => plan.edits);
  const unchanged = plans.filter((plan) => plan.edits.length === 0);
  const groups = Map.groupBy(
    plans.filter((plan) => plan.edits.length > 0),
    (plan) => piecesOf(plan.edits).join(", "),
  );
  const paths = [
    ...[...groups].map(([pieces, some]) => `${labelsOf(some)}: ${pieces}`),
    ...edits.map((edit) => `${short(edit.path)}: ${whatOf(edit)}`),
    ...(link === null ? [] : [`${short(link.path)} will ${isRemoval ? "go" : `lead to ${link.target}`}.`]),
    ...own.map(({ path, what }) => `${short(path)}: ${what}.`),
  ];
  const facts = [
    ...(isRemoval ? [] : consentLines(plans, trust)),
    ...problems.map(({ label, message }) => `${label}: ${message}`),
    ...(edits.length === 0 ? [] : [`${isRemoval ? ofRemoval : ofInstall} Every line: \`${command} --diff\`.`]),
  ];
  const heading = paths.length + facts.length > 0 ? ["This will change:"] : [];
  const rest = unchanged.length > 0 ? [`Nothing to change in ${labelsOf(unchanged)}.`] : [];
  const all = [...paths, ...notesOf(setup).map((note) => `Note: ${note}`)].map((line) => `  ${line}`);
  const room = maxChangeLines - facts.length - heading.length - rest.length;
  const shown = all.length <= room ? all : all.slice(0, room - 1);
  const left = all.length - shown.length;
  const more = left > 0 ? [`  and ${left} more: \`${command} --diff\` shows ${left === 1 ? "it" : "them"}`] : [];
  return [...heading, ...shown, ...more, ...facts, ...rest];
}

const ofInstall = "Each file is kept as it was; `shim init --remove` puts it back.";
const ofRemoval = "What is yours in these files stays; a file that SHIM made is deleted.";

function whatOf({ summary }: FileEdit): string {
  const pieces = piecesOf([{ summary }]);
  return (pieces.length > 0 ? pieces : summary.map(({ says }) => says)).join(", ");
}

/** Facts that decide the answer: never cut. */
function consentLines(plans: readonly Plan[], trust: TrustSource | null): string[] {
  const pieces = piecesOf(plans.flatMap(({ edits }) => edits));
  return [
    ...plans.flatMap(({ target, obstacles }) =>
      obstacles.map((message) => `${target.label} will not be connected: ${message}`),
    ),
    pieces.includes("hooks") &&
      "Hooks: they run SHIM at each prompt, tool call and end of a turn, and SHIM records it.",
    pieces.includes("allowed tools") &&
      `Tools: ${pluralize(harmlessTools.length, "tool")} of SHIM that only read or save run without asking; --no-allow prevents that.`,
    trust !== null && `${trust.target.label} will trust SHIM's hooks, else they do not run; --no-trust prevents that.`,
  ].filter((line) => line !== false);
}

/** Notes of one client first: those on all clients may be left out. */
function notesOf({ plans, otherShim }: SetupPlan): string[] {
  const other = otherShim === null ? [] : [otherProgram(otherShim)];
  const all = [...plans.flatMap((plan) => plan.notes), ...other];
  return [...new Set(all)].toSorted((one, two) => one.length - two.length);
}

export function otherProgram(path: string): string {
  return `${path} is another program; it stays. SHIM is started by its full command.`;
}

function piecesOf(edits: readonly Pick<FileEdit, "summary">[]): Piece[] {
  const pieces = edits.flatMap(({ summary }) => summary.flatMap(({ piece }) => piece ?? []));
  return [...new Set(pieces)].toSorted((one, other) => order.indexOf(one) - order.indexOf(other));
}

const order: readonly Piece[] = [
  "MCP server",
  "hooks",
  "trust in hooks",
  "status line",
  "allowed tools",
  "slash commands",
];

function labelsOf(plans: readonly Plan[]): string {
  return plans.map(({ target }) => target.label).join(", ");
}

/** Sum of line counts above which a changed part is shown as removed and added whole. */
const maxComparedLines = 2_000;
const maxLineChars = 160;

export function renderPlan(plan: Plan): string {
  const head = `${plan.action === "install" ? "Set up" : "Remove from"} ${plan.target.label}`;
  const edits = plan.edits.length === 0 ? ["Nothing to change."] : plan.edits.map(renderEdit);
  const notes = plan.notes.map((note) => `Note: ${note}`);
  return `${[head, ...edits, ...notes].join("\n")}\n`;
}

function renderEdit({ path, before, after, summary }: FileEdit): string {
  const changes = after === null ? [] : changedLines(linesOf(before ?? ""), linesOf(after));
  return [
    `--- ${before === null ? "(no file)" : path}`,
    `+++ ${after === null ? "(deleted)" : path}`,
    ...summary.map(({ says }) => `# ${says}`),
    ...changes,
  ].join("\n");
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/);
}

/** Without the lines around them, whose values may be keys of other servers. */
function changedLines(before: readonly string[], after: readonly string[]): string[] {
  const { start, end } = commonEnds(before, after);
  const old = before.slice(start, before.length - end);
  const fresh = after.slice(start, after.length - end);
  if (old.length === 1 && fresh.length === 1) return changedParts(old[0] ?? "", fresh[0] ?? "");
  if (old.length + fresh.length > maxComparedLines)
    return [...old.map((line) => `- ${line}`), ...fresh.map((line) => `+ ${line}`)];
  return diff(old, fresh).flatMap(([side, line], at, all) => {
    if (side !== 0) return `${side > 0 ? "-" : "+"} ${line}`;
    return all[at - 1]?.[0] === 0 ? [] : "@@";
  });
}

/** Parts that differ of a long line, and of one with several keys. */
function changedParts(old: string, fresh: string): string[] {
  const { start, end } = commonEnds(old, fresh);
  const short = (line: string): string =>
    line.length <= maxLineChars && !severalKeys.test(line) ? line : `…${line.slice(start, line.length - end)}…`;
  return [`- ${short(old)}`, `+ ${short(fresh)}`];
}

const severalKeys = /"\s*:.*"\s*:/;

/** Counts the lines, or characters, that both share at their start and at the end of the rest. */
function commonEnds(before: ArrayLike<string>, after: ArrayLike<string>): { start: number; end: number } {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start++;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return { start, end };
}
