/** Pure: what clients write instead of the user's words. */

const tags = [
  "command-name",
  "command-message",
  "command-args",
  "local-command-stdout",
  "local-command-stderr",
  "local-command-caveat",
  "bash-input",
  "bash-stdout",
  "bash-stderr",
  "task-notification",
  "subagent_notification",
  "teammate-message",
  "agent-message",
  "system-reminder",
  "user-prompt-submit-hook",
  "session-start-hook",
  "environment_context",
  "user_instructions",
  "recommended_plugins",
  "turn_aborted",
  "permissions",
  "skills_instructions",
  "INSTRUCTIONS",
  "ide_opened_file",
  "ide_selection",
];
const beginnings = [
  "Caveat: The messages below",
  "This session is being continued from a previous",
  "Base directory for this skill",
  "Stop hook feedback",
  "Another Claude session sent a message:",
  "# AGENTS.md instructions",
  "[Image: source",
];
const interruption = "[Request interrupted by user";

const noteAfterPlan = /\n+If you need specific details from before exiting plan mode \([^\n]*\s*$/;

const startsAsHarness = new RegExp(`^\\s*(?:<(?:${tags.join("|")})\\b|${beginnings.map(literal).join("|")})`);
/** A brief shows a tag without its bracket. */
const harnessForm = new RegExp(
  `(?:<|‹)/?(?:${tags.join("|")})\\b|${[...beginnings.slice(0, 5), interruption].map(literal).join("|")}`,
);

const ownCommands =
  /^\/?(?:compact|clear|model|exit|quit|cost|status|config|login|logout|resume|context|mcp|help|usage|plugins?|effort|fast|memory|hooks|ide|permissions|agents|upgrade|terminal-setup|rename|export|rewind|doctor|bug|vim|theme|add-dir|statusline|output-style|skills|tasks|todos|remote-control|reload-plugins|sandbox|stats|color|btw)$/;

export function isHarnessText(text: string): boolean {
  return startsAsHarness.test(text);
}

export function isInterruption(text: string): boolean {
  return text.trimStart().startsWith(interruption);
}

/** The known forms that stand in this text. */
export function harnessFormIn(text: string): string | null {
  return harnessForm.exec(text)?.[0] ?? null;
}

/** The user's words in a text to which the client has added its own. */
export function withoutClientText(text: string): string {
  return text
    .replaceAll(/<system-reminder>[^]*?<\/system-reminder>/g, "")
    .replace(noteAfterPlan, "")
    .trim();
}

export interface TypedCommand {
  readonly name: string;
  readonly args: string;
  /** The client does it itself, without the model. */
  readonly isOwn: boolean;
}

export function commandIn(text: string): TypedCommand | null {
  const name = /<command-name>([^<]*)/.exec(text)?.[1]?.trim();
  if (name === undefined) return null;
  const args = /<command-args>([^]*?)<\/command-args>/.exec(text)?.[1]?.trim() ?? "";
  return { name, args, isOwn: ownCommands.test(name) };
}

function literal(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
