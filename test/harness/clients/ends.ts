/** What `shim sessions` shows of a chat afterwards. `lives`: a process still has it. */
export type Outcome = "ended" | "closed" | "died" | "lives";

/** How a chat comes to its end, or its terminal does. */
export const ways = {
  exit: "`/exit` or `/quit`",
  ctrlC: "Ctrl-C",
  ctrlD: "Ctrl-D",
  ctrlCInTurn: "Ctrl-C in a turn",
  closed: "terminal closed",
  closedInTurn: "terminal closed in a turn",
  closedAtQuestion: "terminal closed at a question",
  term: "SIGTERM",
  termInTurn: "SIGTERM in a turn",
  kill: "`kill -9`",
  killInTurn: "`kill -9` in a turn",
  killLauncher: "`kill -9` of its launcher in a turn",
  killChild: "`kill -9` of the client below its launcher",
  killServer: "`kill -9` of its background server",
} as const;
export type Way = keyof typeof ways;

/** Several: which of them is a matter of moments. Null: there is no such process. */
type Cell = Outcome | readonly Outcome[] | null;

interface Column {
  /** Of the client, for people. */
  readonly title: string;
  readonly cells: Readonly<Record<Way, Cell>>;
}

const left = { exit: "ended", ctrlC: "ended", ctrlD: "ended", ctrlCInTurn: "ended" } as const;
const inTurn = { closedInTurn: "died", closedAtQuestion: "died", termInTurn: "died", killInTurn: "died" } as const;
const launched = { killLauncher: "lives", killChild: "died", killServer: null } as const;
const alone = { killLauncher: null, killChild: null, killServer: null } as const;
const served = { exit: "lives", ctrlC: "lives", ctrlD: "lives", ctrlCInTurn: "lives" } as const;

/** By the client, as `shim init` names it. */
export const ends: Readonly<Record<string, Column>> = {
  "claude-code": {
    title: "Claude Code",
    cells: { ...left, ...inTurn, ...alone, closed: "closed", term: "closed", kill: "died" },
  },
  codex: {
    title: "Codex",
    cells: {
      ...served,
      ...alone,
      closed: "lives",
      closedInTurn: "lives",
      closedAtQuestion: "lives",
      term: "lives",
      termInTurn: "lives",
      kill: "lives",
      killInTurn: "lives",
      killServer: "died",
    },
  },
  opencode: {
    title: "OpenCode",
    cells: { ...left, ...inTurn, ...alone, ctrlCInTurn: "died", closed: "ended", term: "ended", kill: "closed" },
  },
  qwen: {
    title: "Qwen Code",
    cells: { ...left, ...inTurn, ...launched, closed: ["ended", "closed"], term: "ended", kill: "closed" },
  },
  gemini: {
    title: "Gemini CLI",
    cells: { ...left, ...inTurn, ...launched, closed: ["ended", "died"], term: "ended", kill: "died" },
  },
  copilot: {
    title: "Copilot CLI",
    cells: { ...left, ...inTurn, ...launched, closed: "ended", term: "ended", kill: "closed" },
  },
};

/** @returns null: there is no such process */
export function outcomesOf({ cells }: Column, way: Way): readonly Outcome[] | null {
  const cell = cells[way];
  return typeof cell === "string" ? [cell] : cell;
}
