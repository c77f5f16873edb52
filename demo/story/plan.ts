/** The job of the story: six tasks for three chats, and what a model does for each of them, with or without a team. */
import { createHash } from "node:crypto";
import { edits, sharedFile, type Edit, type TaskName } from "./project.ts";

export type ChatName = "frontend" | "backend" | "tests";

export interface PlannedTask {
  readonly name: TaskName;
  readonly chat: ChatName;
  readonly title: string;
  readonly dependsOn: readonly TaskName[];
  /** What the chat reserves beside the shared file. */
  readonly folder: string;
  /** Files that a chat reads before it changes anything, unless it knows them. */
  readonly reads: readonly string[];
  /** Runs after each edit. */
  readonly test: (edit: Edit) => string;
}

function filesOf(name: TaskName, folder: string): string[] {
  return edits[name]
    .map(({ file }) => file.replace(/^tests\/(\w+)-(\w+)\.test\.ts$/, "$1/$2.ts"))
    .filter((file) => file.startsWith(folder));
}

const backendTest = (): string => "node tests/backend.test.ts";
const frontendTest = (): string => "node tests/frontend.test.ts";
const ownTest = ({ file }: Edit): string => `node ${file}`;

/** In the order in which one chat alone does them. */
export const tasks: readonly PlannedTask[] = [
  {
    name: "rounding",
    chat: "backend",
    title: "Refactoring: the backend rounds in one function of contract.ts",
    dependsOn: [],
    folder: "backend",
    reads: [sharedFile, ...filesOf("rounding", "backend/")],
    test: backendTest,
  },
  {
    name: "money",
    chat: "frontend",
    title: "Refactoring: the frontend shows money by one function of contract.ts",
    dependsOn: [],
    folder: "frontend",
    reads: [sharedFile, ...filesOf("money", "frontend/")],
    test: frontendTest,
  },
  {
    name: "stock-tests",
    chat: "tests",
    title: "Tests for each function of stock",
    dependsOn: [],
    folder: "tests",
    reads: filesOf("stock-tests", "stock/"),
    test: ownTest,
  },
  {
    name: "checks",
    chat: "backend",
    title: "Refactoring: the backend refuses amounts below zero in one function of contract.ts",
    dependsOn: ["rounding"],
    folder: "backend",
    reads: [sharedFile, "tests/backend.test.ts"],
    test: backendTest,
  },
  {
    name: "receipts",
    chat: "frontend",
    title: "Refactoring: the frontend uses the rounding of the backend",
    dependsOn: ["rounding", "money"],
    folder: "frontend",
    reads: [sharedFile, "tests/frontend.test.ts"],
    test: frontendTest,
  },
  {
    name: "order-tests",
    chat: "tests",
    title: "Tests for each function of orders, which need backend and frontend",
    dependsOn: ["rounding", "money"],
    folder: "tests",
    reads: filesOf("order-tests", "orders/"),
    test: ownTest,
  },
];

type Action =
  | { readonly kind: "read"; readonly file: string }
  | { readonly kind: "edit"; readonly edit: Edit; readonly done: number }
  | { readonly kind: "run"; readonly command: string; readonly commits: string | null };

/** One answer of the model that is part of a task. */
export type WorkStep = Action & { readonly task: TaskName; readonly number: number };

/** @param done edits that an earlier attempt has reported */
export function stepsOf(task: PlannedTask, done = 0): WorkStep[] {
  const all = edits[task.name];
  const actions: Action[] = [
    ...task.reads.map((file) => ({ kind: "read", file }) as const),
    ...all.flatMap((edit, index) => [{ kind: "edit", edit, done: index + 1 } as const, runAfter(task, edit)]),
    { kind: "run", command: testsOf(task), commits: null },
    { kind: "run", command: `${commit(task, task.folder)} && ${publish(task)}`, commits: task.folder },
  ];
  const steps = actions.map((action, number) => Object.assign(action, { task: task.name, number }));
  // What follows the last edit, a test or a commit, may not have been reached.
  return done === 0 ? steps : steps.slice(task.reads.length + 2 * done - 1);
}

function runAfter(task: PlannedTask, edit: Edit): Action {
  const isShared = edit.file === sharedFile;
  return isShared
    ? { kind: "run", command: commit(task, sharedFile), commits: sharedFile }
    : { kind: "run", command: task.test(edit), commits: null };
}

function testsOf(task: PlannedTask): string {
  const own = edits[task.name].filter(({ file }) => file !== sharedFile).map((edit) => task.test(edit));
  return `node --test ${[...new Set(own.map((command) => command.split(" ").at(-1)))].join(" ")}`;
}

/** A commit of this path alone: other chats work in the same checkout. */
function commit({ title }: PlannedTask, path: string): string {
  return `git add ${path} && (git diff --cached --quiet -- ${path} || git commit --quiet --message '${title}' -- ${path})`;
}

export function branchOf(task: TaskName): string {
  return `work/${task}`;
}

function publish({ name }: PlannedTask): string {
  return `git push --quiet --force origin HEAD:refs/heads/${branchOf(name)} && git rev-parse HEAD`;
}

/** How long a model takes for one answer: 2 to 6 s, each time as likely as any other. */
const minMs = 2_000;
const maxMs = 6_000;

/** The waits of one run; the same name has the same wait, also in another run with the seed. */
export interface Waits {
  readonly seed: number;
  /** 1: as long as drawn. */
  readonly scale: number;
}

export function waitOf({ seed, scale }: Waits, name: string): number {
  const drawn = createHash("sha256").update(`${seed}/${name}`).digest().readUInt32BE(0) / 2 ** 32;
  return scale * (minMs + drawn * (maxMs - minMs));
}
