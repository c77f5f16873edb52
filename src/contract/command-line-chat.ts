/** Client of the chat that stands for the command line of a machine. */
export const commandLine = "shim command line";

export function commandLineChat(machine: string): string {
  return `cli-${machine.replaceAll(/[^\w.:@-]/g, "-").slice(0, 100)}`;
}
