import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { bash, call, ClaudeRig, received } from "#harness/claude/claude-rig.ts";
import type { ModelRequest, Steps } from "#harness/claude/scripted-model.ts";
import { runShim } from "#harness/clients/real-clients.ts";
import { write } from "#harness/machine/git-project.ts";
import type { MachineOutput } from "#src/contract/machine/operations.ts";

const question = { question: "Which database?", header: "DB", multiSelect: false };
const parts = { question: "Which parts?", header: "Parts", multiSelect: true };
const options = ["A", "B", "C"].map((label) => ({ label, description: `part ${label}` }));
const questions = [
  {
    ...question,
    options: [
      { label: "SQLite", description: "small" },
      { label: "Postgres", description: "big" },
    ],
  },
  { ...parts, options },
];

/** A chat that asks what its steps ask, and answers from elsewhere. */
async function aChat(steps: Steps, more: object = {}) {
  const rig = new ClaudeRig();
  write(rig.paths.home, { "config.json": JSON.stringify({ answers: { isEnabled: true } }) });
  const env = { PATH: process.env["PATH"] ?? "", HOME: rig.home, SHIM_HOME: rig.paths.home };
  const shim = (...args: readonly string[]): unknown => JSON.parse(runShim([...args, "--json"], { env }));
  const list = () => shim("requests") as MachineOutput<"requests.list">;
  const chat = await rig.typed("do it", { steps, ...more });
  const asked = () => untilFound(() => list().requests[0], "a request");
  const outcomes = (): string[] => (list().answers ?? []).map(({ decision, outcome }) => `${decision} ${outcome}`);
  return { rig, chat, shim, asked, outcomes, list };
}

it("a question of Claude Code is answered from elsewhere with a choice, several choices and words, and is declined with words", async () => {
  const ask = call("AskUserQuestion", { questions });
  const { rig, chat, shim, asked, outcomes } = await aChat([ask, ask, ask, { text: "Done." }]);
  const one = await asked();
  expect(one).toMatchObject({ kind: "question", decisions: ["answer", "deny"] });
  shim("requests", "answer", one.id, "answer", "2", "1,3");
  const two = await untilFound(async () => ((await asked()).id === one.id ? null : asked()), "the second question");
  expect(received(chat.model, -1)).toMatch(/"Which database\?"="Postgres".*"Which parts\?"="A, C"/);
  shim("requests", "answer", two.id, "answer", "DuckDB, please", "2");
  const three = await untilFound(async () => ((await asked()).id === two.id ? null : asked()), "the third question");
  expect(received(chat.model, -1)).toContain('"Which database?"="DuckDB, please"');
  shim("requests", "answer", three.id, "deny", "--message", "Let me think first.");
  await rig.last(chat.id, "turn_end");
  expect(received(chat.model, -1)).toContain("Let me think first.");
  expect(outcomes()).toEqual(["answer taken", "answer taken", "deny taken"]);
});

/** Writes the plan to where the client wants it. */
const writePlan = (text: string) => (request: ModelRequest) => {
  const path = /[\w/.-]+\/plans\/[\w.-]+\.md/.exec(JSON.stringify(request.body))?.[0] ?? "";
  return call("Write", { file_path: path, content: text });
};
const exit = call("ExitPlanMode", {});

it("a plan of Claude Code is rejected from elsewhere with words, and the next one approved", async () => {
  const steps = [writePlan("# Plan\n\n1. First"), exit, writePlan("# Plan\n\n1. Second"), exit, { text: "Done." }];
  const { rig, chat, shim, asked, outcomes } = await aChat(steps, { args: ["--permission-mode", "plan"] });
  const one = await asked();
  expect(one).toMatchObject({ kind: "plan", text: "# Plan\n\n1. First", decisions: ["allow", "deny"] });
  shim("requests", "answer", one.id, "deny", "--message", "Begin with the tests.");
  const two = await untilFound(async () => ((await asked()).id === one.id ? null : asked()), "the second plan");
  expect([two.text, received(chat.model, -1)]).toEqual([
    "# Plan\n\n1. Second",
    expect.stringContaining("Begin with the tests."),
  ]);
  shim("requests", "answer", two.id, "allow");
  await rig.last(chat.id, "turn_end");
  expect(received(chat.model, -1)).toContain("User has approved your plan");
  expect(outcomes()).toEqual(["deny taken", "allow taken"]);
});

it("what Claude Code suggests is allowed for the session from elsewhere, and it asks no more for what is like it", async () => {
  const steps = [bash("mkdir one"), bash("mkdir two"), { text: "Done." }];
  const args = ["--permission-mode", "default"];
  const { rig, chat, shim, asked, outcomes } = await aChat(steps, { args, allowed: ["Read"] });
  const { id, grant, decisions } = await asked();
  expect([decisions, grant]).toEqual([["allow", "session", "deny"], expect.stringContaining("edits of files")]);
  shim("requests", "answer", id, "session");
  await rig.last(chat.id, "turn_end");
  expect(outcomes()).toEqual(["session taken"]);
});
