import { shimCommand, withShimCommand, type CommandSource } from "../../platform/shim-command.ts";

/** Events that show a problem to the user: once a turn, not at every tool. */
export const problemEvents: ReadonlySet<string> = new Set(["SessionStart", "UserPromptSubmit"]);

/** @param isLater whether the event waits in the spool */
export function problemText(source: CommandSource, reason: string, isLater: boolean): string {
  const consequence = isLater ? "Events wait in the spool until it can." : "Events are lost until it can.";
  const text = `SHIM cannot save: ${reason} ${consequence} Run \`shim doctor\`.`;
  return withShimCommand(text, () => shimCommand(source));
}
