import { stripVTControlCharacters } from "node:util";
import { dirname, join, relative } from "node:path";
import type { TestRun } from "../../contract/verification.ts";
import type { OperationContext } from "../../machine/context/operation-context.ts";
import { findSession } from "../../machine/recovery/resolve-id.ts";
import type { Session } from "../../machine/sessions/sessions.ts";
import { programEnv, runProgram } from "../../platform/run-program.ts";
import { workDeps, type WorkDeps } from "../../runner/worker/machine-deps.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { fail, err, ok, type Result } from "../../shared/result.ts";
import { oneLine, pluralize } from "../../shared/format.ts";
import { failureReason } from "../../snapshots/git.ts";
import { withSaved } from "../../snapshots/restore-files.ts";
import { fillWorktree } from "../../snapshots/worktrees.ts";
import { findCommit, openRepository, type UserRepository } from "../../snapshots/user-repository.ts";
import { snapshots } from "../../store/session-tables.ts";
import { findTests, type Tests } from "../tool-runner/run-tool.ts";
import { createThrowaway, linkModulesInside, type ThrowawayWorktree } from "../tool-runner/worktree.ts";

/** Limit of the tests, in ms. */
const maxTestMs = 600_000;
const graceMs = 2_000;
const maxOutputChars = 4_000;
const maxReasonChars = 300;
const maxCommandChars = 300;

const newest = snapshots.pick("repository", "commit", "head", "project");

interface TestRequest {
  /** Session of this machine, or a unique beginning of its id. */
  readonly session: string;
  /** Command; null: that of the project. */
  readonly tests: Tests | null;
  readonly signal: AbortSignal;
  /** Gets a line before the tests begin. */
  readonly onStart: (text: string) => void;
}

interface TestedSession {
  /** Its whole id. */
  readonly session: string;
  readonly tests: TestRun;
}

/**
 * Runs the project's tests on the newest snapshot of a session, in a worktree that is removed
 * afterwards. Where there is nothing to test, the run says why.
 *
 * @returns an error for an unknown session, and when it was stopped
 */
export async function testSession(context: OperationContext, request: TestRequest): Promise<Result<TestedSession>> {
  const runtime = await context.runtime();
  const found = findSession(runtime, request.session);
  if (!found.ok) return found;
  const deps = await workDeps(context);
  if (!deps.ok) return deps;
  const tested = await testNewest(runtime, deps.value, found.value, request);
  if (request.signal.aborted) return fail("stopped", "the tests were stopped. Nothing was stored.");
  const at = context.site.now();
  const nothing = { commit: null, command: null, exitCode: null, trouble: null, ms: 0, output: "", missingFiles: 0 };
  const about = tested.ok ? tested.value : { trouble: oneLine(tested.error, maxReasonChars) };
  const tests: TestRun = { ...nothing, ...about, at };
  return ok({ session: found.value.id, tests });
}

type Tested = Partial<TestRun>;

/** The error says why there was nothing to test. */
async function testNewest(
  { store }: Runtime,
  deps: WorkDeps,
  session: Session,
  request: TestRequest,
): Promise<Result<Tested, string>> {
  const rest = "WHERE session = ? AND state = 'done' ORDER BY at DESC LIMIT 1";
  const [snapshot] = store.read((sql) => newest.select(sql, rest, session.id), []);
  if (!snapshot?.repository || !snapshot.commit) return err("no snapshot of the session is stored");
  const { repository, commit, head, project } = snapshot;
  if (head === null) return err("the files of the snapshot are based on no git commit");
  try {
    const user = await openRepository(deps.env, project);
    if ((await findCommit(user.git, head)) === null)
      return err(`commit ${head.slice(0, 12)}, on which the snapshot is based, is gone from ${project}`);
    const folder = relative(user.top, session.cwd ?? user.top);
    const inside = folder.startsWith("..") ? "" : folder;
    return await testSnapshot(deps, { user, repository, commit, head, folder: inside }, request);
  } catch (error) {
    return err(failureReason(error, null));
  }
}

interface TestedSnapshot {
  readonly user: UserRepository;
  /** SHIM's repository, and the snapshot in it. */
  readonly repository: string;
  readonly commit: string;
  /** Commit of the user on which the files are based. */
  readonly head: string;
  /** Where the chat worked, relative to the top. */
  readonly folder: string;
}

async function testSnapshot(
  deps: WorkDeps,
  { user, repository, commit, head, folder }: TestedSnapshot,
  request: TestRequest,
): Promise<Result<Tested, string>> {
  const { signal } = request;
  const source = { top: user.top, repository: user.repository, base: head };
  const worktree = await createThrowaway(deps, source, { keepsObjects: false, hasLinks: true, isEmpty: true });
  try {
    const git = worktree.git(signal);
    const saved = { env: deps.env, processes: deps.processes, repository, commit, timeoutMs: maxTestMs, signal };
    const written = await withSaved(saved, async (snapshot) =>
      ok(await fillWorktree(snapshot, { tree: worktree.tree, git })),
    );
    if (!written.ok) return err(written.error.message);
    await linkModulesInside(git, { top: user.top, tree: worktree.tree });
    const missingFiles = written.value.notRestored.length;
    const run = await runTests(deps, worktree, folder, request);
    return run.ok ? ok({ commit, missingFiles, ...run.value }) : run;
  } finally {
    await worktree.remove();
  }
}

async function runTests(
  { env, now }: WorkDeps,
  { tree }: ThrowawayWorktree,
  folder: string,
  { tests: given, signal, onStart }: TestRequest,
): Promise<Result<Tested, string>> {
  const found = given ? { command: given, folder } : testsFrom(tree, folder);
  if (found === null) return err("no tests of the project were found: --tests names a command");
  const [program, ...args] = found.command;
  const command = oneLine(found.command.join(" "), maxCommandChars);
  onStart(`Testing the newest snapshot: ${command}`);
  const timeout = AbortSignal.timeout(maxTestMs);
  let output = "";
  const collect = (text: string): void => void (output = (output + text).slice(-maxOutputChars));
  const started = now();
  const exit = await runProgram({
    command: program,
    args,
    cwd: join(tree, found.folder),
    env: programEnv(env, { CI: "true" }),
    input: "",
    signal: AbortSignal.any([timeout, signal]),
    graceMs,
    onLine: () => undefined,
    onText: collect,
    onStderr: collect,
  });
  const ms = Math.max(0, now() - started);
  const plain = stripVTControlCharacters(output).replaceAll(`${tree}/`, "").trim();
  if (exit.kind === "not_started") return ok({ command, trouble: oneLine(exit.message, maxReasonChars), ms });
  if (!timeout.aborted) return ok({ command, exitCode: exit.code, output: plain, ms });
  return ok({ command, trouble: `not done after ${pluralize(maxTestMs / 60_000, "minute")}`, output: plain, ms });
}

/** The tests of the folder in which the chat worked, else of the nearest one above it. */
function testsFrom(tree: string, start: string): { readonly command: Tests; readonly folder: string } | null {
  for (let folder = start; ; folder = dirname(folder)) {
    const command = findTests(join(tree, folder));
    if (command) return { command, folder };
    if (folder === "." || folder === "") return null;
  }
}
