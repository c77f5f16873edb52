import { createHash } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { ownProgram } from "../platform/version.ts";
import { gitFolders, readHead } from "./git-head.ts";
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
    const start = realpathSync(project);
    const tree = findWorkTree(start);
    const variables = [...keptVariables, "HOME", "XDG_CONFIG_HOME"].map((name) => env[name] ?? null);
    const files = [...userFiles(env), ...(tree ? repositoryFiles(tree.git, tree.common) : [])];
    const head = tree && readHead(tree.top);
    const facts = [ownProgram, project, limits, variables, head, files.map(stampOf)];
    return { commonDir: tree?.common ?? start, digest: createHash("sha1").update(JSON.stringify(facts)).digest("hex") };
  } catch {
    return null;
  }
}

/** Work tree that holds the folder, with its folders of git; null: none. */
function findWorkTree(start: string): { readonly top: string; readonly git: string; readonly common: string } | null {
  for (let top = start; ; top = dirname(top)) {
    if (existsSync(join(top, ".git"))) {
      const { git, common } = gitFolders(top);
      if (git === null || common === null) throw new Error(`${top} has git in a form that is not read here`);
      return { top, git, common: realpathSync(common) };
    }
    if (dirname(top) === top) return null;
  }
}

function repositoryFiles(gitDir: string, commonDir: string): string[] {
  const own = ["HEAD", "index", "config.worktree", "reftable/tables.list"].map((name) => join(gitDir, name));
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
