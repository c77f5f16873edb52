/** Pure: whether one shell command repeats what another one ran. */

interface Run {
  readonly words: string;
  /** Folder that the command line changed to before it; null: none. */
  readonly folder: string | null;
  /** A pipe, `;` and `||` hide a failure from the exit code of the whole. */
  readonly isProven: boolean;
}

const token =
  /"(?:\\.|[^"\\])*"?|'[^']*'?|\\.|(?:\d+|&)?>{1,2}(?:&\d|\s*[^\s;&|]*)|<{1,3}\s*[^\s;&|]+|(&&|\|\||\|&?|[;&\n])|[^\s"'\\;&|<>]+|\s/gs;
const redirection = /^(?:\d+|&)?[<>]/;
const assignments = /^(?:\w+=(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])* )+/;
const changeOfFolder = /^(?:cd|pushd) (?:-- )?(.+)$/;
/** Commands that do none of the work. */
const accessory = /^(?:cd|pushd|popd|export|set|source|\.|echo|printf|true|:|sleep|clear)(?: |$)/;
const prefix = /^(?:time|command|env|nohup|exec) /;

interface Piece {
  readonly words: string;
  /** Operator behind it; "": the end. */
  readonly operator: string;
}

/** Leaves out redirections and assignments before the command. */
function pieces(command: string): Piece[] {
  const all: Piece[] = [];
  let words: string[] = [];
  const end = (operator: string): void => {
    const text = words.join("").replaceAll(/\s+/g, " ").trim();
    if (text !== "") all.push({ words: text.replace(assignments, "").replace(prefix, ""), operator });
    words = [];
  };
  for (const [text, operator] of command.matchAll(token)) {
    if (operator !== undefined) end(operator);
    else if (!redirection.test(text)) words.push(text);
  }
  end("");
  return all;
}

function isPipe(operator: string | undefined): boolean {
  return operator === "|" || operator === "|&";
}

function runsOf(command: string): Run[] {
  const all = pieces(command);
  const isStrict = command.includes("pipefail");
  let folder: string | null = null;
  return all.flatMap(({ words }, at) => {
    folder = changeOfFolder.exec(words)?.[1] ?? folder;
    // Behind a pipe stand filters of the output.
    if (isPipe(all[at - 1]?.operator) || accessory.test(words)) return [];
    return [{ words, folder, isProven: isProven(all, at, isStrict) }];
  });
}

/** The whole succeeds only if this piece has succeeded. */
function isProven(all: readonly Piece[], at: number, isStrict: boolean): boolean {
  const behind = all.slice(at, -1).map(({ operator }) => operator);
  if (!isStrict && isPipe(behind[0])) return false;
  return behind.every((operator) => operator === "&&" || isPipe(operator)) && all[at - 1]?.operator !== "||";
}

function isSameRun(one: Run, other: Run): boolean {
  const isSameFolder = one.folder === null || other.folder === null || one.folder === other.folder;
  return one.words === other.words && isSameFolder;
}

/** Whether a command that succeeded has run all that a failed one ran. */
export function repeats(succeeded: string, failed: string): "no" | "perhaps" | "certainly" {
  const [again, before] = [runsOf(succeeded), runsOf(failed)];
  const matches = before.map((run) => again.filter((one) => isSameRun(one, run)));
  if (before.length === 0 || matches.some((found) => found.length === 0)) return "no";
  return matches.every((found) => found.some((one) => one.isProven)) ? "certainly" : "perhaps";
}
