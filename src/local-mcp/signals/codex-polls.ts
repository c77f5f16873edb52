/**
 * [TR222] Calls of Codex that only wait for a command which runs on in a session of its shell, or
 * for a program which runs on in a cell.
 */

export interface RunningCommands {
  /** Calls of commands, by the number of their session or the name of their cell. */
  readonly sessions: Map<string, string>;
  /** Calls of commands, by the id of a call that polls them. */
  readonly polls: Map<string, string>;
  /** Calls of commands, by the id of a call that types into them. */
  readonly inputs: Map<string, string>;
}

const pollingCall = /\bsession_id["']?:\s{0,20}(\d{1,20})/;
const waitingCall = /\bcell_id["']?:\s{0,20}["']?(\d{1,20})/;
const typedText = /\bchars["']?:\s{0,20}["'`][^"'`]/;

/**
 * Returns the call of the command that a call polls; null: the call types something, or its
 * command is not known.
 * @param written arguments of `write_stdin` or `wait`, or a program that calls nothing else
 */
export function polledCommand(
  { sessions, polls, inputs }: RunningCommands,
  id: string,
  written: string,
): string | null {
  const cell = waitingCall.exec(written)?.[1];
  const session = pollingCall.exec(written)?.[1] ?? "";
  const command = sessions.get(cell === undefined ? session : nameOfCell(cell));
  if (command === undefined) return null;
  const isTyped = typedText.test(written);
  (isTyped ? inputs : polls).set(id, command);
  return isTyped ? null : command;
}

const sessionInOutput = /\bsession(?: id |_id\\?["']?\s{0,5}[:=]\s{0,5})(\d{1,20})/gi;
/** The client names it before the output, a program mostly after it. */
const edgeChars = 400;

/**
 * Returns whether the command runs on.
 * @param command the call whose output it is, or that another one polls
 */
export function noteSession({ sessions }: RunningCommands, command: string, output: string): boolean {
  const edges = `${output.slice(0, edgeChars)}\n${output.slice(-edgeChars)}`;
  const found = [...edges.matchAll(sessionInOutput)].map(([, session = ""]) => session);
  for (const session of found) if (!sessions.has(session)) sessions.set(session, command);
  return found.length > 0;
}

const cellInOutput = /^Script running with cell ID (\d{1,20})\b/;

/**
 * Returns whether the program runs on.
 * @param call the first one of the program whose output it is, or that another one waits for
 */
export function noteCell({ sessions }: RunningCommands, call: string, output: string): boolean {
  const cell = cellInOutput.exec(output)?.[1];
  if (cell !== undefined) sessions.set(nameOfCell(cell), call);
  return cell !== undefined;
}

function nameOfCell(cell: string): string {
  return `cell ${cell}`;
}

const runningCommand =
  /^(?:Process running with session ID \d{1,20}$|\{"chunk_id":"\w{0,40}","wall_time_seconds":[\d.]{1,20},"session_id":\d{1,20},)/m;

/** Whether a part of the output is the client's own word that a command runs on. */
export function saysItRunsOn(parts: readonly string[]): boolean {
  return parts.some((part) => runningCommand.test(part.slice(0, edgeChars)));
}
