import { createHash } from "node:crypto";
import { readFileSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { ownProgram } from "../platform/version.ts";
import { keptVariables } from "./git.ts";
import { stampOf } from "./scan-files.ts";
import type { SnapshotInput } from "./snapshot.ts";

interface Settings {
  /** Folder of a project's repository, or the project itself without one. */
  readonly commonDir: string;
  /** Digest of all that git reads beside the work tree. */
  readonly digest: string;
}

/** @returns null: there is no such folder, or it has a form that only git reads */
export function settingsSeen({ project, env, limits }: SnapshotInput): Settings | null {
  try {
    const { gitDir, commonDir } = gitFolders(realpathSync(project));
    const variables = [...keptVariables, "HOME", "XDG_CONFIG_HOME"].map((name) => env[name] ?? null);
    const files = [...userFiles(env), ...(gitDir === null ? [] : repositoryFiles(gitDir, commonDir))];
    const head = gitDir === null ? null : headOf(gitDir, commonDir);
    const facts = [ownProgram, project, limits, variables, head, files.map(stampOf)];
    return { commonDir, digest: createHash("sha1").update(JSON.stringify(facts)).digest("hex") };
  } catch {
    return null;
  }
}

interface GitFolders {
  /** Folder of the work tree in git; null without git. */
  readonly gitDir: string | null;
  readonly commonDir: string;
}

function gitFolders(start: string): GitFolders {
  for (let at = start; ; at = dirname(at)) {
    const found = join(at, ".git");
    const stats = statSync(found, { throwIfNoEntry: false });
    if (stats?.isDirectory()) return { gitDir: found, commonDir: realpathSync(found) };
    if (stats) {
      const gitDir = resolve(at, (textOf(found) ?? "").replace(/^gitdir: /, ""));
      const link = textOf(join(gitDir, "commondir"));
      return { gitDir, commonDir: realpathSync(link === null ? gitDir : resolve(gitDir, link)) };
    }
    if (dirname(at) === at) return { gitDir: null, commonDir: start };
  }
}

/** Text of HEAD and of its branch; the other forms of references are files with a stamp. */
function headOf(gitDir: string, commonDir: string): readonly (string | null)[] {
  const head = textOf(join(gitDir, "HEAD"));
  const [, ref] = /^ref: (refs\/.+)$/.exec(head ?? "") ?? [];
  return [head, ref === undefined ? null : textOf(join(commonDir, ref))];
}

function repositoryFiles(gitDir: string, commonDir: string): string[] {
  const own = ["index", "config.worktree", "reftable/tables.list"].map((name) => join(gitDir, name));
  const shared = ["config", "packed-refs", "reftable/tables.list", "info/exclude", "info/attributes"];
  return [...own, ...shared.map((name) => join(commonDir, name))];
}

/** Settings, ignore rules and attributes of the user and the machine. */
function userFiles(env: NodeJS.ProcessEnv): string[] {
  const home = env["HOME"] ?? homedir();
  const folder = join(env["XDG_CONFIG_HOME"] ?? join(home, ".config"), "git");
  const ofUser = ["config", "ignore", "attributes"].map((name) => join(folder, name));
  const settings = [env["GIT_CONFIG_GLOBAL"] ?? join(home, ".gitconfig"), env["GIT_CONFIG_SYSTEM"] ?? "/etc/gitconfig"];
  return [...settings, ...ofUser];
}

/** Files that the settings name. */
export function rulesIn(config: readonly string[], env: NodeJS.ProcessEnv): string[] {
  return config.flatMap((setting) => {
    const [, path] = /^core\.(?:excludesfile|attributesfile)=(.+)$/s.exec(setting) ?? [];
    return path === undefined ? [] : [path.replace(/^~(?=\/)/, env["HOME"] ?? homedir())];
  });
}

/** Text of a file; null without it. */
function textOf(path: string): string | null {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ? readFileSync(path, "utf8").trimEnd() : null;
}
