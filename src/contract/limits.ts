/** Pure. Most characters of each kind of text: what is stored of it, and what is shown of that. */

export const stored = {
  /** A request stands before what was pasted, or after it. */
  prompt: { head: 8_000, tail: 4_000 },
  /** A prompt that is neither the first nor among the newest, and all of them. */
  olderPrompt: 1_000,
  allPrompts: 60_000,
  /** A long answer gives its status at the end. */
  assistant: { head: 2_000, tail: 4_000 },
  /** The words before a short prompt, which may mean nothing without them. */
  answered: 200,
  /** The first words of a turn. */
  firstWords: 300,
  input: 300,
  error: 1_500,
  /** A shell names what failed at the beginning of the output, a program at its end. */
  callError: { head: 500, tail: 1_000 },
  /** A summary ends with what is left to do. */
  summary: { head: 8_000, tail: 8_000 },
  /** The summary in an offer that another machine's session has. */
  offeredSummary: 8_000,
  /** An answer of a sub-agent says first what it found. */
  subagent: { head: 1_000, tail: 500 },
  /** The last line that a program has printed. */
  output: 160,
  unread: 16_000,
  plan: 6_000,
  path: 4_096,
  /** A command that cannot be undone, and the arguments of a tool that does such a thing. */
  effect: 220,
  effectInput: 1_000,
};

/** A brief, before more of a quotation goes in by its worth. */
export const inBrief = {
  newestPrompt: 1_500,
  recentPrompt: 500,
  olderPrompt: 300,
  leastPrompt: 90,
  beginning: 140,
  answered: 140,
  lastWords: 1_000,
  otherWords: 300,
  note: 400,
  call: 160,
  leastCall: 40,
  /** The outcome stands behind the command. */
  effect: 300,
  effectCommand: 140,
  tool: 60,
  error: 300,
  plan: 160,
  planLine: 240,
  recap: 600,
  /**
   * An item of the client's summary; all of them, by how many prompts there were since; the whole
   * of it for the chat that takes the session, by a tool (all that is stored) or a hook; its words
   * about one file, and about all.
   */
  summary: {
    item: 600,
    fresh: 2_300,
    newer: 1_600,
    old: 1_000,
    whole: { tool: 17_000, hook: 9_000 },
    file: { most: 220, all: 2_000 },
  },
  /** The last words of a sub-agent, and at most as much of them. */
  result: 300,
  answer: 900,
  held: 1_000,
  path: 160,
};

/** Given back after a compaction. */
export const afterCompaction = { lastPrompt: 600, prompt: 160, words: 400, answer: 200, note: 160, files: 300 };

/** News of the team: parts of one, those of one delivery, and of all that is asked for. */
export const inNews = { name: 80, title: 120, reason: 400, notice: 1_000, delivery: 4_000, words: 8_000, all: 20_000 };
