import { join } from "node:path";
import { apply } from "../../../installer/apply.ts";
import type { ClientRefusal } from "../../../installer/client-files.ts";
import { applyLink, type LinkPlan } from "../../../installer/command-link.ts";
import type { Plan } from "../../../installer/file-edits.ts";
import { makeCopy, planCopy } from "../../../installer/program-copy.ts";
import type { ClientTarget } from "../../../installer/targets.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { failed, type Answer } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import type { Io } from "../../io.ts";
import { clientFindings } from "../../../local-mcp/host/client-states.ts";
import { clientBackups, finishUninstall, type Scope } from "./own-folders.ts";
import type { ClientProblem, PreparedChanges } from "./preview.ts";

/** Stops at the first client whose files cannot be written. */
export function applyInstall(cli: Cli, { plans, link }: PreparedChanges): CommandResult {
  const copy = planCopy(cli.io.launch, cli.paths.home);
  if (copy !== null) makeCopy(copy);
  const done: AppliedPlan[] = [];
  for (const plan of plans) {
    const applied = applyOne(cli, plan);
    if (!applied.ok) {
      const { code, message } = applied.error;
      return failed(code, [message, ...clientsAfter("Already changed:", changedTargets(done))].join(" "));
    }
    done.push(applied.value);
  }
  const linked = changeLink(cli, link);
  const problems = connectionProblems(cli, plans);
  const connected = plans
    .map(({ target }) => target)
    .filter(({ label }) => !problems.some((one) => one.label === label));
  const verdict = problems.length === 0 ? ["SHIM is connected."] : clientsAfter("SHIM is connected to", connected);
  const next = "Then `shim up` shows the chat, and `shim doctor` checks everything.";
  const steps = [...verdict, ...problemLines("is not connected", problems), ...restartLines(done), next];
  return ok(toAnswer(cli, { done, problems, linked, steps }));
}

/** [IN101] While a client still has SHIM, the command and what is stored stay. */
export function applyRemoval(cli: Cli, changes: PreparedChanges, scope: Scope): CommandResult {
  const done: AppliedPlan[] = [];
  const problems = [...changes.problems];
  for (const plan of changes.plans) {
    const applied = applyOne(cli, plan);
    if (applied.ok) done.push(applied.value);
    else problems.push(toProblem(plan.target, applied.error));
  }
  const isWhole = problems.length === 0;
  const linked = changeLink(cli, isWhole ? changes.link : null);
  const stored = isWhole && scope.client === undefined ? finishUninstall(cli, scope.data === true) : [];
  const verdict = isWhole ? ["SHIM is removed."] : clientsAfter("SHIM is removed from", changedTargets(done));
  const next = "`shim init --remove` removes the rest after that; until then the command and the stored data stay.";
  const rest = isWhole ? stored : [...problemLines("still has SHIM", problems), next];
  return ok(toAnswer(cli, { done, problems, linked, steps: [...verdict, ...restartLines(done), ...rest] }));
}

interface AppliedPlan {
  readonly plan: Plan;
  readonly backup: string | null;
}

function applyOne(cli: Cli, plan: Plan): Result<AppliedPlan, ClientRefusal> {
  const backups = clientBackups(cli);
  const applied = apply(plan, { now: cli.io.now(), backups });
  if (applied.ok) return ok({ plan, backup: applied.value.backup });
  const { path, message } = applied.error;
  const advice = "Make that folder one that your user can write to, or set SHIM_HOME to one.";
  return err(path === backups ? { ...applied.error, message: `${message} ${advice}` } : applied.error);
}

export function toProblem({ client, label }: ClientTarget, { message }: ClientRefusal): ClientProblem {
  return { client, label, message };
}

/** [IN24] The failures of these clients, as `doctor` finds them. */
export function connectionProblems(cli: Cli, plans: readonly Plan[]): ClientProblem[] {
  const errors = clientFindings({ site: cli.io, paths: cli.paths }).filter(({ severity }) => severity === "error");
  return plans.flatMap(({ target: { client, label } }) =>
    errors
      .filter(({ text }) => text.startsWith(`${label}: `))
      .map(({ text, fix }) => ({ client, label, message: [text.slice(label.length + 2), fix ?? ""].join(". ") })),
  );
}

export function problemLines(state: string, problems: readonly ClientProblem[]): string[] {
  return problems.map(({ label, message }) => `${label} ${state}: ${message}`);
}

export function withoutChanges({ plans, problems, link }: PreparedChanges, text: string): Answer {
  const clients = plans.map((plan) => toData({ plan, backup: null }));
  return { data: { isApplied: false, clients, problems, link }, text, isFailed: problems.length > 0 };
}

interface Outcome {
  readonly done: readonly AppliedPlan[];
  readonly problems: readonly ClientProblem[];
  readonly linked: ChangedLink;
  readonly steps: readonly string[];
}

function toAnswer(cli: Cli, { done, problems, linked, steps }: Outcome): Answer {
  // [IP11] A removal that gave all files their first texts deletes the copies.
  const isKept = (backup: string | null): backup is string => backup !== null && cli.io.machine.exists(backup);
  const kept = done.map(({ plan, backup }) => ({ plan, backup: isKept(backup) ? backup : null }));
  const backupLines = kept.flatMap(({ backup }) => (backup === null ? [] : [`The files as they were: ${backup}`]));
  return {
    data: { isApplied: true, clients: kept.map(toData), problems, link: linked.link },
    text: [...backupLines, ...linked.lines, ...steps, ""].join("\n"),
    isFailed: problems.length > 0,
  };
}

function toData({ plan: { target, edits, notes }, backup }: AppliedPlan): unknown {
  const changes = edits.map(({ path, summary }) => ({ path, summary }));
  return { client: target.client, label: target.label, edits: changes, notes, backup };
}

function clientsAfter(words: string, targets: readonly ClientTarget[]): string[] {
  return targets.length === 0 ? [] : [`${words} ${targets.map(({ label }) => label).join(", ")}.`];
}

function changedTargets(done: readonly AppliedPlan[]): ClientTarget[] {
  return done.filter(({ plan }) => plan.edits.length > 0).map(({ plan }) => plan.target);
}

function restartLines(done: readonly AppliedPlan[]): string[] {
  return changedTargets(done).map(({ client, label }) =>
    client === "claude-desktop"
      ? `${label}: quit it completely (tray or menu bar), then start it again.`
      : `${label}: open chats continue as before; start a new one.`,
  );
}

export function linkRecord(cli: Cli): string {
  return join(cli.paths.home, "command-link.json");
}

interface ChangedLink {
  readonly link: LinkPlan | null;
  readonly lines: readonly string[];
}

function changeLink(cli: Cli, link: LinkPlan | null): ChangedLink {
  if (link === null) return { link, lines: [] };
  const problem = applyLink(link, linkRecord(cli));
  return { link: problem === null ? link : null, lines: linkLines(link, problem, cli.io.env) };
}

function linkLines({ action, path, isOnPath }: LinkPlan, problem: string | null, env: Io["env"]): string[] {
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
