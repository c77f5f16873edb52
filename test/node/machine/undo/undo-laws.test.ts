import * as fc from "fast-check";
import { expect, it } from "vitest";
import { UndoModel, type Breach, type Call, type Fault, type History, type Move } from "#harness/machine/undo-model.ts";
import type { Change } from "#harness/machine/undo-acts.ts";

/** Folders of a project, each with a history of its own. */
const count = 10;

const folder = fc.nat(count - 1);
const path = fc.constantFrom("a", "b", "d/c", "d/e", "new", "n/deep/f", "x.log", ".gitignore");
const to = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom("one", "two", "three\r\n", "", "in place") },
  { weight: 4, arbitrary: fc.constantFrom("gone", "link", "program", "private", "rights", "moved", "folder moved") },
  { weight: 1, arbitrary: fc.constantFrom("commit", "checkout", "repository", "init") },
);
const change = fc.record({ folder, path, to });
const few = fc.array(change, { maxLength: count });
const changes = fc.array(change, { minLength: 1, maxLength: 2 * count });

function movesOf(isLossy: boolean): fc.Arbitrary<Move[]> {
  const call = fc.record({
    tool: fc.constantFrom("Bash", "Edit"),
    changes,
    before: few,
    other: fc.constantFrom("nothing", "nothing", "nothing", "runs", "waits for leave"),
    isEndLost: isLossy ? fc.boolean() : fc.constant(false),
  });
  const hooks = isLossy
    ? fc.constantFrom("all", "end is read late", "end is lost", "start is lost", "stop is lost")
    : fc.constant("all");
  const turn = fc.record({
    is: fc.constant("turn"),
    chat: fc.constantFrom("A", "A", "B"),
    calls: fc.array(call, { minLength: 1, maxLength: 3 }),
    hooks,
  });
  const writer = fc.oneof(
    { weight: 3, arbitrary: fc.constant(null) },
    {
      weight: 1,
      arbitrary: fc.record({ step: fc.integer({ min: 1, max: 150 }), to: fc.constantFrom("mine", "in place", "gone") }),
    },
  );
  const undo = fc.record({
    is: fc.constant("undo"),
    chat: fc.constantFrom("A", "A", "B"),
    turns: fc.nat(3),
    named: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.record({ folder, path }) }),
    killedAt: fc.oneof(
      { weight: 2, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 150 }) },
    ),
    writer,
    isRepeated: fc.boolean(),
  });
  const person = fc.record({ is: fc.constant("person"), changes: few });
  const redo = fc.constant({ is: "redo" });
  const between = fc.oneof(
    { weight: 3, arbitrary: person.map((one) => [one]) },
    { weight: 2, arbitrary: undo.map((one) => [one]) },
    { weight: 1, arbitrary: fc.tuple(undo, redo) },
    { weight: 1, arbitrary: fc.tuple(undo, person, redo) },
    { weight: 1, arbitrary: fc.constant([]) },
  );
  const rounds = fc.array(fc.tuple(turn, between), { minLength: 1, maxLength: 3 });
  return fc
    .tuple(rounds, undo)
    .map(([all, last]) => all.flatMap(([one, more]) => [one, ...more] as object[]).concat(last)) as fc.Arbitrary<
    Move[]
  >;
}

const histories = fc.boolean().chain((isLossy) => fc.record({ isGit: fc.boolean(), moves: movesOf(isLossy) }));

const undoOfA = {
  is: "undo",
  chat: "A",
  turns: 0,
  named: null,
  killedAt: 0,
  writer: null,
  isRepeated: false,
} as const satisfies Move;

function callOf(tool: Call["tool"], changes: readonly Change[], more: Partial<Call> = {}): Call {
  return { tool, changes, before: [], other: "nothing", isEndLost: false, ...more };
}

function turnOfA(...changes: readonly Change[]): Extract<Move, { readonly is: "turn" }> {
  return { is: "turn", chat: "A", calls: [callOf("Bash", changes)], hooks: "all" };
}

/** Histories that are seldom drawn. */
const known: readonly History[] = [
  {
    isGit: false,
    moves: [
      turnOfA({ folder: 0, path: "a", to: "one" }, { folder: 0, path: "b", to: "one" }),
      undoOfA,
      { is: "person", changes: [{ folder: 0, path: "a", to: "two" }] },
      { is: "redo" },
    ],
  },
  {
    isGit: true,
    moves: [turnOfA({ folder: 0, path: ".gitignore", to: "!*.log" }, { folder: 0, path: "x.log", to: "one" }), undoOfA],
  },
  // An ignored file that a call has named, and that is gone at the end of the turn.
  {
    isGit: true,
    moves: [
      {
        is: "turn",
        chat: "A",
        calls: [
          callOf("Edit", [{ folder: 0, path: "x.log", to: "two" }]),
          callOf("Bash", [], { before: [{ folder: 0, path: "x.log", to: "gone" }] }),
        ],
        hooks: "all",
      },
      { is: "person", changes: [{ folder: 0, path: "x.log", to: "private" }] },
      undoOfA,
    ],
  },
  // An undo that is killed once it has written all.
  {
    isGit: false,
    moves: [
      turnOfA({ folder: 0, path: "a", to: "one" }),
      turnOfA({ folder: 0, path: "b", to: "one" }),
      { ...undoOfA, killedAt: 24 },
    ],
  },
  // The same, of a path that only an earlier turn may have changed.
  {
    isGit: false,
    moves: [
      {
        is: "turn",
        chat: "A",
        calls: [callOf("Bash", [{ folder: 0, path: "a", to: "one" }], { isEndLost: true })],
        hooks: "end is lost",
      },
      {
        is: "turn",
        chat: "A",
        calls: [
          callOf("Bash", [{ folder: 0, path: "d/c", to: "one" }], { before: [{ folder: 0, path: "b", to: "two" }] }),
        ],
        hooks: "all",
      },
      { ...undoOfA, named: { folder: 0, path: "b" }, killedAt: 24, isRepeated: true },
    ],
  },
  // A named path of a turn whose first files were not saved.
  {
    isGit: false,
    moves: [
      { ...turnOfA({ folder: 0, path: "a", to: "one" }), hooks: "start is lost" },
      { ...undoOfA, named: { folder: 0, path: "a" } },
    ],
  },
  // An undo of one chat gives back what the other had left.
  {
    isGit: false,
    moves: [
      turnOfA({ folder: 0, path: "a", to: "one" }),
      { ...turnOfA({ folder: 0, path: "a", to: "two" }), chat: "B" },
      { ...undoOfA, chat: "B" },
      undoOfA,
    ],
  },
  // Rewritten as the person had left it, after an end that was read late.
  {
    isGit: false,
    moves: [
      { ...turnOfA({ folder: 0, path: "a", to: "one" }), hooks: "end is read late" },
      { is: "person", changes: [{ folder: 0, path: "a", to: "two" }] },
      turnOfA({ folder: 0, path: "a", to: "gone" }, { folder: 0, path: "a", to: "two" }),
      { ...undoOfA, turns: 2 },
    ],
  },
  // An undo of one chat gives back what the other had left, by an edit.
  {
    isGit: false,
    moves: [
      turnOfA({ folder: 0, path: "a", to: "one" }),
      { is: "turn", chat: "B", calls: [callOf("Edit", [{ folder: 0, path: "a", to: "two" }])], hooks: "all" },
      { ...undoOfA, chat: "B" },
      undoOfA,
    ],
  },
  // The same, after a turn of the first chat that saw what the other had written.
  {
    isGit: false,
    moves: [
      turnOfA({ folder: 0, path: "a", to: "one" }),
      { ...turnOfA({ folder: 0, path: "a", to: "two" }), chat: "B" },
      turnOfA({ folder: 0, path: "b", to: "one" }),
      { ...undoOfA, chat: "B" },
      { ...undoOfA, turns: 2 },
    ],
  },
  // An undo of the newest turn after one that went further back.
  {
    isGit: false,
    moves: [
      turnOfA({ folder: 0, path: "a", to: "one" }),
      turnOfA({ folder: 0, path: "a", to: "two" }),
      { ...undoOfA, turns: 2 },
      { ...undoOfA, turns: 1 },
    ],
  },
  // An undo that was refused in part is not a part of one after a later turn.
  {
    isGit: false,
    moves: [
      turnOfA({ folder: 0, path: "a", to: "one" }, { folder: 0, path: "b", to: "one" }),
      { ...undoOfA, writer: { step: 1, to: "mine" } },
      turnOfA({ folder: 0, path: "d/c", to: "one" }),
      { ...undoOfA, turns: 2, isRepeated: true },
    ],
  },
  // An edit whose end did not come.
  {
    isGit: true,
    moves: [
      {
        is: "turn",
        chat: "A",
        calls: [callOf("Edit", [{ folder: 0, path: "a", to: "one" }], { isEndLost: true })],
        hooks: "all",
      },
      undoOfA,
    ],
  },
  // A change and a deletion beside another chat's command, before a call that changes their folder alone.
  {
    isGit: true,
    moves: [
      {
        is: "turn",
        chat: "A",
        calls: [
          callOf(
            "Bash",
            [
              { folder: 0, path: "a", to: "one" },
              { folder: 0, path: "b", to: "gone" },
            ],
            { other: "runs" },
          ),
          callOf("Bash", [{ folder: 0, path: "new", to: "one" }]),
        ],
        hooks: "all",
      },
      undoOfA,
    ],
  },
  // Another chat's command that runs while an earlier one of it waits for its user's leave.
  {
    isGit: false,
    moves: [
      {
        is: "turn",
        chat: "A",
        calls: [callOf("Bash", [{ folder: 0, path: "a", to: "one" }], { other: "waits for leave" })],
        hooks: "all",
      },
      {
        is: "turn",
        chat: "B",
        calls: [callOf("Bash", [{ folder: 0, path: "new", to: "one" }], { other: "runs", isEndLost: true })],
        hooks: "stop is lost",
      },
      { ...undoOfA, turns: 2 },
    ],
  },
];

async function breachesOf(history: History, folders = count): Promise<readonly Breach[]> {
  const model = new UndoModel(folders, history.isGit);
  try {
    return await model.play(history);
  } finally {
    model.remove();
  }
}

async function breachesOfDay(): Promise<readonly Breach[]> {
  const all: Breach[] = [];
  for (const history of known) all.push(...(await breachesOf(history, 1)));
  for (const history of fc.sample(histories, { numRuns: 4, seed: 72 })) all.push(...(await breachesOf(history)));
  return all;
}

let ofDay: Promise<readonly Breach[]> | undefined;

/** Faults in the same histories for each law. */
async function faults(...wanted: readonly Fault[]): Promise<readonly Breach[]> {
  return (await (ofDay ??= breachesOfDay())).filter(({ fault }) => wanted.includes(fault));
}

it("no undo loses what another wrote, deletes what was there, or opens a file to more people", async () => {
  expect(await faults("loses what another wrote", "deletes what was there", "opens a file")).toEqual([]);
});

it("with every event in time an undo takes exactly the chat's changes back", async () => {
  expect(await faults("leaves the chat's")).toEqual([]);
});

it("an undo to which an event or a reading is missing takes no more", async () => {
  expect(await faults("takes more without an event")).toEqual([]);
});

it("a redo takes an undo back, and an undo after it does the same again", async () => {
  expect(await faults("is not taken back")).toEqual([]);
});

it("an undo that was killed at any step is completed by the next one", async () => {
  expect(await faults("is not completed")).toEqual([]);
});

it("an undo names each file that the turn may have touched and that is not as before", async () => {
  expect(await faults("names wrongly")).toEqual([]);
});

it("in 1,000 histories no law of undo is broken @night", { timeout: 7_200_000 }, async () => {
  const property = fc.asyncProperty(histories, async (one) => {
    expect(await breachesOf(one)).toEqual([]);
  });
  await fc.assert(property, { numRuns: 1_000 / count });
});
