import type { Step } from "../../test/harness/claude/scripted-model.ts";
import { Random } from "../measure.ts";
import type { Fact, Standing, AfterDeath, EndsBy, EndsIn, SessionPlan } from "./plan.ts";
import { shimTool, Story } from "./story.ts";

type Changes = Partial<Omit<SessionPlan, "name" | "kind" | "main" | "files">>;

interface Kind {
  readonly name: string;
  readonly tell: (story: Story) => void;
  /** What is special about the session beside its chat. */
  readonly change?: (story: Story, facts: readonly Fact[]) => Changes;
}

const kinds: readonly Kind[] = [
  { name: "killed between two turns", tell: ordinary, change: killedIn("idle") },
  { name: "killed in a tool", tell: ordinary, change: killedIn("tool") },
  { name: "killed in an answer", tell: ordinary, change: killedIn("answer") },
  { name: "lost transcript", tell: ordinary, change: () => ({ after: [{ do: "lose-transcript" }] }) },
  { name: "edited by hand", tell: ordinary, change: editedByHand },
  { name: "branch switched", tell: ordinary, change: branchSwitched },
  { name: "files by shell", tell: filesByShell },
  { name: "two chats", tell: ordinary, change: twoChats },
  { name: "resume", tell: resumed },
  { name: "saves by tool", tell: saves },
  { name: "dialogs", tell: dialogs },
  { name: "to-dos", tell: toDos, change: () => ({ env: { CLAUDE_CODE_ENABLE_TODO_TOOLS: "1" } }) },
  { name: "clear", tell: cleared, change: () => ({ driver: "terminal" }) },
  { name: "closed terminal", tell: ordinary, change: closedTerminal("tool") },
  { name: "closed terminal, idle", tell: ordinary, change: closedTerminal("idle") },
  { name: "other machine", tell: ordinary, change: onOtherMachine },
];

export const kindNames = kinds.map(({ name }) => name);

/** Session `index` of a run. The same seed and index give the same session, whichever others are run. */
export function makeSession(seed: number, index: number): SessionPlan {
  const kind = kinds[index % kinds.length] ?? fail(`no kind ${index}`);
  const random = new Random(seed * 1_000 + index);
  const story = new Story(random);
  kind.tell(story);
  const facts = story.facts();
  const changes = kind.change?.(story, facts) ?? {};
  const plan: SessionPlan = {
    name: `${String(index + 1).padStart(2, "0")} ${kind.name}`,
    kind: kind.name,
    files: story.files.initial,
    branch: "main",
    main: story.chat(),
    other: null,
    driver: "stream",
    env: {},
    ...someEnd(random),
    after: [],
    isOnOtherMachine: false,
    facts,
    ...changes,
  };
  return { ...plan, facts: [...plan.facts, ...factsOfEnd(plan.endsIn)] };
}

/** What the last tool runs, in a session that ends in it. */
export const endlessCommand = "exec sleep 600";
const standings: Readonly<Record<EndsIn, Standing>> = { idle: "waiting", tool: "running", answer: "unanswered" };

function factsOfEnd(endsIn: EndsIn): Fact[] {
  const running: Fact[] = endsIn === "tool" ? [{ kind: "running", words: [endlessCommand] }] : [];
  return [{ kind: "standing", is: standings[endsIn] }, ...running];
}

const kills: readonly EndsBy[] = ["kill client", "kill client and MCP process", "power lost"];

/** An application's chat that ends between two turns ends as an orderly one does, so it is only killed. */
function someEnd(random: Random): { readonly endsBy: EndsBy; readonly endsIn: EndsIn } {
  return { endsIn: random.pick<EndsIn>(["idle", "tool", "answer"]), endsBy: random.pick(kills) };
}

function killedIn(endsIn: EndsIn): (story: Story) => Changes {
  return ({ random }) => ({ endsIn, endsBy: random.pick(kills) });
}

/** Between two turns as well: the user has not said that the work is over. */
function closedTerminal(endsIn: EndsIn): (story: Story) => Changes {
  return ({ random }) => ({
    driver: "terminal",
    endsIn,
    endsBy: random.pick<EndsBy>(["closed terminal", "closed terminal", "SIGTERM"]),
  });
}

/** Each prompt fits into a line of the screen. */
function ordinary(story: Story): void {
  opening(story);
  middle(story, story.random.between(1, 4));
  closing(story);
}

function opening(story: Story): void {
  story.turn({ say: story.prompt(), work: [story.files.read(), story.files.edit()] });
}

function middle(story: Story, turns: number): void {
  for (let turn = 0; turn < turns; turn++) {
    const say = story.random.isLucky(0.5) ? story.prompt() : story.nod();
    story.turn({ say, work: [story.random.isLucky(0.5) ? story.files.read() : story.files.edit()] });
  }
}

/** Changes of two or all three ways. */
function closing(story: Story): void {
  const { files, random } = story;
  story.turn({
    say: story.prompt(),
    work: [files.edit(), files.write(), ...(random.isLucky(0.7) ? [files.shell()] : [])],
  });
}

function filesByShell(story: Story): void {
  opening(story);
  for (let round = 0; round < 4; round++)
    story.turn({ say: story.nod(), work: [story.files.shell(), story.files.read()] });
  story.turn({ say: story.prompt(), work: [story.files.shell()] });
}

function resumed(story: Story): void {
  const { random, parts } = story;
  opening(story);
  for (let time = 0; time < 2; time++) {
    middle(story, 2);
    parts.push({ do: "restart", isKilled: random.isLucky(0.6), flag: random.pick(["--resume", "--continue"]) });
  }
  closing(story);
}

/** The user starts over; nothing of before is current after that. */
function cleared(story: Story): void {
  opening(story);
  middle(story, 1);
  story.clear();
  opening(story);
  closing(story);
}

/** The model saves by SHIM's tool: once with everything, later with the new alone. */
function saves(story: Story): void {
  const { random } = story;
  const note = (): string => {
    const words = [random.word(), random.word()];
    story.plant({ kind: "note", words });
    return `${words[0]} by way of ${words[1]}`;
  };
  opening(story);
  const all = shimTool("shim_force_checkpoint", { goal: note(), decisions: [note()], openQuestions: [note()] });
  story.turn({ say: story.nod(), work: [story.files.edit(), [all]] });
  middle(story, 2);
  story.turn({ say: story.prompt(), work: [[shimTool("shim_force_checkpoint", { decisions: [note()] })]] });
  closing(story);
}

/** The chat asks, the user chooses in a dialog. */
function dialogs(story: Story): void {
  const { random } = story;
  opening(story);
  for (let dialog = 0; dialog < random.between(1, 3); dialog++) {
    const [subject, chosen, rejected] = [random.word(), random.word(), random.word()];
    const question = `Which one for the ${subject}?`;
    const labels = random.isLucky(0.5) ? [chosen, rejected] : [rejected, chosen];
    const options = labels.map((label) => ({ label, description: "An option." }));
    const input = { questions: [{ question, header: "Choice", options, multiSelect: false }] };
    story.plant({ kind: "answer", words: [subject, chosen], rejected });
    story.turn({
      say: story.nod(),
      work: [[{ tools: [{ name: "AskUserQuestion", input }] }], story.files.edit()],
      answers: { [question]: chosen },
    });
  }
  closing(story);
}

/** To-dos by the client's own tools, where the model has them. */
function toDos(story: Story): void {
  const { random } = story;
  opening(story);
  const items = Array.from({ length: 3 }, () => [random.word(), random.word()] as const);
  const create = items.map(([a, b]) => ({
    name: "TaskCreate",
    input: { subject: `Build ${a} for ${b}`, description: "Part of it." },
  }));
  story.turn({ say: story.nod(), work: [[{ tools: create }, update("1", "in_progress")], story.files.edit()] });
  story.turn({ say: story.nod(), work: [[update("1", "completed"), update("2", "in_progress")]] });
  for (const [index, words] of items.entries()) story.plant({ kind: "to-do", words, isDone: index === 0 });
  closing(story);
}

function update(taskId: string, status: string): Step {
  return { tools: [{ name: "TaskUpdate", input: { taskId, status } }] };
}

/** One changed file is changed again, one is deleted, and one that the chat left alone is changed. */
function editedByHand(story: Story, facts: readonly Fact[]): Changes {
  const [again, deleted] = story.files.changed;
  const fresh = story.files.untouchedOne();
  const after: AfterDeath[] = [{ do: "write", path: fresh, content: "by hand;\n" }];
  if (again !== undefined) after.push({ do: "write", path: again, content: "by hand too;\n" });
  if (deleted !== undefined) after.push({ do: "delete", path: deleted });
  const touched = after.flatMap((one) => ("path" in one ? [one.path] : []));
  const edited = touched.map((path) => ({ kind: "edited by hand", path, wasChangedBefore: path !== fresh }) as const);
  return { after, facts: [...facts.filter((fact) => !("path" in fact && touched.includes(fact.path))), ...edited] };
}

function branchSwitched({ random }: Story, facts: readonly Fact[]): Changes {
  const [before, after] = [random.word(), random.word()];
  const left = { kind: "left branch", words: [before, after] } as const;
  return { branch: before, after: [{ do: "checkout", branch: after }], facts: [...facts, left] };
}

/** What was not committed is not on the machine of the next chat. */
function onOtherMachine(_: Story, facts: readonly Fact[]): Changes {
  const there = facts.map((fact) => (fact.kind === "changed file" ? { ...fact, isElsewhere: true } : fact));
  return { isOnOtherMachine: true, endsBy: "power lost", facts: there };
}

/** Another chat of the project. */
function twoChats({ random }: Story, facts: readonly Fact[]): Changes {
  const other = new Story(random);
  other.turn({ say: other.prompt() });
  other.turn({ say: other.prompt() });
  const foreign = other.facts().flatMap((fact) => ("words" in fact ? fact.words : []));
  const planted = foreign.map((word) => ({ kind: "foreign", words: [word], of: "other chat" }) as const);
  const fate = random.pick(["lives on", "finished"] as const);
  return { other: { chat: other.chat(), fate }, facts: [...facts, ...planted] };
}

function fail(message: string): never {
  throw new Error(message);
}
