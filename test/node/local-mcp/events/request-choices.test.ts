import { afterEach, expect, it, vi } from "vitest";
import { aRequestRig, decided, printed } from "#harness/machine/request-rig.ts";

afterEach(() => void vi.useRealTimers());

const secret = `ghp_${"a1B2".repeat(9)}`;
const questions = [
  {
    question: "Which database?",
    header: "DB",
    multiSelect: false,
    options: [{ label: "SQLite", description: "small" }, { label: `Postgres ${secret}` }],
  },
  { question: "Which parts?", multiSelect: true, options: [{ label: "A" }, { label: "B" }, { label: "C" }] },
];
const asked = { tool_name: "AskUserQuestion", tool_input: JSON.stringify({ questions }) };

it("a question is shown with its choices, and whether it takes several, and its answer from elsewhere is the client's own labels, and words", async () => {
  const { event, first, answer, list } = await aRequestRig();
  await event("UserPromptSubmit", { prompt: "choose" });
  const answered = event("PermissionRequest", asked);
  const shown = await first();
  expect(shown).toMatchObject({ kind: "question", decisions: ["answer", "deny"], grant: null, folded: null });
  expect(shown.questions[0]).toEqual({
    question: "Which database?",
    isMultiple: false,
    choices: [
      { label: "SQLite", description: "small" },
      { label: "Postgres [redacted:github-token]", description: null },
    ],
  });
  expect(shown.text.split("\n")).toEqual([
    "Which database?",
    "1. SQLite: small",
    "2. Postgres [redacted:github-token]",
    "Which parts? (several choices)",
    "1. A",
    "2. B",
    "3. C",
  ]);
  const answers = [{ choices: [2] }, { choices: [3, 1], words: `and ${secret}` }];
  expect(await answer(shown.id, "answer", { answers })).toMatchObject({ ok: true });
  const texts = { "Which database?": `Postgres ${secret}`, "Which parts?": "A, C, and [redacted:github-token]" };
  expect(printed(await answered)).toEqual(decided({ behavior: "allow", updatedInput: { questions, answers: texts } }));
  const outcome = async () => (await list()).answers?.map(({ decision, outcome: one }) => [decision, one]);
  expect(await outcome()).toEqual([["answer", "sent"]]);
  const over = { tool_name: "AskUserQuestion", tool_use_id: "t1", "tool_response.answers": JSON.stringify(texts) };
  await event("PostToolUse", over);
  expect(await outcome()).toEqual([["answer", "taken"]]);
});

it.each([
  ["late", { "Which database?": "DuckDB", "Which parts?": "A" }],
  // OpenCode has a list for each question.
  ["late", { "Which database?": ["DuckDB"], "Which parts?": ["A"] }],
  ["taken", { "Which database?": ["SQLite"], "Which parts?": ["A"] }],
])("an answer that came after the terminal's is late: %s %j", async (outcome, said) => {
  const { event, first, answer, list } = await aRequestRig();
  await event("UserPromptSubmit", { prompt: "choose" });
  void event("PermissionRequest", asked);
  await answer((await first()).id, "answer", { answers: [{ choices: [1] }, { choices: [1] }] });
  const answers = JSON.stringify(said);
  await event("PostToolUse", { tool_name: "AskUserQuestion", tool_use_id: "t1", "tool_response.answers": answers });
  const text = { late: "Too late to answer: its terminal had answered it", taken: "Answered" }[outcome];
  expect((await list()).answers).toMatchObject([{ outcome, text }]);
});

it("a question that its terminal answers is over, and one that is declined tells the model why", async () => {
  const { event, first, answer, listed } = await aRequestRig();
  await event("UserPromptSubmit", { prompt: "choose" });
  void event("PermissionRequest", asked);
  await first();
  await event("PostToolUse", { tool_name: "AskUserQuestion", tool_use_id: "t1" });
  expect(await listed()).toEqual([]);
  const declined = event("PermissionRequest", asked);
  await answer((await first()).id, "deny", { message: "Let me think." });
  expect(printed(await declined)).toEqual(decided({ behavior: "deny", message: "Let me think." }));
});

it.each([
  [[], "question 1 has no answer: give the number of a choice, or words; question 2 has no answer"],
  [[{ choices: [3] }, { choices: [1] }], "question 1 has 2 choices"],
  [[{ choices: [1, 2] }, { choices: [1] }], "question 1 takes one choice, or words"],
  [[{ choices: [1], words: "x" }, { choices: [1] }], "question 1 takes one choice, or words"],
  [[{ choices: [1] }, { choices: [1] }, { choices: [1] }], "it asks 2, and 3 are answered"],
])("answers that do not fit the questions are refused, and the question stays open: %j", async (answers, why) => {
  const { event, first, answer, listed } = await aRequestRig();
  void event("PermissionRequest", asked);
  const { id } = await first();
  expect(await answer(id, "answer", { answers })).toMatchObject({
    error: { code: "bad_input", message: expect.stringContaining(why) as string },
  });
  expect(await answer(id, "allow")).toMatchObject({
    error: { code: "bad_input", message: expect.stringContaining("answer, deny") as string },
  });
  expect(await listed()).toMatchObject([{ id }]);
});

it("a plan is shown as it was written, and is approved with its own input, or rejected with words", async () => {
  const { event, first, answer } = await aRequestRig();
  const plan = { plan: "# Plan\n\n1. First", planFilePath: "/home/u/.claude/plans/a.md" };
  const exit = { tool_name: "ExitPlanMode", tool_input: JSON.stringify(plan) };
  const approved = event("PermissionRequest", exit);
  const shown = await first();
  expect(shown).toMatchObject({ kind: "plan", text: plan.plan, decisions: ["allow", "deny"], questions: [] });
  await answer(shown.id, "allow");
  expect(printed(await approved)).toEqual(decided({ behavior: "allow", updatedInput: plan }));
  const rejected = event("PermissionRequest", exit);
  await answer((await first()).id, "deny", { message: "Split it." });
  expect(printed(await rejected)).toEqual(decided({ behavior: "deny", message: "Split it." }));
});

const rule = { type: "addRules", behavior: "allow", destination: "localSettings" };
const push = { ...rule, rules: [{ toolName: "Bash", ruleContent: "git push *" }, { toolName: "WebFetch" }] };
const edits = [
  { type: "addDirectories", directories: ["/p"], destination: "session" },
  { type: "setMode", mode: "acceptEdits", destination: "session" },
];

it.each([
  [[push], "Bash: git push *, every call of WebFetch"],
  [edits, "the folder /p, edits of files without asking"],
])(
  "what the client suggests to allow is named before it is allowed until the session ends, and holds no longer: %j",
  async (suggestions, grant) => {
    const { event, first, answer } = await aRequestRig();
    const input = { command: "git push" };
    const call = { tool_name: "Bash", tool_input: JSON.stringify(input) };
    const allowed = event("PermissionRequest", { ...call, permission_suggestions: JSON.stringify(suggestions) });
    const shown = await first();
    expect(shown).toMatchObject({ grant, decisions: ["allow", "session", "deny"] });
    await answer(shown.id, "session");
    const updatedPermissions = suggestions.map((one) => ({ ...one, destination: "session" }));
    expect(printed(await allowed)).toEqual(decided({ behavior: "allow", updatedPermissions }));
  },
);

it.each([
  [[]],
  [[{ type: "setMode", mode: "bypassPermissions", destination: "session" }]],
  [[push, { type: "somethingNew" }]],
  [[{ ...push, behavior: "deny" }]],
])("no allowance for the session is offered where its effect is not known: %j", async (suggestions) => {
  const { event, first, answer } = await aRequestRig();
  const call = { tool_name: "Bash", tool_input: JSON.stringify({ command: "ls" }) };
  void event("PermissionRequest", { ...call, permission_suggestions: JSON.stringify(suggestions) });
  const { id, decisions, grant } = await first();
  expect([decisions, grant]).toEqual([["allow", "deny"], null]);
  expect(await answer(id, "session")).toMatchObject({ error: { code: "bad_input" } });
});
