import { execFile } from "node:child_process";
import { resolve } from "node:path";
import type { EffectNote } from "../../contract/work-state.ts";
import { programPath } from "../../platform/program-path.ts";
import { oneLine } from "../../shared/format.ts";
import { pushOf } from "../sessions/effects.ts";

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
 * [EF6] Asks the remote or the registry, with the user's own git and npm: only when a person or a
 * chat asks for it.
 *
 * @returns null where SHIM knows no way, or not where the command ran
 */
export async function probe(note: EffectNote, { env, project }: ProbeFolder): Promise<Probed | null> {
  const cwd = project === null ? null : resolve(project, note.folder ?? "");
  if (cwd === null) return null;
  const run: Run = (program, args) => runQuietly(program, args, cwd, env);
  if (note.kind === "push") return probePush(note, run);
  const isPackage = note.check?.startsWith("npm view ") && note.subject !== undefined;
  return isPackage ? probePackage(note.subject ?? "", run) : null;
}

interface Output {
  /** Exit code; null: it could not be started, or was stopped. */
  readonly code: number | null;
  readonly stdout: string;
  readonly trouble: string;
}

type Run = (program: string, args: readonly string[]) => Promise<Output>;

/** Variables that keep the programs from asking. */
const unattended = { GIT_TERMINAL_PROMPT: "0", GIT_ASKPASS: "", SSH_ASKPASS: "", LC_ALL: "C" };

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
  execFile(programPath(program, env), args, options, (error, stdout, stderr) => {
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

async function probePackage(subject: string, run: Run): Promise<Probed> {
  const viewed = await run("npm", ["view", subject, "version"]);
  const version = subject.slice(subject.lastIndexOf("@") + 1);
  const found = viewed.stdout.trim();
  if (viewed.code === 0 && found === version) return { isThere: true, text: `the registry has ${subject}` };
  const isMissing = viewed.code === 0 ? found === "" : /E404/.test(viewed.trouble + viewed.stdout);
  if (isMissing) return { isThere: false, text: `the registry has no ${subject}` };
  return { isThere: null, text: `the registry did not answer: ${viewed.trouble}` };
}
