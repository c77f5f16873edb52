/** Pure: commands of a prompt's first word. */

/** Commands that the clients bring along: their arguments are settings and names, not work. */
const builtIn = new Set(
  `add-dir agents allowed-tools approvals app apps auth bashes branch bug cancel cd chat clear compact compress config connect context copy corgi cost cwd
  debug diff directory docs doctor editor effort exit experimental export extensions extra-usage fast feedback files fork goal help hooks ide init install
  install-github-app install-slack-app keybindings language keymap list-dirs list-tools login logout logs mcp memory migrate-installer mobile model models new
  output-style passes permissions permission-mode personality plan plugin plugins pr-comments privacy-settings privacy provider providers quit
  rate-limit-options read-only release-notes reload reload-plugins remote remote-control remote-env rename reset-allowed-tools reset resume rewind rollout
  sandbox save session sessions set settings setup setup-github setup-token share skills stats status statusline stop stickers subagents summary
  tag tasks teleport terminal-setup terms test-approval theme themes thinkback title todos tools trust undo unshare upgrade usage user vim vimode
  voice web yolo`.split(/\s+/),
);

const form = /^\/([\w:.-]+)(?:\s+([\s\S]*))?$/;

/** SHIM's skill, as Codex calls it. */
const skill = /^\$shim(?:\s|$)/;

/** The client's own, whose arguments are the user's words all the same. */
const withWords = new Set(["compact", "plan"]);

/** Commands that ask for no work: the client's own, and those of SHIM. */
export function isSlashCommand(prompt: string): boolean {
  if (skill.test(prompt)) return true;
  const [found, name = "", given = ""] = form.exec(prompt) ?? [];
  const command = name.toLowerCase();
  if (found === undefined || (withWords.has(command) && given.trim() !== "")) return false;
  return builtIn.has(command) || command.startsWith("shim");
}

const clearing = /^(?:clear|off|stop|done|none|reset|cancel)$/i;

/** The condition that `/goal` sets, null where it clears it. Returns null for any other prompt. */
export function goalOfCommand(prompt: string): { readonly condition: string | null } | null {
  const condition = /^\/goal\s+([\s\S]+)$/.exec(prompt)?.[1]?.trim();
  if (condition === undefined) return null;
  return { condition: clearing.test(condition) ? null : condition.replaceAll(/\s+/g, " ") };
}
