import { createHash, createHmac } from "node:crypto";
import { deriveKey, type WorkspaceKey } from "./workspace-key.ts";

/** Facts that identify one project in several folders or machines. */
export interface ProjectFacts {
  readonly remote: string | null;
  readonly rootCommit: string | null;
  readonly machine: string;
  /** Absolute path. */
  readonly folder: string;
}

/**
 * Names a project the same in each clone, as 32 hexadecimal digits. Without the key the name
 * cannot be guessed; `key` is null where the coordinator is local.
 */
export function projectKey(key: WorkspaceKey | null, facts: ProjectFacts): string {
  return hashName(key, projectIdentity(facts));
}

export function checkoutKey(
  key: WorkspaceKey | null,
  { machine, folder }: Pick<ProjectFacts, "machine" | "folder">,
): string {
  return hashName(key, ["checkout", machine, folder]);
}

/** A remote identifies even a shallow clone; then the first commit, then machine and folder. */
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
 * Maps `git@host:a/b.git`, `https://user@host/a/b` and `ssh://git@host:22/a/b/` to `host/a/b`. Null
 * for a folder of this machine, which means nothing elsewhere.
 */
export function normalizeRemote(url: string): string | null {
  const asUrl = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/@]*@)?([^/:]+)(?::\d+)?\/+(.+)$/i.exec(url);
  const asScp = /^(?:[^/@:]+@)?([^/:]{2,}):(?!\/\/)\/*(.+)$/.exec(url);
  const [, host, path] = (/^file:/i.test(url) ? null : (asUrl ?? asScp)) ?? [];
  if (host === undefined || path === undefined) return null;
  return `${host.toLowerCase()}/${path.replace(/(?<!\/)\/+$/, "").replace(/\.git$/i, "")}`;
}
