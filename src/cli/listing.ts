import type { Help } from "commander";

/** The text of `shim --help`, without the commands: a program that loads none of them prints it. */

/** Names with their line; null: only `shim help --all` lists the command. */
export const commandGroups = {
  "Set up": {
    init: "connect the AI clients of this machine; --remove undoes it",
    doctor: "check everything, and say how to fix what is wrong",
    config: "show and change the settings of this machine",
    pair: "see your chats on a phone, and answer them there",
    pause: "record nothing for a while",
  },
  Sessions: {
    up: "watch sessions, tasks and chats; --web: in a browser",
    sessions: "list sessions; show, search, name or export them",
    requests: "what chats ask you: permissions, questions, plans",
    runs: "start a client without a terminal, or stop one",
    resume: "continue a session that died",
    rescue: "find out why a session cannot continue, and repair that",
    fork: "start again from an earlier prompt, with its files",
    give: "hand a session to another person or machine",
    withdraw: "withdraw the link of a session that was given",
    take: "continue a session that was handed over",
    undo: "take back what a chat changed since a prompt",
    restore: "put files back as they were at a checkpoint",
    forget: "delete a session or a project, with every copy",
    effects: "list what cannot be undone: pushes, deployments",
    cost: "tokens and cost of the chats of this machine",
  },
  "Work as a team": {
    team: "chats, messages, reserved files, budgets, settings",
    task: "submit tasks, and see how far they are",
    worker: "do tasks with a program or with Claude Code",
    workspace: "share all this between machines: create, join, leave",
  },
  Improve: {
    code: "analyze, transform and improve a project's code",
    report: "what the records of a week say, and what to change",
    experiment: "try other values of settings on some sessions",
  },
  "Everything else": {
    completion: null,
    call: null,
    phones: null,
    demo: null,
  },
  "Started by clients": {
    statusline: null,
    mcp: null,
    hook: null,
  },
} as const;

type Groups = typeof commandGroups;
export type CommandName = { [Title in keyof Groups]: keyof Groups[Title] }[keyof Groups];

export const description = "Keeps AI chat sessions alive: nothing a chat knew or was doing is lost when it dies.";

/** One line for each command that a person types; no command's module is loaded for it. */
export function firstHelp(help: Help): string {
  const typed = Object.entries<Readonly<Record<string, string | null>>>(commandGroups).map(([title, commands]) => {
    const lines = Object.entries(commands).flatMap(([name, line]) => (line === null ? [] : [{ name, line }]));
    return { title, lines };
  });
  const width = Math.max(...typed.flatMap(({ lines }) => lines.map(({ name }) => name.length)));
  const blocks = typed.flatMap(({ title, lines }) => {
    const shown = lines.map(({ name, line }) => `${help.formatItem(name, width, line, help)}\n`);
    return shown.length === 0 ? [] : [`${title}:\n${shown.join("")}\n`];
  });
  const wrap = (text: string): string => help.boxWrap(text, help.helpWidth ?? 80);
  return `Usage: shim <command> [options]\n\n${wrap(description)}\n\n${blocks.join("")}${wrap(closing)}\n`;
}

const closing =
  "Ids may be shortened to any unique prefix. Every command has --json. Exit codes: 0 done, 1 failed, 2 wrong usage or ambiguous, 3 not found, 78 unusable Node. SHIM_HOME names the folder of all stored data; NO_COLOR switches colors off; SHIM_DEBUG=1 shows where an error came from.\n`shim help <command>` has the options of one and an example, `shim help --all` lists the rest.";

export function helpWidth(columns: number): number {
  return Math.min(100, columns);
}
