import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { contents } from "#harness/machine/git-project.ts";
import { anUndoRig, type ToolWork } from "#harness/machine/undo-rig.ts";

/** A change of one file, by a tool of the chat or by hand. */
type Change = { readonly path: string; readonly to: string };

const path = fc.constantFrom("a.txt", "b.txt", "d/c.txt", "d/e.txt", "new.txt", "n/deep/f", "g h.txt", "ü");
const to = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("one", "two", "three\r\n", "") },
  { weight: 3, arbitrary: fc.constantFrom("gone", "link", "program") },
);
const change: fc.Arbitrary<Change> = fc.record({ path, to });

/** Histories of several folders in one chat: their files have nothing to do with each other. */
function histories(folders: number) {
  const changesOf = (maxLength: number) =>
    fc
      .array(fc.array(change, { maxLength }), { minLength: folders, maxLength: folders })
      .map((all) => all.flatMap((own, at) => own.map((one) => ({ ...one, path: `${at}/${one.path}` }))));
  const turn = fc.record({
    /** Through a file tool; else by one command. */
    isEdit: fc.boolean(),
    changes: changesOf(4),
    byHand: changesOf(2),
  });
  return fc.record({
    folders: fc.constant(folders),
    isGit: fc.boolean(),
    turns: fc.array(turn, { minLength: 1, maxLength: 3 }),
    back: fc.integer({ min: 1, max: 3 }),
  });
}
type Histories = ReturnType<typeof histories> extends fc.Arbitrary<infer T> ? T : never;

function make(project: string, { path: name, to: kind }: Change): void {
  const file = join(project, name);
  rmSync(file, { force: true });
  if (kind === "gone") return;
  mkdirSync(dirname(file), { recursive: true });
  if (kind === "link") return symlinkSync("a.txt", file);
  writeFileSync(file, kind);
  if (kind === "program") chmodSync(file, 0o755);
}

type Tree = Readonly<Record<string, string>>;

/** What an undo of the turns since the one at `from` must leave. */
function expected(turns: readonly { readonly start: Tree; readonly end: Tree }[], now: Tree) {
  const names = new Set([now, ...turns.flatMap(({ start, end }) => [start, end])].flatMap((tree) => Object.keys(tree)));
  const tree: Record<string, string> = { ...now };
  const left: string[] = [];
  for (const name of names) {
    const first = turns.findIndex(({ start, end }) => start[name] !== end[name]);
    if (first < 0) continue;
    const own = turns.slice(first);
    const states = [...own.slice(1).map(({ start }) => start[name]), now[name]];
    const isOwn = own.every(({ end }, at) => end[name] === states[at]);
    const base = own[0]?.start[name];
    if (!isOwn) left.push(name);
    else if (base === undefined) delete tree[name];
    else tree[name] = base;
  }
  return { tree, left };
}

async function check({ folders, isGit, turns, back }: Histories): Promise<void> {
  const files = Array.from({ length: folders }, (_, at) => ({
    [`${at}/a.txt`]: "a",
    [`${at}/b.txt`]: "b",
    [`${at}/d/c.txt`]: "c",
  }));
  const rig = anUndoRig(Object.assign({}, ...files) as Record<string, string>, { isGit });
  const { project } = rig;
  const seen: { start: Tree; end: Tree }[] = [];
  for (const [at, { isEdit, changes, byHand }] of turns.entries()) {
    const start = contents(project);
    const edit = (one: Change): ToolWork => ({ tool: "Edit", path: one.path, work: () => make(project, one) });
    const command = { tool: "Bash", work: () => changes.forEach((one) => make(project, one)) };
    await rig.turn(`prompt ${at}`, ...(isEdit ? changes.map(edit) : [command]));
    seen.push({ start, end: contents(project) });
    for (const one of byHand) make(project, one);
  }
  const now = contents(project);
  const since = Math.min(back, turns.length);
  const { tree, left } = expected(seen.slice(-since), now);
  const preview = await rig.preview({ prompt: `prompt ${turns.length - since}` });
  expect(contents(project)).toEqual(now);
  const undone = await rig.undo({ prompt: `prompt ${turns.length - since}` });
  expect(contents(project)).toEqual(tree);
  const named = undone.left.map((one) => Buffer.from(one.path).toString("latin1"));
  expect(named.filter((name) => tree[name] !== undefined || left.includes(name)).toSorted()).toEqual(left.toSorted());
  expect(preview.changes).toEqual(undone.changes);
  if (undone.checkpoint !== null) {
    const redone = await rig.undo({ redo: true });
    expect([redone.left, contents(project)]).toEqual([[], now]);
  }
  rmSync(dirname(project), { recursive: true });
}

it("an undo takes back exactly the chat's changes of random histories, and a redo that", async () => {
  await fc.assert(fc.asyncProperty(histories(2), check), { numRuns: 5, seed: 34 });
});

it("so it does in 1,000 random histories @night", { timeout: 3_600_000 }, async () => {
  await fc.assert(fc.asyncProperty(histories(10), check), { numRuns: 100 });
});
