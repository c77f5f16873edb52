import { createHash, createHmac } from "node:crypto";
import { deriveKey, type WorkspaceKey } from "./workspace-key.ts";

/** What tells that two folders, on two machines perhaps, are one project. */
export interface ProjectFacts {
  /** Address of the repository that it is shared through, as {@link normalizeRemote} writes it. */
  readonly remote: string | null;
  /** The first commit of its history. */
  readonly rootCommit: string | null;
  readonly machine: string;
  /** The folder itself, absolute. */
  readonly folder: string;
}

/**
 * [SY45] What a project is called in a workspace: the same on each machine that has a clone of it. With a key nobody else can make the name, nor
 * find out whether it is of a project that he knows.
 *
 * @param key null where the coordinator is this machine's own
 * @returns 32 hexadecimal digits
 */
export function projectKey(key: WorkspaceKey | null, facts: ProjectFacts): string {
  return hashName(key, projectIdentity(facts));
}

/** [SY45] One work tree on one machine: two chats in it see the same files. */
export function checkoutKey(
  key: WorkspaceKey | null,
  { machine, folder }: Pick<ProjectFacts, "machine" | "folder">,
): string {
  return hashName(key, ["checkout", machine, folder]);
}

/** A remote says it even in a shallow clone; without one the first commit does; a folder without git is of its machine alone. */
function projectIdentity({ remote, rootCommit, machine, folder }: ProjectFacts): readonly string[] {
  if (remote !== null) return ["remote", remote];
  if (rootCommit !== null) return ["root", rootCommit];
  return ["folder", machine, folder];
}

function hashName(key: WorkspaceKey | null, parts: readonly string[]): string {
  const hash = key === null ? createHash("sha256") : createHmac("sha256", deriveKey(key.bytes, "shim names", 32));
  return hash.update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/**
 * One address for all ways to write it: `git@host:a/b.git`, `https://user@host/a/b` and `ssh://git@host:22/a/b/` are `host/a/b`. Null for a
 * folder of this machine, which says nothing elsewhere.
 */
export function normalizeRemote(url: string): string | null {
  const asUrl = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/@]*@)?([^/:]+)(?::\d+)?\/+(.+)$/i.exec(url);
  // scp's way, which has no port; a drive letter is no host.
  const asScp = /^(?:[^/@:]+@)?([^/:]{2,}):(?!\/\/)\/*(.+)$/.exec(url);
  const [, host, path] = (/^file:/i.test(url) ? null : (asUrl ?? asScp)) ?? [];
  if (host === undefined || path === undefined) return null;
  return `${host.toLowerCase()}/${path.replace(/\/+$/, "").replace(/\.git$/i, "")}`;
}
