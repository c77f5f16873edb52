import { defect, type Mutant } from "./defect.ts";

/** Defects of undo, redo and restore. */
export const undoMutants: readonly Mutant[] = [
  defect(19, "src/snapshots/replace-files.ts", "an undo writes over what an editor saves meanwhile", [
    "if (!isKept(file)) {",
    'if (file.path === "") {',
  ]),
  defect(19, "src/snapshots/staged-files.ts", "what is written into a file while it is replaced is lost", [
    "if (isTakenBack(file)) left.push",
    'if (file.path === "") left.push',
  ]),
  defect(19, "src/snapshots/staged-files.ts", "a private file that is put back can be read by all", [
    "if (mode !== null) chmodSync(file.staged, mode);",
    "",
  ]),
  defect(19, "src/snapshots/file-modes.ts", "a private file that was deleted comes back for all to read", [
    "return this.#others.get(path) ?? usual;",
    "return usual;",
  ]),
  defect(31, "src/snapshots/change-author.ts", "an undo takes back what another chat did meanwhile", [
    "if (certain && other === null) return own;",
    "if (certain) return own;",
  ]),
  defect(19, "src/snapshots/change-author.ts", "an undo writes over what a person did after the turn", [
    "changedMs >= from - tickMs && changedMs <= to)",
    "changedMs >= from - tickMs)",
  ]),
  defect(
    19,
    "src/snapshots/file-times.ts",
    "a folder that a person moved goes back with the chat's changes beside it",
    ['parent === "." || known.has(parent) ?', 'parent === "." ?'],
  ),
  defect(
    31,
    "src/machine/sessions/checkpoints/changing-calls.ts",
    "a call whose end was lost counts as the one that changed all",
    ['id === running && known === Infinity ? "cut" : "unknown"', '"cut"'],
  ),
  defect(31, "src/machine/files/steps.ts", "while a call waits for leave no other of its chat counts as begun", [
    "(asks.call === undefined ? mayAny : asks.call === id)",
    "true",
  ]),
  defect(31, "src/machine/files/steps.ts", "a file that a tool has edited whose end was lost is not named", [
    ' && calls.every(({ ending }) => ending === "own")',
    "",
  ]),
  defect(
    32,
    "src/snapshots/undo-files.ts",
    "after an undo that was killed at its end the next one takes an earlier turn",
    [
      "const all = [...found.begun.filter(({ path }) => isChosen(input.chosen, path)), ...ready];",
      "const all = ready;",
    ],
  ),
  defect(32, "src/machine/files/undo-handlers.ts", "an undo that was killed is completed as one of later turns", [
    "open === null || open.prompt === prompt.number ? []",
    "open === null || prompt.number > 0 ? []",
  ]),
  defect(32, "src/machine/files/steps.ts", "a redo that was refused in part cannot be completed", [
    "AND later.detail ->> 'open' IS NULL",
    "",
  ]),
  defect(
    32,
    "src/machine/files/undo-handlers.ts",
    "the redo of an undo that was completed later takes back a part of it",
    [
      "const changes = [...undoneIn(open).filter(({ path }) => !isOwn.has(path)), ...own.changes];",
      "const changes = own.changes;",
    ],
  ),
  defect(19, "src/snapshots/undo-files.ts", "a redo overwrites what was changed after the undo", [
    "const ready = back.filter(({ path, before }) => isEntry(now(path), before));",
    "const ready = back.map((one) => ({ ...one, before: reading.entries.get(one.path) ?? null }));",
  ]),
  defect(31, "src/snapshots/path-state.ts", "what the first reading had left out counts as absent", [
    'if (reason !== undefined) return { is: "unknown", reason };',
    "",
  ]),
  defect(
    31,
    "src/snapshots/undo-history.ts",
    "a list of what an undo leaves has each file of a folder that is too large",
    ["left: left.filter(({ path }) => edited.has(path) || !isIn(path)) }", "left }"],
  ),
  defect(31, "src/snapshots/undo-files.ts", "of a chosen file in a folder that is too large an undo says nothing", [
    "others.some((one) => one.startsWith(path))",
    "false",
  ]),
];
