import { closing, middle, opening } from "./arcs.ts";
import type { Fact } from "./facts.ts";
import * as client from "./kinds-client.ts";
import * as talk from "./kinds-talk.ts";
import type { Half } from "./phrasings/bank.ts";
import type { OtherClientName } from "./other-clients.ts";
import { habits, type AfterDeath, type EndsBy, type EndsIn, type SessionPlan } from "./plan.ts";
import { Random } from "./random.ts";
import { Story } from "./story.ts";

type Changes = Partial<Omit<SessionPlan, "name" | "kind" | "main" | "files">>;

interface Kind {
  readonly name: string;
  readonly tell: (story: Story) => void;
  /** What is special about the session beside its chat. */
  readonly change?: (story: Story, facts: readonly Fact[]) => Changes;
  readonly isForeign?: true;
}

const kinds: readonly Kind[] = [
  { name: "long", tell: talk.long },
  { name: "shifting goals", tell: talk.shiftingGoals },
  { name: "reversed decisions", tell: talk.reversedDecisions },
  { name: "solved errors", tell: talk.solvedErrors },
  { name: "one compaction", tell: client.compaction(1) },
  { name: "two compactions", tell: client.compaction(2) },
  { name: "resume", tell: client.resume },
  { name: "subagents", tell: client.subagents },
  { name: "plan mode", tell: client.planMode },
  { name: "dialogs", tell: client.dialogs },
  { name: "lost transcript", tell: ordinary, change: () => ({ after: [{ do: "lose-transcript" }] }) },
  { name: "edited by hand", tell: ordinary, change: editedByHand },
  { name: "two chats", tell: ordinary, change: twoChats },
  { name: "closed terminal", tell: inTerminal, change: closedTerminal("tool") },
  { name: "saves by tool", tell: talk.saves },
  { name: "other language", tell: talk.languages, isForeign: true },
  { name: "long prompts", tell: talk.longPrompts },
  { name: "acknowledgements", tell: talk.acknowledgements },
  { name: "clear", tell: client.cleared, change: () => ({ driver: "terminal" }) },
  { name: "other machine", tell: ordinary, change: () => ({ isOnOtherMachine: true, endsBy: "power lost" }) },
  { name: "branch switched", tell: ordinary, change: branchSwitched },
  { name: "files by shell", tell: filesByShell },
  { name: "to-dos", tell: client.todos, change: () => ({ env: { CLAUDE_CODE_ENABLE_TODO_TOOLS: "1" } }) },
];

/** The first 23 are one of each kind, then those come again that differ most from one to the next. */
const round: readonly Kind[] = [
  ...kinds,
  ...kinds.slice(0, 13),
  { name: "closed terminal, idle", tell: inTerminal, change: closedTerminal("idle") },
];

export const sessionsOfRound = round.length;
export const kindNames = [...new Set(round.map(({ name }) => name))];

/** Session `index` of a run. The same seed, half and index give the same session, whichever others are run. */
export function makeSession(seed: number, index: number, half: Half): SessionPlan {
  const kind = kindAt(index);
  const random = new Random(seed * 1_000 + index);
  const story = new Story(random, half, kind.isForeign);
  kind.tell(story);
  const facts = story.facts();
  const changes = kind.change?.(story, facts) ?? {};
  return {
    name: `${String(index + 1).padStart(2, "0")} ${kind.name}`,
    kind: kind.name,
    files: story.files.initial,
    branch: "main",
    main: story.chat(),
    other: null,
    driver: "stream",
    habit: null,
    env: {},
    ...someEnd(random),
    after: [],
    isOnOtherMachine: false,
    facts,
    ...changes,
  };
}

function kindAt(index: number): Kind {
  return round[index % round.length] ?? fail(`no kind ${index}`);
}

/** What the other clients have no like of, or no command for from outside. */
const claudeCodeOnly: ReadonlySet<string> = new Set([
  "one compaction",
  "two compactions",
  "subagents",
  "plan mode",
  "dialogs",
  "closed terminal",
  "closed terminal, idle",
  "clear",
  "other machine",
  "to-dos",
]);

/** The same session in another client; null for a kind that it cannot have. */
export function inOtherClient(plan: SessionPlan, driver: OtherClientName): SessionPlan | null {
  return claudeCodeOnly.has(plan.kind) ? null : { ...plan, driver };
}

/** Kinds that a chat of Claude Desktop cannot have either; it has no transcript, and its model saves by tool in all of them. */
const clientWithHooksOnly: ReadonlySet<string> = new Set(["resume", "lost transcript", "saves by tool"]);

/** The same session in Claude Desktop, once for each habit of its model; none for a kind that it cannot have. */
export function inDesktopChats(plan: SessionPlan): SessionPlan[] {
  if (claudeCodeOnly.has(plan.kind) || clientWithHooksOnly.has(plan.kind)) return [];
  const { name } = plan;
  return habits.map((habit) => Object.assign({}, plan, { habit, name: `${name}, ${habit}`, kind: habit }));
}

/** An application's chat that ends between two turns ends as an orderly one does, so only a kill is judged there. */
function someEnd(random: Random): { readonly endsBy: EndsBy; readonly endsIn: EndsIn } {
  const endsIn = random.pick<EndsIn>(["idle", "tool", "tool", "answer"]);
  const kills: EndsBy[] = ["kill client", "kill client and MCP process", "power lost"];
  return { endsIn, endsBy: random.pick(endsIn === "idle" ? kills : [...kills, "SIGTERM", "SIGHUP"]) };
}

function ordinary(story: Story): void {
  opening(story);
  story.turn({ say: [story.decision().text], work: [story.files.edit()] });
  middle(story, story.random.between(1, 3));
  story.turn({ say: [story.ban()], work: [story.files.read()] });
  if (story.random.isLucky(0.4)) story.turn({ say: [story.ack()], work: [story.failing().steps] });
  closing(story);
}

/** Each prompt fits into a line of the screen. */
function inTerminal(story: Story): void {
  story.turn({ say: [story.goal()], work: [story.files.edit()], reply: [story.next()] });
  story.turn({ say: [story.order()] });
  story.turn({ say: [story.decision().text], work: [story.files.write()] });
  story.turn({ say: [story.ack()], work: [story.files.shell()], reply: [story.done(), story.next()] });
}

function filesByShell(story: Story): void {
  opening(story);
  for (let round = 0; round < 4; round++)
    story.turn({ say: [story.ack()], work: [story.files.shell(), story.files.read()] });
  story.turn({ say: [story.ban()] });
  story.turn({ say: [story.ack()], work: [story.files.shell()], reply: [story.done(), story.next()] });
}

/** Between two turns as well: the user has not said that the work is over. */
function closedTerminal(endsIn: EndsIn): (story: Story) => Changes {
  return ({ random }) => ({
    driver: "terminal",
    endsIn,
    endsBy: random.pick<EndsBy>(["closed terminal", "closed terminal", "SIGTERM"]),
  });
}

/** One changed file is changed again, one is deleted, and one that the chat left alone is changed. */
function editedByHand(story: Story, facts: readonly Fact[]): Changes {
  const [again, deleted] = story.files.changed;
  const fresh = story.files.untouchedOne();
  const after: AfterDeath[] = [{ do: "write", path: fresh, content: "by hand;\n" }];
  if (again !== undefined) after.push({ do: "write", path: again, content: "by hand too;\n" });
  if (deleted !== undefined) after.push({ do: "delete", path: deleted });
  const touched = after.flatMap((one) => ("path" in one ? [one.path] : []));
  const edited = touched.map((path) => ({ kind: "hand-edited", path, wasChangedBefore: path !== fresh }) as const);
  return { after, facts: [...facts.filter((fact) => !("path" in fact && touched.includes(fact.path))), ...edited] };
}

function branchSwitched({ random }: Story, facts: readonly Fact[]): Changes {
  const [before, after] = [random.word(), random.word()];
  const left = { kind: "left-branch", words: [before] } as const;
  return { branch: before, after: [{ do: "checkout", branch: after }], facts: [...facts, left] };
}

/** Another chat of the project with a goal, an order and a decision of its own. */
function twoChats({ random, phrases }: Story, facts: readonly Fact[]): Changes {
  const other = new Story(random, "all", false, phrases);
  const words = Array.from({ length: 7 }, () => random.word());
  const [a = "", b = "", c = "", d = "", e = "", f = "", g = ""] = words;
  other.turn({
    say: [phrases.say("goal", { a, b }), phrases.say("order", { a: c })],
    reply: [phrases.say("next", { a: d, b: e })],
  });
  other.turn({ say: [phrases.say("decision", { a: f, b: g })] });
  const foreign = words.map((word) => ({ kind: "foreign", words: [word], of: "other chat" }) as const);
  const fate = random.pick(["lives on", "finished"] as const);
  return { other: { chat: other.chat(), fate }, facts: [...facts, ...foreign] };
}

function fail(message: string): never {
  throw new Error(message);
}
