import { slashCommands, stepsOf, type SlashCommand } from "../contract/slash-commands.ts";
import { shellWord, type Launch } from "../platform/launch.ts";
import { withShimCommand } from "../platform/shim-command.ts";

/** SHIM's slash commands in one file of a client: `$shim undo` in Codex, else `/shim undo`. */

const mark = "Written by shim init; shim init --remove removes it.";

export function isOwnCommands(text: string): boolean {
  return text.includes(mark);
}

/** @param path of a skill, which other skills stand beside, or of a command of Gemini CLI */
export function commandsText(path: string, { node, script }: Launch, platform: NodeJS.Platform): string {
  const commands = Object.entries<SlashCommand>(slashCommands);
  const about = `Commands of SHIM, which keeps chats alive: ${commands.map(([name]) => name).join(", ")}.`;
  const sections = commands.map(([name, command]) => {
    const steps = stepsOf(command, "<the words after the command>");
    return `## ${`${name} ${command.argument ?? ""}`.trim()}\n\n${command.description}.\n\n${steps}\n`;
  });
  const bodyFor = (given: string): string => `The user typed /shim:${given}, a command of SHIM.
Where its words are not filled in, they are in the user's message. The first word is a section of these: do what the section
says, and nothing of the others. Without one list their headings, each with its first sentence.

${sections.join("\n")}`;
  const text = path.endsWith(".toml")
    ? `# ${mark}\ndescription = "${about}"\nprompt = '''\n${bodyFor("{{args}}")}'''\n`
    : `---
name: shim
description: "${about} Only for a message that calls this skill by its name."
---

<!-- ${mark} -->

${bodyFor("$ARGUMENTS")}`;
  const start = [node, script].map((word) => (platform === "win32" ? `"${word}"` : shellWord(word))).join(" ");
  return withShimCommand(text, () => start);
}
