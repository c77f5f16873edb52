import { CLAUDE_VERSION, claudeBinary } from "../../scripts/install-claude.ts";
import { formatVerdicts, type Check, type Paint } from "../scene.ts";
import { tasks, type Waits } from "./plan.ts";
import { edits, lastFiles, sharedFile, testCount, type TaskName } from "./project.ts";
import { Story, type TaskRecord, type TeamRun, type TimedEvent, type HostName, type StoryOptions } from "./story.ts";
import { midway } from "./team-chat.ts";

/** Judged by the coordinator's record, the repository and the files. */
export function checksOf(story: Story, run: TeamRun): Check[] {
  return [...ofTasks(run), ...ofFiles(story), ofSummary(run)];
}

function ofTasks({ records, kill }: TeamRun): Check[] {
  const ends = records.map(({ spans }) => spans.map(({ end }) => end));
  const done = ends.map((list) => list.filter((end) => end === "done").length);
  const again = records.filter(({ spans }) => spans.length > 1);
  const rescued = again[0]?.spans.at(-1);
  return [
    {
      what: "each once",
      holds: records.every(({ state }) => state === "done") && done.every((count) => count === 1),
      detail: `${done.length} tasks, results of each: ${done.join(", ")}`,
    },
    {
      what: "killed",
      holds: again.length === 1 && again[0]?.spans.length === 2 && again[0].spans[0]?.chat === kill.session,
      detail: `task ${again.map(({ task }) => task).join(", ")} has a second attempt, by chat ${rescued?.chat ?? "none"}`,
    },
    {
      what: "in order",
      holds: tasks.every(({ name, dependsOn }) => dependsOn.every((one) => isBefore(records, one, name))),
      detail: "no task began before those that it depends on were done",
    },
    {
      what: "at the same time",
      holds: mostAtOnce(records) >= 2,
      detail: `up to ${mostAtOnce(records)} tasks`,
    },
  ];
}

function isBefore(records: readonly TaskRecord[], first: string, second: string): boolean {
  const end = records.find(({ ref }) => ref === first)?.spans.at(-1)?.endMs ?? Number.POSITIVE_INFINITY;
  const start = records.find(({ ref }) => ref === second)?.spans[0]?.startMs ?? 0;
  // Ages are read one after the other.
  return end <= start + clockErrorMs;
}

const clockErrorMs = 100;

/** How many of the attempts overlapped at most. */
function mostAtOnce(records: readonly TaskRecord[]): number {
  const spans = records.flatMap((record) => record.spans);
  const atStarts = spans.map(
    ({ startMs }) => spans.filter((one) => one.startMs <= startMs && startMs < one.endMs).length,
  );
  return Math.max(0, ...atStarts);
}

/** The chat that led has merged the work of all. */
function ofFiles({ lead }: Story): Check[] {
  const wrong = Object.entries(lastFiles()).filter(([name, text]) => lead.read(name) !== text);
  const subjects = lead.git("log", "--format=%s", "--no-merges", "HEAD").split("\n").slice(0, -1);
  const titles = new Set(tasks.map(({ title }) => title));
  const isOnce = tasks.every(({ name, title }) => {
    const count = subjects.filter((one) => one === title).length;
    return count >= 1 && count <= mostCommits(name);
  });
  return [
    {
      what: "files",
      holds: wrong.length === 0,
      detail: `${Object.keys(lastFiles()).length - wrong.length} as each edit once leaves them; wrong: ${wrong.map(([name]) => name).join(", ") || "none"}`,
    },
    {
      what: "commits",
      holds: isOnce && subjects.every((one) => titles.has(one)) && lead.git("status", "--porcelain") === "",
      detail: `${subjects.length}, each change once, and nothing left to commit`,
    },
  ];
}

/** Of a chat that was killed before its commit, another one may have committed the shared file. */
function mostCommits(name: TaskName): number {
  return edits[name].some(({ file }) => file === sharedFile) ? 2 : 1;
}

function ofSummary({ records, summary }: TeamRun): Check {
  const result = records.at(-1)?.result as { readonly passed?: number } | null;
  const named = records.slice(0, -1).filter(({ task, type }) => summary.includes(`task ${task}, by ${type}:`));
  return {
    what: "summary",
    holds: named.length === tasks.length && result?.passed === testCount,
    detail: `names ${named.length} tasks; ${result?.passed} of ${testCount} tests pass`,
  };
}

interface Measured {
  readonly aloneMs: number;
  readonly teamMs: number;
  readonly ratio: number;
}

function measured(aloneMs: number, { doneMs }: TeamRun): Measured {
  return { aloneMs, teamMs: doneMs, ratio: aloneMs / doneMs };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function eventLine({ ms, chat, what }: TimedEvent): string {
  return `${seconds(ms).padStart(9)}  ${chat.padEnd(8)}  ${what}`;
}

/** The report for people. */
function textOf(checks: readonly Check[], run: TeamRun, figures: Measured | null, paint: Paint): string {
  const wrong = checks.filter(({ holds }) => !holds).length;
  return [
    "The chat that led says:",
    ...run.summary.split("\n").map((line) => `  ${line}`),
    "By the coordinator's record and the repository:",
    ...formatVerdicts(checks, paint),
    ...(figures === null
      ? []
      : [
          `Until the sixth task was done: three chats ${seconds(figures.teamMs)}, one chat alone ${seconds(figures.aloneMs)}: ${figures.ratio.toFixed(2)} x as fast.`,
        ]),
    wrong === 0 ? "Every task was done, once." : `${wrong} of ${checks.length} are wrong.`,
    "",
  ].join("\n");
}

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
