import * as fc from "fast-check";
import { expect, it } from "vitest";
import { weekOf } from "#src/learning/experiments/weekly-report.ts";
import { weeklyFacts } from "#src/machine/learning/past-sessions.ts";
import { recordDeaths } from "#src/machine/recovery/incomplete/deaths.ts";
import * as marks from "#src/machine/recovery/marks.ts";
import { readState } from "#src/machine/recovery/session-state.ts";
import { machineMetrics } from "#src/machine/view/machine-metrics.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { comingDeaths } from "#src/local-mcp/notify/due-notifications.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { offeredLine } from "#src/machine/recovery/brief/user-lines.ts";
import { findIncomplete } from "#src/machine/recovery/incomplete/detect.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import { offerable } from "#src/machine/recovery/offers.ts";
import { toSessionView } from "#src/machine/recovery/session-view.ts";
import { mayBeContinued } from "#src/machine/sessions/ending/ending.ts";
import { whyNotRestart } from "#src/machine/sessions/life/claim.ts";
import { readDay } from "#src/machine/view/page-day.ts";
import { storedSession } from "#harness/machine/claude.ts";
import { aStory, happen, someDeeds, type Deed } from "#harness/machine/chat-story.ts";
import { listCrashes, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

/** Number by cause, without causes of which there is none. */
type Counts = Readonly<Record<string, number>>;

function counted(all: readonly { readonly cause: string; readonly n: number }[]): Counts {
  const sums = new Map<string, number>();
  for (const { cause, n } of all) sums.set(cause, (sums.get(cause) ?? 0) + n);
  return Object.fromEntries([...sums].filter(([, n]) => n !== 0));
}

function deathsInMetrics(runtime: TempRuntime): Counts {
  const signs: Partial<Record<string, number>> = { shim_deaths_total: 1, shim_deaths_corrected_total: -1 };
  const samples = machineMetrics(runtime).filter(({ name }) => signs[name] !== undefined);
  return counted(
    samples.map(({ name, labels, value }) => ({ cause: String(labels["cause"]), n: value * (signs[name] ?? 0) })),
  );
}

/** What is counted once the chat is over, and all that was left of it is read. */
function deathsOf(...deeds: readonly Deed[]) {
  const runtime = tempRuntime();
  const story = aStory(runtime);
  for (const deed of deeds) happen(story, deed);
  story.claude.kill();
  drainInto(runtime);
  runtime.wait(60_000);
  recordDeaths(runtime, () => true);
  marks.undo(runtime, story.claude.session);
  return { runtime, rows: runtime.store.read((sql) => listCrashes(sql), []), inMetrics: deathsInMetrics(runtime) };
}

const known: [what: string, deeds: Deed[], counts: Counts][] = [
  ["was closed with nothing open has not died", ["ends its turn", "is closed"], {}],
  ["was left before its death was recorded has not", ["is killed", "is seen to be dead", "had been left"], {}],
  [
    "was closed after a prompt of which is heard later died in that turn",
    ["ends its turn", "is closed", "is seen to be dead", "had prompted"],
    { closed: 1 },
  ],
];

it.each(known)("a chat that %s, in metrics and rows", (_what, deeds, counts) => {
  const { rows, inMetrics } = deathsOf(...deeds);
  expect(inMetrics).toEqual(counts);
  expect(counted(rows.map(({ cause }) => ({ cause, n: 1 })))).toEqual(counts);
});

it("metrics, rows and reports have the same deaths, and a session that is over has one where its word is died", () => {
  fc.assert(
    fc.property(someDeeds, (deeds) => {
      const { runtime, rows, inMetrics } = deathsOf(...deeds);
      expect(inMetrics).toEqual(counted(rows.map(({ cause }) => ({ cause, n: 1 }))));
      const week = runtime.store.read((sql) => weeklyFacts(sql, weekOf(runtime.now())), null);
      expect(week?.died.deaths).toBe(rows.length);
      const shown = runtime.store.read((sql) => {
        const all = sessions.list(sql).map((session) => readState(sql, runtime, session));
        return all.filter(({ isAlive }) => !isAlive);
      }, []);
      for (const { session, state, cause } of shown) {
        const row = rows.find((one) => one.session === session.id && one.at === session.ending?.signs.gone?.at);
        expect(row?.cause ?? null).toBe(state === "died" ? cause : null);
      }
    }),
    { numRuns: 60, examples: known.map(([, deeds]) => [deeds]) },
  );
});

/** What all surfaces show of the chat. */
function surfacesOf(runtime: TempRuntime, id: string) {
  const stored = storedSession(runtime, id);
  const offered = offerable(runtime, { except: "no chat" }).find(({ session }) => session.id === id)?.session;
  const from = restoreById(runtime, id);
  const shown = runtime.store.read((sql) => {
    const { session, state, detail, isAlive } = readState(sql, runtime, stored);
    const view = toSessionView(sql, runtime, stored);
    return {
      words: [state, view.state, readDay(sql, runtime, 48).lanes.find((lane) => lane.id === id)?.state],
      details: [detail, view.detail],
      isAlive,
      isOpen: mayBeContinued(session),
      isIncomplete: findIncomplete(sql, runtime, { limit: 100 }).some((one) => one.session.id === id),
      isOffered: offered !== undefined,
      line: (offered && from && offeredLine(sql, runtime, { ...from, more: 0 }, "claude-code")) ?? "",
      isNotified: comingDeaths(sql, runtime).some(({ session: dead }) => dead === id),
      mayRestart: whyNotRestart(sql, runtime, session) === null,
      stood: (from && /how it stood.*/.exec(brief(from, runtime.now(), "ask"))?.[0]) ?? "",
    };
  }, null);
  if (shown === null) throw new Error("the store is empty");
  return shown;
}

/** What the surfaces show beside a word: each other value contradicts it. */
const besideWord = {
  alive: { isAlive: true, isIncomplete: false, isOffered: false, isNotified: false, mayRestart: false },
  died: { isAlive: false, isIncomplete: true, isOpen: true, mayRestart: true },
  "closed with nothing open": {
    isAlive: false,
    isOpen: false,
    isNotified: false,
    line: expect.not.stringMatching(/died|work open/) as string,
    stood: expect.not.stringMatching(/mid-turn|asked the user|no answer yet|no end of its turn/) as string,
  },
  settled: { isAlive: false, isIncomplete: false, isOffered: false, isNotified: false },
};

function kindOf(state: string | undefined, detail: string | null | undefined): keyof typeof besideWord {
  if (state !== "ended") return state === "died" ? "died" : "alive";
  return detail === "closed with nothing open" ? detail : "settled";
}

it.each(Object.entries({ "20 chats": 20, "400 chats @night": 400 }))(
  "whatever happens to a chat, word, list, picture, brief, offer, line and notification say one thing of it: %s",
  { timeout: 600_000 },
  (_, numRuns) => {
    fc.assert(
      fc.property(someDeeds, (deeds) => {
        const runtime = tempRuntime();
        const story = aStory(runtime);
        for (const deed of deeds) {
          happen(story, deed);
          const shown = surfacesOf(runtime, story.claude.session);
          const { words, details } = shown;
          expect([new Set(words).size, new Set(details).size]).toEqual([1, 1]);
          expect(shown).toMatchObject(besideWord[kindOf(words[0], details[0])]);
        }
      }),
      { numRuns },
    );
  },
);
