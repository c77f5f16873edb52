import { expect, it } from "vitest";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { WorkflowKind } from "#src/contract/machine/learning.ts";
import type { ChatRecord } from "#src/machine/learning/chat-calls.ts";
import { findWorkflows, workflowKinds, workflowTexts } from "#src/machine/learning/workflows.ts";

const T0 = 1_700_000_000_000;
const dayMs = 86_400_000;
const minuteMs = 60_000;
const now = T0 + dayMs;

/** Rows of a chat, each a minute after the one before. */
class Rows {
  readonly rows: { at: number; entry: JournalEntry }[] = [];
  #at: number;
  #calls = 0;

  constructor(at = T0) {
    this.#at = at;
  }

  add(entry: JournalEntry, ms = minuteMs): this {
    this.rows.push({ at: (this.#at += ms), entry });
    return this;
  }

  call(
    name: string,
    input: string,
    end: { error?: string; isRefused?: true; askMs?: number; ranMs?: number } = {},
  ): this {
    const call = { id: `c${(this.#calls += 1)}`, name, input };
    const { error, isRefused, askMs, ranMs = 1_000 } = end;
    this.add({ kind: "tool_start", ...call }, 0);
    if (askMs !== undefined) {
      this.add({ kind: "asks", for: "permission", call: call.id }, 0);
      this.#at += askMs;
    }
    if (error === undefined)
      return this.add({ kind: "tool_end", ...call, durationMs: ranMs }, Math.max(ranMs, minuteMs));
    return this.add({
      kind: "tool_error",
      ...call,
      text: error,
      durationMs: ranMs,
      ...(isRefused ? { isRefused } : {}),
    });
  }
}

function chat(id: string, rows: Rows = new Rows(), deaths: ChatRecord["deaths"] = []): ChatRecord {
  return { id: `${id}-session-of-a-chat`, project: "/p", rows: rows.rows, deaths };
}

/** Three chats of one kind. */
function three(rows: () => Rows, deaths: ChatRecord["deaths"] = []): ChatRecord[] {
  return ["a", "b", "c"].map((id) => chat(id, rows(), deaths));
}

const edit = (rows: Rows, at: number): Rows => rows.call("Edit", `/p/src/f${at}.ts`);
const edits = (count: number): Rows => Array.from({ length: count }, (_, at) => at).reduce(edit, new Rows());

const failed = { error: "Exit code 1 1 test failed" };
const wasRefused = { error: "The user doesn't want to proceed with this tool use." };

/** Of each kind what three chats show, and the subject and the words of the finding. */
const shown: Readonly<Record<WorkflowKind, readonly [chats: ChatRecord[], subject: string, advice: string | RegExp]>> =
  {
    leave: [
      three(() => new Rows().call("Bash", "cd x && FOO=1 npm run build", { askMs: 3 * minuteMs })),
      "npm run build",
      "where you would always allow it, say so when the client asks",
    ],
    refused: [
      three(() => new Rows().call("Bash", "git push origin", wasRefused).call("Bash", "git push", wasRefused)),
      "git push",
      'add to AGENTS.md: "Do not run git push unless you are asked to."',
    ],
    slow: [
      three(() => new Rows().call("Bash", "make all", { ranMs: 3 * minuteMs })),
      "make all",
      /make all takes minutes: run the part/,
    ],
    repeated_failure: [
      three(() =>
        new Rows()
          .call("Bash", "go vet", failed)
          .call("Bash", "go vet", failed)
          .call("Bash", "go vet", failed)
          .call("Bash", "go vet"),
      ),
      "go vet",
      /When go vet fails, change something/,
    ],
    read_again: [
      three(() => new Rows().call("Read", "/p/a.ts").call("Read", "/p/a.ts").call("Read", "/p/a.ts")),
      "a.ts",
      /^add to AGENTS\.md: "a\.ts: /,
    ],
    refill: [
      three(() =>
        new Rows()
          .call("Read", "/p/a.ts")
          .add({ kind: "compacting", trigger: "auto" })
          .add({ kind: "compacted", summary: "" })
          .call("Read", "/p/a.ts"),
      ),
      "p",
      /^begin a new chat for the next task/,
    ],
    conflict: [
      three(() =>
        new Rows()
          .call("Edit", "/p/a.ts", { error: "another chat has it", isRefused: true })
          .call("Write", "/p/a.ts", { error: "another chat has it", isRefused: true }),
      ),
      "a.ts",
      /^where another chat had it, give each chat a work tree/,
    ],
    death: [
      three(() => new Rows().call("Read", "/p/a.ts"), [{ at: T0, cause: "usage_limit", unsavedToolCalls: 2 }]),
      "usage_limit",
      "`shim resume --in <client>` continues in another client",
    ],
    never_works: [
      three(() => new Rows().call("mcp__docs__find", "{}", failed).call("mcp__docs__find", "{1}", failed)),
      "mcp__docs__find",
      "`claude mcp remove docs`",
    ],
    late_test: [
      three(() => edits(10).call("Bash", "npm test", failed).call("Edit", "/p/a.ts").call("Bash", "npm test")),
      "npm test",
      /Run npm test after each change/,
    ],
  };

it.each(Object.entries(shown))(
  "%s: three chats of one kind are a finding with its chats and one thing to do",
  (kind, [chats, subject, advice]) => {
    const { found } = findWorkflows(chats, now);
    expect(found[0]).toMatchObject({ kind, subject, sessions: chats.map(({ id }) => id) });
    expect(found[0]?.ms).toBeGreaterThanOrEqual(5 * minuteMs);
    expect(found[0]?.advice).toMatch(advice);
    expect(workflowTexts({ found, earlier: [], unread: 0 })[0]).toMatch(
      /^\d+ min in 3 chats: .* \(a-sessio, b-sessio, c-sessio\)\. What to do: /,
    );
    expect(findWorkflows(chats.slice(1), now).found).toEqual([]);
  },
);

it("every kind is shown here", () => {
  expect(Object.keys(shown)).toEqual(Object.keys(workflowKinds));
});

it.each<[string, () => Rows]>([
  [
    "a command fails again after an edit",
    () =>
      new Rows()
        .call("Bash", "go vet", failed)
        .call("Edit", "/p/a.ts")
        .call("Bash", "go vet", failed)
        .call("Bash", "go vet"),
  ],
  [
    "a file is read again after its edit, or after a command",
    () =>
      new Rows()
        .call("Read", "/p/a.ts")
        .call("Edit", "/p/a.ts")
        .call("Read", "/p/a.ts")
        .call("Bash", "ls")
        .call("Read", "/p/a.ts"),
  ],
  [
    "the client does not say how long a command ran",
    () => new Rows().add({ kind: "tool_end", id: "x", name: "Bash", input: "make" }, 9 * minuteMs),
  ],
  [
    "a command fails again after another command, another tool, a sub-agent's call or a prompt",
    () =>
      new Rows()
        .call("Bash", "go vet", failed)
        .call("Bash", "go mod tidy")
        .call("Bash", "go vet", failed)
        .call("mcp__files__write", "{}")
        .call("Bash", "go vet", failed)
        .call("Edit (subagent)", "/p/a.ts")
        .call("Bash", "go vet", failed)
        .add({ kind: "prompt", text: "Try again" })
        .call("Bash", "go vet", failed)
        .call("Bash", "go vet"),
  ],
  [
    "a file is read again after another tool, a sub-agent's call or a prompt",
    () =>
      new Rows()
        .call("Read", "/p/a.ts")
        .call("mcp__files__write", "{}")
        .call("Read", "/p/a.ts")
        .call("Edit (subagent)", "/p/a.ts")
        .call("Read", "/p/a.ts")
        .add({ kind: "prompt", text: "Read what I changed" })
        .call("Read", "/p/a.ts"),
  ],
  ["the user thought, and refused", () => new Rows().call("Edit", "/p/a.ts", { ...wasRefused, askMs: 4 * minuteMs })],
  ["a command has no program of its own", () => new Rows().call("Bash", "sleep 180", { ranMs: 3 * minuteMs })],
  ["a sub-agent works beside the chat", () => new Rows().call("Bash (subagent)", "make", { ranMs: 9 * minuteMs })],
  ["the first tests come late, and pass", () => edits(12).call("Bash", "npm test")],
])("no finding where %s", (_, rows) => {
  expect(findWorkflows(three(rows), now)).toEqual({ found: [], earlier: [], unread: 0 });
});

it("an edit that waited is told by its tool", () => {
  const waited = three(() => new Rows().call("Edit", "/p/a.ts", { askMs: 3 * minuteMs }));
  expect(findWorkflows(waited, now).found).toMatchObject([{ kind: "leave", subject: "Edit" }]);
});

it("of a chat that lives for months, calls, compactions and deaths of the time count alone", () => {
  const at = now - 60 * dayMs;
  const rows = new Rows(at)
    .call("Bash", "make all", { ranMs: 5 * minuteMs })
    .add({ kind: "compacting", trigger: "auto" })
    .add({ kind: "compacted", summary: "" }, 5 * minuteMs)
    .add({ kind: "prompt", text: "Go on" }, 59 * dayMs);
  const living = three(() => rows, [{ at, cause: "killed", unsavedToolCalls: 9 }]);
  expect(findWorkflows(living, now)).toEqual({ found: [], earlier: [], unread: 0 });
});

it("a command is told by its program, whatever it is started with", () => {
  const wrapped = ["time make all", "sudo -u ada make all", "CI=1 nice make all"];
  const chats = wrapped.map((input, at) => chat(`${at}`, new Rows().call("Bash", input, { ranMs: 3 * minuteMs })));
  expect(findWorkflows(chats, now).found).toMatchObject([{ kind: "slow", subject: "make all", times: 3 }]);
  for (const input of ['python3 -c "import time; time.sleep(180)"', "python3 - <<'X'\nprint(1)\nX", "CI=1 python3"]) {
    const coded = three(() => new Rows().call("Bash", input, { ranMs: 3 * minuteMs }));
    expect(findWorkflows(coded, now).found).toMatchObject([{ kind: "slow", subject: "python3" }]);
  }
});

it("chats that were too many to be read are said", () => {
  expect(workflowTexts(findWorkflows([], now, 1))).toEqual([
    "Of the newest chats alone: 1 older one of these weeks were not read.",
  ]);
});

it("a tool that worked in one chat is no tool that never works", () => {
  const [chats] = shown.never_works;
  expect(findWorkflows([...chats, chat("d", new Rows().call("mcp__docs__find", "{}"))], now).found).toEqual([]);
});

it("at most five, two of a kind, the largest loss first", () => {
  const many = Array.from({ length: 9 }, (_, at) =>
    three(() => new Rows().call("Bash", `tool${at} go`, { ranMs: (2 + at / 4) * minuteMs })),
  );
  const { found } = findWorkflows(
    [...many.flat(), ...shown.leave[0], ...shown.read_again[0], ...shown.death[0], ...shown.late_test[0]],
    now,
  );
  expect(found.map(({ subject }) => subject)).toEqual(["tool8 go", "npm run build", "tool7 go", "npm test", "a.ts"]);
  expect(found.map(({ ms }) => ms)).toEqual(found.map(({ ms }) => ms).toSorted((a, b) => b - a));
});

/** So many chats, of which some have a slow command. */
function chats(n: number, slow: number, daysAgo: number): ChatRecord[] {
  const rows = (at: number): Rows => {
    const begun = new Rows(now - daysAgo * dayMs).call("Read", "/p/a.ts");
    return at < slow ? begun.call("Bash", "make all", { ranMs: 3 * minuteMs }) : begun;
  };
  return Array.from({ length: n }, (_, at) => chat(`${at}`, rows(at)));
}

/** Since a week in which ten of twenty chats had it. */
function changesSince(n: number, slow: number): unknown {
  const { earlier } = findWorkflows([...chats(20, 10, 10), ...chats(n, slow, 1)], now);
  return earlier.map(({ change, since }) => [change, since]);
}

it("what was found a week ago is measured again in the chats since, and too few of them tell nothing", () => {
  expect(changesSince(10, 0)).toEqual([["rarer", { hits: 0, n: 10 }]]);
  expect(changesSince(10, 5)).toEqual([["no difference", { hits: 5, n: 10 }]]);
  expect(changesSince(10, 10)).toEqual([["more often", { hits: 10, n: 10 }]]);
  expect(changesSince(3, 0)).toEqual([["too few chats to tell", { hits: 0, n: 3 }]]);
});

/** Findings since that week. */
function foundSince(n: number, slow: number): unknown[] {
  const { found } = findWorkflows([...chats(20, 10, 10), ...chats(n, slow, 1)], now);
  return found.map(({ subject, times }) => [subject, times]);
}

it("what has become rarer is advised no more, unless the last week alone shows it", () => {
  expect(foundSince(10, 0)).toEqual([]);
  expect(foundSince(3, 0)).toEqual([["make all", 10]]);
  expect(foundSince(10, 5)).toEqual([["make all", 15]]);
  // A thirteenth instead of a half, and still nine minutes in three chats.
  expect(foundSince(40, 3)).toEqual([["make all", 3]]);
});

it("where no chat has begun since, no sentence says that nothing was measured", () => {
  const texts = workflowTexts(findWorkflows(chats(20, 10, 10), now));
  expect(texts).toEqual([expect.stringContaining("What to do")]);
});

it("chats that go on are not compared with themselves", () => {
  const goingOn = chats(20, 10, 10);
  for (const [at, { rows }] of chats(20, 0, 1).entries())
    Object.assign(goingOn[at] ?? {}, { rows: [...(goingOn[at]?.rows ?? []), ...rows] });
  expect(findWorkflows(goingOn, now).earlier).toMatchObject([
    { before: { hits: 10, n: 20 }, since: { hits: 0, n: 0 } },
  ]);
});
