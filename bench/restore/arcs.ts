import type { PlannedStep } from "./plan.ts";
import type { Story } from "./story.ts";

/** Pieces of work that most sessions have in common. */

/** What a chat does in a turn beside what the turn is about. */
export function busywork(story: Story): PlannedStep[] {
  const { random, files } = story;
  const kinds = [
    () => files.read(),
    () => files.read(),
    () => (files.changed.length < 6 ? files.edit() : files.read()),
    () => [{ tools: [{ name: "Bash", input: { command: `ls ${random.pick(["src", "lib", "."])} | head -3` } }] }],
  ];
  return random.pick(kinds)();
}

/** The first request with what the user wants to be kept in mind. */
export function opening(story: Story): void {
  const { random } = story;
  const extras = [story.order(), ...(random.isLucky(0.5) ? [story.name()] : [])];
  story.turn({ say: [story.goal(), ...extras], work: [story.files.read(), story.files.edit()], reply: [story.next()] });
}

/** Turns in which the work goes on, and nothing is decided. */
export function middle(story: Story, turns: number): void {
  const { random } = story;
  for (let turn = 0; turn < turns; turn++) {
    const isStep = random.isLucky(0.4);
    const say = random.isLucky(0.75) ? story.ack() : story.question();
    const reply = isStep ? [story.done(), story.next()].filter((text) => text !== "") : undefined;
    story.turn({ say: [say], work: [busywork(story)], ...(reply ? { reply } : {}) });
  }
}

/** The goal is reached and committed; the user sees it. */
function finishGoal(story: Story): void {
  const [a = "", b = ""] = story.goalWords;
  const summary = story.phrases.say("done", { a, b });
  const isCommitted = story.random.isLucky(0.7);
  const commit = isCommitted ? story.files.commit(`work on ${a}`) : [];
  const step = story.done();
  story.turn({ say: [story.ack()], work: [commit], reply: [step, summary].filter((text) => text !== "") });
}

/** @param before text above the request */
export function shift(story: Story, before = ""): void {
  finishGoal(story);
  story.turn({ say: [`${before}${story.goal()}`], work: [story.files.edit()], reply: [story.next()] });
}

/** What the session ends with: changes of two or all three ways, and the words about the next step. */
export function closing(story: Story): void {
  const { files, random } = story;
  const reply = [story.done(), story.next()].filter((text) => text !== "");
  const changes = [files.edit(), files.write(), ...(random.isLucky(0.7) ? [files.shell()] : [])];
  story.turn({ say: [story.ack()], work: changes, reply });
}
