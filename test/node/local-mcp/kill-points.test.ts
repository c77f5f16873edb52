import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, it } from "vitest";
import { defaults } from "#src/contract/config.ts";
import type { WorkState } from "#src/contract/work-state.ts";
import { brief, shownTexts } from "#src/local-mcp/recovery/brief.ts";
import { restore } from "#src/local-mcp/recovery/restoration.ts";
import { score } from "#src/local-mcp/recovery/score.ts";
import { requestsBetween, rulesOf } from "#src/local-mcp/sessions/current-work.ts";
import * as journal from "#src/local-mcp/sessions/journal.ts";
import type { JournalRow } from "#src/local-mcp/sessions/journal.ts";
import type { Session } from "#src/local-mcp/sessions/sessions.ts";
import { isRequest } from "#src/local-mcp/sessions/requests.ts";
import { emptyState, fold } from "#src/local-mcp/sessions/work-state.ts";
import { ordersIn } from "#src/local-mcp/words/orders.ts";
import { Claude, storedSession, aChat, stateOf } from "#harness/machine/claude.ts";
import { type TempRuntime } from "#harness/machine/temp-runtime.ts";

const prompts = [
  "Translate the museum guide into Danish. Always keep the room numbers.",
  "yes",
  "Use the formal address throughout.",
  "also add a glossary",
  "Never translate the names of painters",
  "Actually no formal address, use the informal one",
  "continue",
  "What is the longest chapter?",
  "Now prepare the audio script for room 12, at most 90 seconds",
  "ok",
  "use short sentences from now on",
  "Let's go with a female voice instead of the male voice",
  "weiter",
  "Write the label for the statue of Ariadne",
];

/** Limits, decisions that are taken back, and a request below what was pasted. */
const otherPrompts = [
  "Build the greenhouse planner in Dart",
  "Give the bed named Alder at most 20 plants",
  "We use Postgres for the store.",
  `Here is the log:\n${"2031-02-03T04:05:06Z pump: on\n".repeat(9)}Find out why the pump stops. Never restart it.`,
  "go on",
  "Use SQLite instead of Postgres for the store.",
  "Give the bed named Birch at most 30 plants",
  "Why is the door open at night?",
  "Now print the overview of the year, on 2 pages",
];

/** A session as hooks report it: turns with tools, errors, tasks, a dialog, a plan, subagents, two compactions. One event per step. */
function* events(claude: Claude, said = [...prompts, ...prompts.slice(3)]): Generator {
  yield claude.start();
  for (const [index, prompt] of said.entries()) {
    const file = join(claude.cwd, `part-${index % 4}.txt`);
    const todo = { content: `proofread part ${index}`, status: index % 2 ? "completed" : "pending" };
    yield claude.prompt(prompt);
    yield claude.use("Read", { file_path: file });
    yield claude.write(file, `text ${index}`);
    yield claude.use("TodoWrite", { todos: [todo] });
    yield claude.fail("Bash", { command: `aspell part-${index}` }, "Exit code 1");
    yield claude.begin("Bash", { command: `wc part-${index}` });
    if (index % 5 === 1) {
      const answers = { [`Which font for part ${index}?`]: "Garamond" };
      yield claude.use("AskUserQuestion", { questions: [] }, { answers });
      const subagent = { agent_id: `a${index}`, agent_type: "Explore" };
      yield claude.tell("SubagentStop", { ...subagent, last_assistant_message: "found" });
    }
    if (index === 4) yield claude.use("ExitPlanMode", { plan: "# Guide\n1. rooms" }, { plan: "# Guide\n1. rooms" });
    const decision = `I decided on variant ${index} because it is shorter.`;
    yield claude.stop(`Part ${index} stands. ${decision} Next I will read part ${index + 1}.`);
    if (index % 6 === 3) yield claude.compact(`6. All user messages:\n- guide ${index}`);
  }
}

function rowsOf(runtime: TempRuntime, session: string): JournalRow[] {
  return runtime.store.read((sql) => journal.list(sql, session, 0, 100_000), []);
}

function texts(all: readonly { readonly text: string }[] | undefined): string[] {
  return (all ?? []).map(({ text }) => text);
}

/** What a state has of the user's words and of decisions, whether it still holds or not. */
function knowledge(state: WorkState): string[] {
  const kept = (state.requests ?? []).filter((one) => one.isKept);
  return [...texts(kept), ...texts(state.orders), ...texts(state.decided), state.plan?.text ?? ""];
}

interface Acknowledged {
  readonly requests: Set<string>;
  readonly orders: Set<string>;
  readonly files: Set<string>;
}

/** What holds of that knowledge. */
function current(state: WorkState): string[] {
  const { orders, decided } = rulesOf(state);
  const { orders: mostOrders, decided: mostDecided } = defaults.brief;
  const kept = requestsBetween(state, []).filter((one) => one.isKept);
  return texts([...kept, ...orders.slice(-mostOrders), ...decided.slice(-mostDecided)]);
}

/** What the brief after this row shows. */
function shownAfter(session: Session, state: WorkState): ReadonlySet<string> {
  const files = state.files.map((file) => ({ ...file, now: "changed" as const }));
  const known = { state, files, head: null, checkpoint: null };
  const death = { cause: "killed" as const, causeDetail: "", knownUntil: session.lastSeenAt, snapshot: null };
  const from = { session, ...known, ...death, score: score(known) };
  const paths = brief(from, session.lastSeenAt, "resume").matchAll(/^- (part-\d\.txt) \(/gm);
  return new Set([...shownTexts(from), ...[...paths].map(([, path = ""]) => path)]);
}

function acknowledge({ requests, orders, files }: Acknowledged, entry: JournalRow["entry"]): void {
  if (entry.kind === "prompt" && isRequest(entry.text)) {
    requests.add(entry.text);
    for (const order of ordersIn(entry.text)) orders.add(order);
  }
  if (entry.kind === "tool_end" && entry.path) files.add(entry.path);
}

/** What an entry alone adds to the state. */
function expectItsOwn(state: WorkState, entry: JournalRow["entry"]): void {
  if (entry.kind === "tool_start") expect(state.runningTools.at(-1)?.id).toBe(entry.id);
  if (entry.kind !== "answers") return;
  const chosen = entry.answers.map(({ question, answer }) => `${question} -> ${answer}`);
  expect(texts(state.decided)).toEqual(expect.arrayContaining(chosen));
}

it.each([[prompts], [otherPrompts]])(
  "[CP29] cut at every row of the journal: nothing acknowledged is missing, a later cut knows no less, and parts give the whole: %#",
  (said) => {
    const { runtime, claude } = aChat();
    expect([...events(claude, said)].length).toBeGreaterThan(60);
    const rows = rowsOf(runtime, claude.session);
    let before = emptyState;
    const acknowledged = { requests: new Set<string>(), orders: new Set<string>(), files: new Set<string>() };
    for (const [index, row] of rows.entries()) {
      const { entry } = row;
      const state = fold(before, [row]);
      expect(knowledge(state)).toEqual(expect.arrayContaining(knowledge(before).filter(Boolean)));
      acknowledge(acknowledged, entry);
      expect(state.requests?.length ?? 0).toBe(acknowledged.requests.size);
      const ofOneLine = [...acknowledged.requests].filter((request) => !request.includes("\n"));
      expect(texts(state.requests)).toEqual(expect.arrayContaining(ofOneLine));
      expect(texts(state.orders)).toEqual(expect.arrayContaining([...acknowledged.orders]));
      expect(state.files.map(({ path }) => path).toSorted()).toEqual([...acknowledged.files].toSorted());
      expectItsOwn(state, entry);
      if (index % 7 === 0) expect(fold(emptyState, rows.slice(0, index + 1))).toEqual(state);
      before = state;
    }
  },
);

it.each([[prompts], [otherPrompts]])(
  "[CP29] the brief at every cut shows all that holds, so a later one no less than an earlier one: %#",
  (said) => {
    const { runtime, claude } = aChat();
    for (const _ of events(claude, said));
    const session = storedSession(runtime, claude.session);
    let state = emptyState;
    let before = new Set<string>();
    for (const row of rowsOf(runtime, claude.session)) {
      state = fold(state, [row]);
      if (row.entry.kind !== "prompt" && row.entry.kind !== "tool_end" && row.entry.kind !== "answers") continue;
      const shown = shownAfter(session, state);
      const holds = new Set([...current(state), ...state.files.map(({ path }) => basename(path))]);
      expect([...before].filter((one) => holds.has(one) && !shown.has(one))).toEqual([]);
      expect([...holds].filter((one) => !shown.has(one))).toEqual([]);
      before = new Set([...before, ...shown]);
    }
    expect(before.size).toBeGreaterThan(15);
  },
);

it("[CP29] killed after any event: checkpoint and journal give what the journal alone gives, and restoring twice gives the same", () => {
  const { runtime, claude } = aChat();
  writeFileSync(join(claude.cwd, "part-0.txt"), "old");
  let cuts = 0;
  for (const _ of events(claude)) {
    cuts += 1;
    const { files, git: _git, firstGit: _first, ...known } = stateOf(runtime, claude.session) ?? emptyState;
    const { files: noted, firstGit: _begun, ...told } = fold(emptyState, rowsOf(runtime, claude.session));
    expect({ ...known, requests: known.requests ?? [] }).toEqual({ ...told, requests: told.requests ?? [] });
    expect(files.map(({ path, action }) => [path, action])).toEqual(noted.map(({ path, action }) => [path, action]));
    if (cuts % 4 !== 0) continue;
    const restored = (): string => {
      const from = restore(runtime, storedSession(runtime, claude.session));
      return from ? brief(from, runtime.now(), "resume") : "";
    };
    expect(restored()).toBe(restored());
  }
  expect(cuts).toBeGreaterThan(150);
});

it("[CP29] /clear begins with nothing of the session before, which keeps all of its own", () => {
  const { runtime, claude } = aChat();
  const first = claude.session;
  const all = events(claude);
  for (let n = 0; n < 30; n++) all.next();
  const whole = fold(emptyState, rowsOf(runtime, first));
  claude.clear("5c1e0000-0000-4000-8000-000000000001");
  claude.prompt("Plan the opening party");
  expect(texts(fold(emptyState, rowsOf(runtime, claude.session)).requests)).toEqual(["Plan the opening party"]);
  expect(knowledge(fold(emptyState, rowsOf(runtime, first)))).toEqual(knowledge(whole));
});
