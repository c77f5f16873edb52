import { expect, it } from "vitest";
import type { TierCounts } from "#src/contract/model-routes.ts";
import { ClaudeSettings } from "#src/runner/worker/client/settings.ts";
import { died, FakeClaude, init, lines, result, says, session, type Part } from "#harness/claude/fake-claude.ts";

const tiers = [
  { name: "small", model: "haiku", effort: "low" },
  { name: "medium", model: "sonnet" },
  { name: "large", model: "opus", effort: "high" },
] as const;
const route = { tiers, default: "medium" };
const settings = { route };
const good: Part = { text: lines(init(), says({ text: "I look." }), result()) };
const clear = "Fix the bug in src/a.ts and add a test in test/a.test.ts.";

function valueAfter(claude: FakeClaude, option: string): string | undefined {
  const args = claude.started().at(-1)?.args ?? [];
  return args.includes(option) ? args[args.indexOf(option) + 1] : undefined;
}

const models = (claude: FakeClaude): unknown[] => [valueAfter(claude, "--model"), valueAfter(claude, "--effort")];

it("without a route nothing is chosen, reported or stored of it", async () => {
  const claude = new FakeClaude([good]);
  const { routes, checkpoints } = await claude.run({
    settings: { model: "opus" },
    task: { payload: clear },
    counts: [],
  });
  expect([models(claude), routes]).toEqual([["opus", undefined], []]);
  expect(checkpoints).toEqual([{ claude: { session, folder: claude.folder } }]);
});

it("a task of which nothing is known gets the default tier, which is reported first", async () => {
  const claude = new FakeClaude([good]);
  const { routes, checkpoints, output } = await claude.run({ settings, task: { payload: "hello" }, counts: [] });
  expect(models(claude)).toEqual(["sonnet", undefined]);
  expect(routes).toMatchObject([{ tier: "medium", reason: "no_evidence", isCounted: true }]);
  expect(checkpoints[0]).toMatchObject({ route: { attempt: 1, chosen: { tier: "medium", model: "sonnet" } } });
  expect(output).toContain("tier medium (sonnet): no evidence\n");
});

it("a coordinator that does not answer leaves the default tier", async () => {
  const claude = new FakeClaude([good]);
  const { routes } = await claude.run({ settings, task: { payload: clear }, counts: null });
  expect(routes).toMatchObject([{ tier: "medium", reason: "no_counts" }]);
});

it("a tier that is proven good enough and cheaper does the task, with its effort @night", async () => {
  const counts: TierCounts[] = [
    { tier: "small", model: "haiku", effort: "low", band: "usual", tried: 200, succeeded: 196, meanCostMicros: 1_000 },
    { tier: "medium", model: "sonnet", effort: null, band: "usual", tried: 200, succeeded: 190, meanCostMicros: 9_000 },
  ];
  const claude = new FakeClaude([good]);
  const { routes } = await claude.run({ settings, task: { payload: clear }, counts });
  expect([routes[0]?.reason, models(claude)]).toEqual(["chosen", ["haiku", "low"]]);
});

const chosen = {
  tier: "medium",
  model: "sonnet",
  effort: null,
  band: "usual",
  reason: "chosen",
  isCounted: true,
} as const;

const next = (claude: FakeClaude, attempt: number, change: object = {}) => ({
  settings,
  task: {
    attempt,
    payload: { text: clear },
    checkpoint: { claude: { session, folder: claude.folder }, route: { attempt: 1, chosen: { ...chosen, ...change } } },
  },
});

it("the attempt after a failure is one tier up, in a new session with the brief", async () => {
  const claude = new FakeClaude([good]);
  died(claude);
  const { routes, output } = await claude.run(next(claude, 2));
  expect(models(claude)).toEqual(["opus", "high"]);
  expect(routes).toMatchObject([{ tier: "large", reason: "escalated" }]);
  expect(output).toContain(`session ${session} is not resumed: another model continues the task\n`);
  expect(claude.started()[0]?.args).not.toContain("--resume");
  expect(claude.started()[0]?.input).toContain("The fault is in one.ts.");
});

it("after a lost chat, or trouble that is not the model's, the same tier resumes @night", async () => {
  for (const [attempt, change] of [
    [1, {}],
    [2, { isCounted: false }],
  ] as const) {
    const claude = new FakeClaude([good]);
    died(claude);
    const { routes } = await claude.run(next(claude, attempt, change));
    expect(models(claude)).toEqual(["sonnet", undefined]);
    expect(routes).toEqual([chosen]);
    expect(valueAfter(claude, "--resume")).toBe(session);
  }
});

it("the best tier is tried again, and resumes", async () => {
  const claude = new FakeClaude([good]);
  died(claude);
  const { routes } = await claude.run(next(claude, 2, { tier: "large", model: "opus", effort: "high" }));
  expect(routes).toMatchObject([{ tier: "large", reason: "retried" }]);
  expect(valueAfter(claude, "--resume")).toBe(session);
});

const unrouted = (claude: FakeClaude) => ({
  settings,
  task: { payload: clear, checkpoint: { claude: { session, folder: claude.folder } } },
});

it("no other model resumes: not after the table, or the route, has changed, nor one that was not routed @night", async () => {
  const other = { tiers: [tiers[0], { ...tiers[1], model: "sonnet-2" }], default: "medium" };
  const cases = [
    unrouted,
    (claude: FakeClaude) => ({ ...next(claude, 1), settings: { route: other } }),
    (claude: FakeClaude) => ({ ...next(claude, 1), settings: { model: "opus" } }),
  ];
  for (const prepare of cases) {
    const claude = new FakeClaude([good]);
    died(claude);
    expect((await claude.run(prepare(claude))).output).toContain("is not resumed: another model");
  }
});

function calls(...commands: readonly string[]): string {
  const events = commands.flatMap((command, at) => [
    {
      type: "assistant",
      message: { id: `m${at}`, content: [{ type: "tool_use", id: `t${at}`, name: "Bash", input: { command } }] },
      parent_tool_use_id: null,
    },
  ]);
  return lines(init(), ...events);
}

it("a stalled run is stopped where a higher tier follows, and nowhere else @night", async () => {
  const stalled: Part = { text: calls("ls", "npm test", "npm test", "npm test"), atInterrupt: lines(result()) };
  const claude = new FakeClaude([stalled]);
  const { outcome, output } = await claude.run({ settings, task: { payload: clear } });
  const reason = "stalled: Bash was called 3 times with the same arguments";
  expect(outcome).toEqual({ kind: "failed", reason, isRetryable: true });
  expect(output).toContain(`${reason}\n`);
  const ended: Part = { text: stalled.text + lines(result()) };
  for (const options of [
    { settings: {}, task: { payload: clear } },
    { settings, task: { payload: clear, attempt: 3, maxAttempts: 3 } },
    { settings: { route: { tiers, default: "large" } }, task: { payload: clear } },
  ]) {
    const other = new FakeClaude([ended]);
    expect((await other.run(options)).outcome.kind).toBe("done");
  }
});

const failing = (parent: string | null): string =>
  ["a", "b", "c"]
    .map((command, at) =>
      lines(
        {
          type: "assistant",
          message: { id: `m${at}`, content: [{ type: "tool_use", id: `t${at}`, name: "Bash", input: { command } }] },
          parent_tool_use_id: parent,
        },
        {
          type: "user",
          message: { content: [{ type: "tool_result", tool_use_id: `t${at}`, is_error: true }] },
          parent_tool_use_id: parent,
        },
      ),
    )
    .join("");

it("calls that fail again and again stall a run; those of a sub-agent do not @night", async () => {
  const own = new FakeClaude([{ text: lines(init()) + failing(null), atInterrupt: lines(result()) }]);
  const { outcome } = await own.run({ settings, task: { payload: clear } });
  expect(outcome).toMatchObject({ kind: "failed", reason: "stalled: 3 of the last 3 tool calls failed" });
  const agents = new FakeClaude([{ text: lines(init()) + failing("agent") + lines(result()) }]);
  expect((await agents.run({ settings, task: { payload: clear } })).outcome.kind).toBe("done");
});

const failed = (error: string): Part => ({
  text: lines(init(), says({ error }), result({ is_error: true, subtype: "error_during_execution" })),
});

const isCountedAfter = async (part: Part): Promise<boolean | undefined> => {
  const { routes } = await new FakeClaude([part]).run({ settings, task: { payload: clear } });
  return routes.at(-1)?.isCounted;
};

it("trouble of the account or the service, and a run that never was, count for no tier @night", async () => {
  for (const problem of ["rate_limit", "authentication_failed", "server_error"])
    expect([problem, await isCountedAfter(failed(problem))]).toEqual([problem, false]);
  expect(await isCountedAfter({ text: "", code: 1 })).toBe(false);
  for (const problem of ["invalid_request", "model_not_found"])
    expect([problem, await isCountedAfter(failed(problem))]).toEqual([problem, true]);
});

it("a route that cannot be is refused, with what is wrong", () => {
  const problem = (change: object): string | undefined =>
    ClaudeSettings.safeParse({ route: { ...route, ...change } }).error?.issues[0]?.message;
  expect(problem({})).toBeUndefined();
  expect(problem({ default: "huge" })).toBe("name one of the tiers");
  expect(problem({ tiers: [tiers[0], tiers[0]], default: "small" })).toBe("each tier has a name of its own");
  expect(problem({ tiers: [tiers[1]] })).toBeDefined();
  expect(problem({ exploration: 0 })).toBeDefined();
  expect(ClaudeSettings.safeParse({ model: "opus", route }).error?.issues[0]?.message).toContain("a model or a route");
});

it("the model of each attempt is reported as the client names it, and again when it changes @night", async () => {
  const change = says({ id: "msg_2", model: "claude-sonnet-5-5" });
  const events = [init({ model: "claude-opus-5-5" }), says({}), says({ id: "msg_0", error: "overloaded" }), change];
  const claude = new FakeClaude([{ text: lines(...events, result()) }]);
  const { models: ran } = await claude.run({ settings: { model: "opus" } });
  expect(ran).toEqual([
    { model: "claude-opus-5-5", effort: null, source: "default" },
    { model: "claude-sonnet-5-5", effort: null, source: "default" },
  ]);
  const routed = await new FakeClaude([good]).run({
    settings: { route: { ...route, default: "large" } },
    task: { payload: "hello" },
  });
  expect(routed.models).toEqual([{ model: "claude-opus-5-5", effort: "high", source: "router" }]);
  const unknown = await new FakeClaude([{ text: lines(init({ model: undefined }), result()) }]).run();
  expect(unknown.models).toEqual([]);
});
