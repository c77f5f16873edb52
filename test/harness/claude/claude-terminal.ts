import { Terminal } from "#harness/clients/terminal.ts";
import { claudeBinary } from "../../../scripts/install-claude.ts";
import { type ClaudeOptions, cleanEnv, commonArgs, skipFirstRunDialogs } from "./claude-code.ts";

const PROMPT_SIGN = "\u276F";

/**
 * Claude Code with its full screen. The first-run dialogs are answered beforehand in the home's
 * .claude.json. Resolves when a prompt can be typed.
 *
 * @param socket path for that of the terminal
 */
export async function openClaude(options: ClaudeOptions, socket: string): Promise<Terminal> {
  skipFirstRunDialogs(options.home, options.cwd);
  const words = [options.binary ?? claudeBinary(), ...commonArgs(options)];
  const terminal = await Terminal.open({ socket, cwd: options.cwd, env: cleanEnv(options), words });
  await terminal.shows(PROMPT_SIGN);
  return terminal;
}
