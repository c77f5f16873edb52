import { execFile } from "node:child_process";
import { resolve } from "node:path";
import type { EffectNote } from "../../../contract/work-state.ts";
import { programStart } from "../../../platform/program-path.ts";
import { oneLine } from "../../../shared/format.ts";
import { pushOf } from "../effects.ts";

/** Comparison of a probe; `isThere` null: that leaves it open. */
export interface Probed {
  readonly isThere: boolean | null;
  readonly text: string;
}

/** Where the commands of a probe run. */
export interface ProbeFolder {
  readonly env: NodeJS.ProcessEnv;
  readonly project: string | null;
}

const timeoutMs = 15_000;
const maxOutputBytes = 4_194_304;

/**
 * Checks that SHIM runs itself, each with what shows that the effect is not there: in the exit code
 * and the last line of the error, or of the output.
 */
const answers: readonly (readonly [check: RegExp, missing: RegExp])[] = [
  [/^npm view \S+ version$/, /^0 $|E404/],
  [/^(?:gh|glab) release view /, /release not found/],
];

/**
 * Asks the target with the user's own programs: only when a person or a chat asks for it.
 *
 * @returns null where SHIM knows no way, or not where the command ran
 */
export async function probe(note: EffectNote, { env, project }: ProbeFolder): Promise<Probed | null> {
  const cwd = project === null ? null : resolve(project, note.folder ?? "");
  if (cwd === null) return null;
  const run: Run = (program, args) => runQuietly(program, args, cwd, env);
  if (note.kind === "push") return probePush(note, run);
  const check = note.check ?? "";
  const missing = answers.find(([one]) => one.test(check))?.[1];
  return missing === undefined ? null : probeBy(check, missing, run);
}

async function probeBy(check: string, missing: RegExp, run: Run): Promise<Probed> {
  const [program = "", ...args] = check.split(" ");
  const { code, stdout, trouble } = await run(program, args);
  const line = trouble || oneLine(stdout.split("\n").find((text) => /\w/.test(text)) ?? "", 80);
  const isMissing = code !== null && missing.test(`${code} ${line}`);
  const isThere = isMissing ? false : code === 0 ? true : null;
  return { isThere, text: `\`${check}\` ended with ${code ?? "no code"}${line === "" ? "" : `: ${line}`}` };
}

interface Output {
  /** Exit code; null: it could not be started, or was stopped. */
  readonly code: number | null;
  readonly stdout: string;
  readonly trouble: string;
}

type Run = (program: string, args: readonly string[]) => Promise<Output>;

/** Variables that keep the programs from asking. */
const unattended = { GIT_TERMINAL_PROMPT: "0", GIT_ASKPASS: "", SSH_ASKPASS: "", GH_PROMPT_DISABLED: "1", LC_ALL: "C" };

function runQuietly(program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<Output> {
  const ssh = env["GIT_SSH_COMMAND"] ?? "ssh -o BatchMode=yes";
  const options = {
    cwd,
    env: { ...env, ...unattended, GIT_SSH_COMMAND: ssh },
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    maxBuffer: maxOutputBytes,
    windowsHide: true,
  } as const;
  const { promise, resolve: settle } = Promise.withResolvers<Output>();
  const start = programStart(program, args, env);
  execFile(start.file, start.args, options, (error, stdout, stderr) => {
    const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
    const why = error?.killed ? `no answer within ${timeoutMs / 1_000} s` : (error?.message ?? "");
    const said = stderr.split("\n").filter((line) => line.trim() !== "");
    settle({ code, stdout, trouble: oneLine(code === null ? why : (said.at(-1) ?? why), 200) });
  }).stdin?.end();
  return promise;
}

const shortId = (id: string): string => id.slice(0, 12);

async function probePush(note: EffectNote, run: Run): Promise<Probed | null> {
  const push = pushOf(note);
  const local = push === null || push.from === "HEAD" ? note.branch : (push.from ?? note.branch);
  const name = push?.to ?? local;
  if (push === null || name === undefined) return null;
  const configured = await run("git", ["config", "--get", `branch.${local}.remote`]);
  const remote = push.remote ?? (configured.stdout.trim() || "origin");
  const listed = await run("git", ["ls-remote", remote, name]);
  if (listed.code !== 0) return { isThere: null, text: `${remote} did not answer: ${listed.trouble}` };
  const names = new Set([name, `refs/heads/${name}`, `refs/tags/${name}`]);
  const rows = listed.stdout.split("\n").map((line) => line.split("\t"));
  const [there, reference] = rows.find(([, one]) => names.has(one ?? "")) ?? [];
  if (there === undefined) return { isThere: push.isDeletion, text: `${remote} has no ${name}` };
  const shown = `${reference} of ${remote} is at ${shortId(there)}`;
  return push.isDeletion ? { isThere: false, text: shown } : compare(note, run, { there, shown, local: local ?? name });
}

interface RemoteReference {
  readonly there: string;
  /** Text that says so. */
  readonly shown: string;
  /** Local reference that was pushed. */
  readonly local: string;
}

async function compare({ subject }: EffectNote, run: Run, { there, shown, local }: RemoteReference): Promise<Probed> {
  const known = subject ?? (await run("git", ["rev-parse", "--verify", "--quiet", local])).stdout.trim();
  const what = subject === undefined ? `where ${local} is now` : "the commit of this push";
  if (known === "") return { isThere: null, text: `${shown}; ${local} is not known here` };
  if (there === known) return { isThere: true, text: `${shown}, ${what}` };
  const { code } = await run("git", ["merge-base", "--is-ancestor", known, there]);
  if (code === 0) return { isThere: true, text: `${shown}, which contains ${shortId(known)}, ${what}` };
  if (code === 1) return { isThere: false, text: `${shown}, which does not contain ${shortId(known)}, ${what}` };
  return { isThere: null, text: `${shown}, a commit that is not here; ${what}: ${shortId(known)}` };
}
