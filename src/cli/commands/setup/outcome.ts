import { existsSync } from "node:fs";
import { changedClients, type AppliedPlan, type SetupOutcome } from "../../../installer/apply-setup.ts";
import type { ClientProblem, SetupPlan, SetupRequest } from "../../../installer/plan-setup.ts";
import type { Answer } from "../../answer.ts";
import type { Cli } from "../../cli.ts";

export function unchangedAnswer({ plans, problems, link }: SetupPlan, text: string): Answer {
  const clients = plans.map((plan) => toData({ plan, backup: null }));
  return { data: { isApplied: false, clients, problems, link }, text, isFailed: problems.length > 0 };
}

export function installAnswer(cli: Cli, outcome: SetupOutcome): Answer {
  const { done, problems } = outcome;
  const connected = done
    .map(({ plan }) => plan.target)
    .filter(({ label }) => !problems.some((one) => one.label === label));
  const verdict = problems.length === 0 ? ["SHIM is connected."] : clientsAfter("SHIM is connected to", connected);
  const next = "Then `shim up` shows the chat, and `shim doctor` checks everything.";
  const lines = [...verdict, ...problemLines("is not connected", problems), ...restartLines(done), next];
  return toAnswer(cli, outcome, lines);
}

export function removalAnswer(cli: Cli, outcome: SetupOutcome, { client, deletesData }: SetupRequest): Answer {
  const { done, problems } = outcome;
  if (problems.length > 0) {
    const verdict = clientsAfter("SHIM is removed from", changedClients(done));
    const next = "`shim init --remove` removes the rest after that; until then the command and the stored data stay.";
    const lines = [...verdict, ...restartLines(done), ...problemLines("still has SHIM", problems), next];
    return toAnswer(cli, outcome, lines);
  }
  const stored = client === undefined ? storedLines(cli.paths.home, deletesData) : [];
  return toAnswer(cli, outcome, ["SHIM is removed.", ...restartLines(done), ...stored]);
}

/** Name the data that is left, and the commands that delete it. */
function storedLines(home: string, deletesData: boolean): string[] {
  if (!existsSync(home)) return deletesData ? ["Everything that SHIM has stored is deleted."] : [];
  return [
    `Stored data stays in ${home}; \`shim sessions forget ...\` deletes some of it, \`shim init --remove --data\` all of it.`,
  ];
}

function toAnswer(cli: Cli, { done, problems, link }: SetupOutcome, lines: readonly string[]): Answer {
  const backups = done.flatMap(({ backup }) => (backup === null ? [] : [`The files as they were: ${backup}`]));
  const changed = link?.problem === null ? link.plan : null;
  return {
    data: { isApplied: true, clients: done.map(toData), problems, link: changed },
    text: [...backups, ...linkLines(link, cli.io.env["SHELL"] ?? ""), ...lines, ""].join("\n"),
    isFailed: problems.length > 0,
  };
}

function toData({ plan: { target, edits, notes }, backup }: AppliedPlan): unknown {
  const changes = edits.map(({ path, summary }) => ({ path, summary }));
  return { client: target.client, label: target.label, edits: changes, notes, backup };
}

export function problemLines(state: string, problems: readonly ClientProblem[]): string[] {
  return problems.map(({ label, message }) => `${label} ${state}: ${message}`);
}

function clientsAfter(words: string, clients: readonly { readonly label: string }[]): string[] {
  return clients.length === 0 ? [] : [`${words} ${clients.map(({ label }) => label).join(", ")}.`];
}

function restartLines(done: readonly AppliedPlan[]): string[] {
  return changedClients(done).map(({ client, label }) =>
    client === "claude-desktop"
      ? `${label}: quit it completely (tray or menu bar), then start it again.`
      : `${label}: open chats continue as before; start a new one.`,
  );
}

function linkLines(link: SetupOutcome["link"], shell: string): string[] {
  if (link === null) return [];
  const { plan, problem } = link;
  const isMade = plan.action === "create";
  if (problem !== null) return [`The link ${plan.path} was not ${isMade ? "made" : "removed"}: ${problem}`];
  if (!isMade) return [`Removed the link ${plan.path}.`];
  if (plan.isOnPath) return ["`shim` is a command now."];
  const { line, file } = pathLine(shell);
  return [
    `~/.local/bin is not on your PATH yet. For \`shim\` as a command add this line to ${file}, and open a new terminal:`,
    `  ${line}`,
  ];
}

function pathLine(shell: string): { readonly line: string; readonly file: string } {
  if (shell.endsWith("fish")) return { line: "fish_add_path ~/.local/bin", file: "~/.config/fish/config.fish" };
  return { line: 'export PATH="$HOME/.local/bin:$PATH"', file: shell.endsWith("zsh") ? "~/.zshrc" : "~/.bashrc" };
}
