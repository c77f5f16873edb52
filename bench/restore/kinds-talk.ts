import { busywork, closing, middle, opening, shift } from "./arcs.ts";
import { filler, pastedLog } from "./filler.ts";
import { shimTool, type Story } from "./story.ts";

/** Kinds of sessions that differ in what is said. */

export function long(story: Story): void {
  const { random } = story;
  opening(story);
  const first = story.decision();
  story.turn({ say: [first.text], work: [story.files.edit()] });
  middle(story, random.between(3, 5));
  story.turn({ say: [story.ban()] });
  shift(story);
  middle(story, random.between(3, 5));
  story.turn({ say: [story.name()], work: [story.files.read()] });
  shift(story);
  story.turn({ say: [story.reversal(first.made).text], work: [story.files.edit()] });
  middle(story, random.between(3, 6));
  const own = story.decision("chat");
  story.turn({ say: [story.ack()], work: [story.files.read()], reply: [own.text] });
  shift(story);
  middle(story, random.between(4, 7));
  closing(story);
}

export function shiftingGoals(story: Story): void {
  opening(story);
  for (let goal = 0; goal < 4; goal++) {
    middle(story, story.random.between(1, 3));
    if (goal === 1) story.turn({ say: [story.ban()] });
    shift(story);
  }
  middle(story, story.random.between(1, 3));
  closing(story);
}

export function reversedDecisions(story: Story): void {
  opening(story);
  const [first, second, third] = [story.decision(), story.decision("chat"), story.decision()];
  story.turn({ say: [first.text], work: [story.files.edit()] });
  story.turn({ say: [story.ack()], work: [story.files.edit()], reply: [second.text] });
  story.turn({ say: [third.text] });
  middle(story, story.random.between(2, 4));
  const again = story.reversal(first.made);
  story.turn({ say: [again.text], work: [story.files.edit()] });
  story.turn({ say: [story.reversal(second.made).text] });
  middle(story, story.random.between(1, 3));
  if (story.random.isLucky(0.5)) story.turn({ say: [story.reversal(again.made).text], work: [busywork(story)] });
  closing(story);
}

export function solvedErrors(story: Story): void {
  opening(story);
  for (let error = 0; error < story.random.between(1, 3); error++) {
    const failing = story.failing();
    story.turn({ say: [story.ack()], work: [failing.steps], reply: ["That failed, I look into it."] });
    middle(story, story.random.between(0, 2));
    const solved = story.solved(failing);
    story.turn({ say: [story.ack()], work: [story.files.edit(), solved.steps], reply: [solved.text] });
  }
  middle(story, story.random.between(1, 3));
  const isLeftOpen = story.random.isLucky(0.6);
  if (isLeftOpen) story.turn({ say: [story.ack()], work: [story.failing().steps], reply: [story.next()] });
  else closing(story);
}

/** The model saves by SHIM's tool: once with everything, later with the new alone. */
export function saves(story: Story): void {
  opening(story);
  const first = story.decision("chat");
  const goal = story.goalWords.join(" and ");
  const next = story.next();
  const save = shimTool("shim_force_checkpoint", { goal: `Work on ${goal}`, decisions: [first.text], nextStep: next });
  story.turn({ say: [story.ack()], work: [story.files.edit(), [save]], reply: [next] });
  middle(story, 2);
  const second = story.decision("chat");
  const more = shimTool("shim_force_checkpoint", { decisions: [second.text] });
  story.turn({ say: [story.ack()], work: [[more]], reply: [story.done(), second.text] });
  story.turn({ say: [story.ban()] });
  if (story.random.isLucky(0.5)) shift(story);
  const last = story.next();
  const saved = story.random.isLucky(0.5) ? [shimTool("shim_force_checkpoint", { nextStep: last })] : [];
  story.turn({ say: [story.ack()], work: [story.files.write(), saved], reply: [last] });
}

/** Short sentences in another language; the chat answers in it. */
export function languages(story: Story): void {
  opening(story);
  const made = story.decision();
  story.turn({ say: [made.text], work: [story.files.edit()] });
  story.turn({ say: [story.ban()] });
  middle(story, 2);
  if (story.random.isLucky(0.5)) shift(story);
  story.turn({ say: [story.reversal(made.made).text] });
  middle(story, 2);
  closing(story);
}

/** Prompts of thousands of characters: a rule in the middle, a request below a pasted log. */
export function longPrompts(story: Story): void {
  const { random } = story;
  const say = [story.goal(), filler(random, 30), story.order(), filler(random, 30)];
  story.turn({ say, work: [story.files.edit()], reply: [story.next()] });
  middle(story, 2);
  const made = story.decision();
  const more = [filler(random, 15), story.ban(), filler(random, 12), made.text, filler(random, 8)];
  story.turn({ say: more, work: [busywork(story)] });
  middle(story, 2);
  if (random.isLucky(0.5)) story.turn({ say: [filler(random, 12), story.name(), filler(random, 20)] });
  shift(story, pastedLog(random));
  closing(story);
}

/** Most of what the user says is a nod. */
export function acknowledgements(story: Story): void {
  opening(story);
  for (let round = 0; round < 3; round++) {
    for (let nod = 0; nod < 4; nod++) story.turn({ say: [story.ack()], work: [busywork(story)] });
    if (round === 0) shift(story);
    if (round === 1) story.turn({ say: [story.decision().text], work: [story.files.edit()] });
  }
  closing(story);
  for (let nod = 0; nod < 2; nod++)
    story.turn({ say: [story.ack()], work: [story.files.read()], reply: [story.done(), story.next()] });
}
