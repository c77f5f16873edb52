import type { ModelRequest, Step } from "../../test/harness/claude/scripted-model.ts";
import { closing, middle, opening, shift } from "./arcs.ts";
import { fileAt } from "./files.ts";
import { bash, type Story } from "./story.ts";

/** Kinds of sessions that differ in what the client does. */

const fullContext = { input_tokens: 980_000, output_tokens: 20 };

export function compaction(times: number): (story: Story) => void {
  return (story) => {
    opening(story);
    const made = story.decision();
    story.turn({ say: [made.text, story.ban()], work: [story.files.edit()] });
    let current = made.made;
    for (let time = 0; time < times; time++) {
      middle(story, story.random.between(2, 4));
      // A summary that keeps the work at hand and loses the rules, as real ones do.
      const goal = story.goalWords.join(" and ");
      story.summary = `<analysis>Thoughts.</analysis><summary>1. Primary request: the user works on ${goal}.\n2. The ${current.subject} uses ${current.value}.\n3. Current work: files were read and edited.</summary>`;
      compact(story);
      if (story.random.isLucky(0.5)) {
        const reversal = story.reversal(current);
        story.turn({ say: [reversal.text], work: [story.files.edit()] });
        current = reversal.made;
      } else shift(story);
    }
    middle(story, story.random.between(1, 2));
    closing(story);
  };
}

function compact(story: Story): void {
  if (story.random.isLucky(0.5)) story.parts.push({ do: "compact" });
  else {
    const large: Step = { tools: [{ name: "Bash", input: { command: "echo large" } }], usage: fullContext };
    story.turn({ say: [story.ack()], work: [[large]] });
  }
}

export function resume(story: Story): void {
  const { random } = story;
  opening(story);
  const made = story.decision();
  story.turn({ say: [made.text], work: [story.files.edit()] });
  middle(story, 2);
  story.parts.push({ do: "restart", isKilled: random.isLucky(0.6), flag: random.pick(["--resume", "--continue"]) });
  story.turn({ say: [story.ban()], work: [story.files.edit()] });
  if (random.isLucky(0.5)) shift(story);
  else story.turn({ say: [story.reversal(made.made).text], work: [story.files.read()] });
  story.parts.push({ do: "restart", isKilled: random.isLucky(0.6), flag: random.pick(["--resume", "--continue"]) });
  middle(story, 2);
  closing(story);
}

/** The user starts over; nothing of before is current after that. */
export function cleared(story: Story): void {
  opening(story);
  middle(story, 1);
  story.clear();
  story.turn({ say: [story.goal()], work: [story.files.edit()] });
  story.turn({ say: [story.order()] });
  story.turn({ say: [story.decision().text], work: [story.files.write()], reply: [story.next()] });
}

/** A subagent has a task, an error and a file of its own. */
export function subagents(story: Story): void {
  const { random } = story;
  opening(story);
  story.turn({ say: [story.decision().text], work: [story.files.edit()] });
  for (let agent = 0; agent < random.between(1, 2); agent++) {
    const [mark, topic] = [random.word(), random.word()];
    const task = `Find out where ${mark} meets ${topic}, and report back.`;
    story.plant({ kind: "not-the-goal", words: [mark, topic] });
    const input = {
      description: `look for ${mark}`,
      prompt: task,
      subagent_type: "general-purpose",
      run_in_background: false,
    };
    story.subagents.push({
      match: task,
      steps: [bash("ls"), ...story.files.write(), { text: `I found it: ${random.word()} holds it.` }],
    });
    story.turn({
      say: [story.ack()],
      work: [[{ tools: [{ name: "Agent", input }] }]],
      reply: [story.done(), story.next()],
    });
  }
  story.turn({ say: [story.ban()] });
  middle(story, 2);
  closing(story);
}

/** A plan that the user approves: its title stands for what was agreed, and its first open point for what comes next. */
export function planMode(story: Story): void {
  const { random } = story;
  opening(story);
  const [title, way] = [random.word(), random.word()];
  const points = Array.from({ length: 3 }, () => [random.word(), random.word()]);
  const plan = [
    `# ${random.pick(["Plan", "How we do it", "Proposal"])}: ${title} by way of ${way}`,
    "",
    ...points.map((point, index) => `${index + 1}. Build ${point[0]} for ${point[1]}`),
    "",
  ].join("\n");
  story.plant({ kind: "decision", words: [title, way] });
  const write = (request: ModelRequest): Step => ({
    tools: [{ name: "Write", input: { file_path: planPathIn(request), content: plan } }],
  });
  const steps = [
    { tools: [{ name: "EnterPlanMode", input: {} }] },
    write,
    { tools: [{ name: "ExitPlanMode", input: {} }] },
  ];
  story.turn({ say: ["Make a plan first, please."], work: [steps], reply: ["The plan is approved, I begin."] });
  story.turn({ say: [story.ack()], work: [story.files.edit()], reply: [story.done(), story.next()] });
  if (random.isLucky(0.5)) story.turn({ say: [story.ban()] });
  middle(story, 2);
  closing(story);
}

function planPathIn(request: ModelRequest): string {
  const path = request.messages.map(({ text }) => /\S+\/plans\/[\w-]+\.md/.exec(text)?.[0]).findLast(Boolean);
  return path ?? fileAt("PLAN.md");
}

/** The chat asks, the user chooses in a dialog. */
export function dialogs(story: Story): void {
  const { random } = story;
  opening(story);
  for (let dialog = 0; dialog < random.between(1, 3); dialog++) {
    const [subject, chosen, other] = [random.word(), random.word(), random.word()];
    const question = random.pick([
      `Which one for the ${subject}?`,
      `What should the ${subject} be based on?`,
      `How do we build the ${subject}?`,
      `The ${subject} can be one of two. Which?`,
    ]);
    const labels = random.isLucky(0.5) ? [chosen, other] : [other, chosen];
    const options = labels.map((label) => ({ label, description: "An option." }));
    const input = { questions: [{ question, header: "Choice", options, multiSelect: false }] };
    story.plant({ kind: "decision", words: [subject, chosen] });
    story.plant({ kind: "rejected", value: other, chosen });
    story.turn({
      say: [story.ack()],
      work: [[{ tools: [{ name: "AskUserQuestion", input }] }], story.files.edit()],
      reply: [story.done(), story.next()],
      answers: { [question]: chosen },
    });
  }
  middle(story, 2);
  closing(story);
}

/** To-dos by the client's own tools, where the model has them. */
export function todos(story: Story): void {
  const { random } = story;
  opening(story);
  const items = Array.from({ length: 3 }, () => [random.word(), random.word()] as const);
  const create = items.map(([a, b]) => ({
    name: "TaskCreate",
    input: { subject: `Build ${a} for ${b}`, description: "Part of it." },
  }));
  story.turn({ say: [story.ack()], work: [[{ tools: create }, update("1", "in_progress")], story.files.edit()] });
  story.turn({
    say: [story.ack()],
    work: [story.files.write(), [update("1", "completed"), update("2", "in_progress")]],
  });
  story.plant({ kind: "done-step", words: items[0] ?? [] });
  story.turn({ say: [story.decision().text, story.ban()] });
  closing(story);
}

function update(taskId: string, status: string): Step {
  return { tools: [{ name: "TaskUpdate", input: { taskId, status } }] };
}
