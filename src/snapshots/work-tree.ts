import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { firstLine, GitError, userGit, run, text, type Git } from "./git.ts";

export interface WorkTree {
  readonly top: string;
  readonly gitDir: string;
  readonly commonDir: string;
  readonly objects: string;
  readonly format: string;
  readonly head: string | null;
  readonly branch: string | null;
  /** `key=value` settings that change how files and content are read and written. */
  readonly config: readonly string[];
}

/** Accepts settings that shape content and name no file and no command. */
export function isContentSetting(setting: string): boolean {
  const [key = ""] = setting.split("=", 1);
  return contentSetting.test(key) && !/^core\.(excludesfile|attributesfile)$/.test(key);
}

export type Discovery = { readonly found: WorkTree } | { readonly skipped: string };

/** GIT_CONFIG_GLOBAL, which excludes the user's commands, needs this release (June 2021). */
const minGitVersion = [2, 32] as const;

const contentSettings =
  "^core\\.(autocrlf|eol|filemode|symlinks|ignorecase|precomposeunicode|trustctime|checkstat|protecthfs|protectntfs|excludesfile|attributesfile|checkroundtripencoding)$";
const contentSetting = new RegExp(contentSettings);

/**
 * [GS1] Returns why there is no work tree.
 * @throws {GitError} when git fails otherwise or is aborted
 */
export async function discover(env: NodeJS.ProcessEnv, folder: string, signal: AbortSignal): Promise<Discovery> {
  if (!existsSync(folder)) return { skipped: `the folder ${folder} does not exist` };
  const git = userGit(env, folder, signal);
  try {
    const tooOldReason = await findTooOld(git);
    if (tooOldReason !== null) return { skipped: tooOldReason };
    const isInside = await text(git, ["rev-parse", "--is-inside-work-tree"]);
    if (isInside !== "true")
      return { skipped: `${folder} is in a bare repository or a git folder: there is no work tree` };
  } catch (error) {
    const reason = skipReason(error, folder);
    if (reason === null) throw error;
    return { skipped: reason };
  }
  const tree = await describe(git);
  return isHome(tree.top, env) ? { skipped: `${tree.top} is the home folder, not a project` } : { found: tree };
}

/** A dotfiles repository would copy the whole home. A setting may name a work tree above it. */
function isHome(top: string, env: NodeJS.ProcessEnv): boolean {
  const home = resolve(env["HOME"] ?? homedir());
  return home === top || home.startsWith(top.endsWith("/") ? top : `${top}/`);
}

async function findTooOld(git: Git): Promise<string | null> {
  const version = await text(git, ["version"]);
  const [, major, minor] = /(?<!\d)(\d+)\.(\d+)/.exec(version) ?? [];
  const number = Number(major) * 1_000 + Number(minor);
  if (number >= minGitVersion[0] * 1_000 + minGitVersion[1]) return null;
  return `${version} is too old: snapshots need git ${minGitVersion.join(".")} or newer`;
}

function skipReason(error: unknown, folder: string): string | null {
  if (!(error instanceof GitError)) return null;
  if (error.fault === "missing") return "git is not installed, or not on the PATH of this process";
  if (error.stderr.includes("not a git repository")) return `${folder} is not in a git repository`;
  if (error.stderr.includes("dubious ownership"))
    return `git refuses this repository because another user owns it; to allow it: git config --global --add safe.directory <folder> (${firstLine(error.stderr)})`;
  return null;
}

async function describe(git: Git): Promise<WorkTree> {
  const [top, gitDir, commonDir, objects, format, head, branch, config] = await Promise.all([
    text(git, ["rev-parse", "--show-toplevel"]),
    text(git, ["rev-parse", "--absolute-git-dir"]),
    text(git, ["rev-parse", "--path-format=absolute", "--git-common-dir"]),
    text(git, ["rev-parse", "--path-format=absolute", "--git-path", "objects"]),
    text(git, ["rev-parse", "--show-object-format"]),
    run(git, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], "", [0, 1]),
    run(git, ["symbolic-ref", "--quiet", "--short", "HEAD"], "", [0, 1]),
    run(git, ["config", "-z", "--get-regexp", contentSettings], "", [0, 1]),
  ]);
  return {
    top,
    gitDir,
    commonDir,
    objects,
    format,
    head: head.stdout.toString("utf8").trim() || null,
    branch: branch.stdout.toString("utf8").trim() || null,
    config: parseSettings(config.stdout.toString("utf8")),
  };
}

/** Parses `key LF value NUL`, or `key NUL` for a switch; the last of a key counts. */
function parseSettings(answer: string): string[] {
  const lastByKey = new Map<string, string>();
  for (const entry of answer.split("\0").slice(0, -1)) {
    const at = entry.indexOf("\n");
    if (at === -1) lastByKey.set(entry, "true");
    else lastByKey.set(entry.slice(0, at), entry.slice(at + 1));
  }
  return [...lastByKey].map(([key, value]) => `${key}=${value}`);
}
