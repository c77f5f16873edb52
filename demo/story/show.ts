import { CLAUDE_VERSION, claudeBinary } from "../../scripts/install-claude.ts";
import type { Check, Paint } from "../checks.ts";
import { checksOf, eventLine, measured, textOf, type Measured } from "./report.ts";
import { Story, type HostName, type StoryOptions, type TeamRun } from "./story.ts";
import { midway } from "./team-chat.ts";
import type { Waits } from "./waits.ts";

/** A quarter of the times that a model takes: some four minutes for both runs. */
const demoWaits: Waits = { seed: 1, scale: 0.25 };

/** Why the real client cannot be started, and what helps; null when it can. */
export function whyNoStory(): string | null {
  try {
    claudeBinary();
    return null;
  } catch {
    return `The story needs the real Claude Code ${CLAUDE_VERSION} for tests. "node scripts/install-claude.ts" installs it in this folder (some 360 MB); it talks to a scripted model on this machine, and needs no account.`;
  }
}

interface Played {
  readonly run: TeamRun;
  readonly checks: readonly Check[];
}

/** The story by the team, from its start to the end of all processes. */
async function playTeam(options: StoryOptions): Promise<Played> {
  const story = new Story(options);
  let played: Played | null = null;
  try {
    const run = await story.team();
    played = { run, checks: checksOf(story, run) };
  } finally {
    const { codes, left } = await story.close();
    const holds = codes.every((code) => code === 0) && left.length === 0;
    const detail = `exit codes of the supervisors: ${codes.join(", ")}; ${left.length} processes left`;
    if (played) played = { ...played, checks: [...played.checks, { what: "all ended", holds, detail }] };
  }
  return played;
}

/** The same tasks by one chat. @returns ms until the last one was done */
async function playAlone(options: StoryOptions): Promise<number> {
  const story = new Story(options);
  try {
    return await story.alone();
  } finally {
    await story.close();
  }
}

interface StoryShown {
  readonly isComplete: boolean;
  readonly data: { readonly checks: readonly Check[]; readonly measured: Measured; readonly events: TeamRun["events"] };
  readonly text: (paint: Paint) => string;
}

/** Both runs on this machine, with the timeline while they run. */
export async function showStory(
  signal: AbortSignal,
  tell: (line: string) => void,
  host: HostName = "local",
  waits = demoWaits,
): Promise<StoryShown> {
  const options = { host, waits, kill: midway, signal };
  tell("Three chats of Claude Code and one that leads them are started; a scripted model answers each after 2 to 6 s,");
  tell(`here times ${waits.scale}.`);
  const { run, checks } = await playTeam({ ...options, onEvent: (event) => tell(eventLine(event)) });
  tell("Now one chat does the same six tasks alone.");
  const aloneMs = await playAlone({ ...options, onEvent: (event) => tell(eventLine(event)) });
  const figures = measured(aloneMs, run);
  return {
    isComplete: checks.every(({ holds }) => holds),
    data: { checks, measured: figures, events: run.events },
    text: (paint) => textOf(checks, run, figures, paint),
  };
}
