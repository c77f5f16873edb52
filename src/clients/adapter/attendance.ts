type Environment = Readonly<Record<string, string | undefined>>;

/** Variables of a hook by which all here is known. */
export const attendanceVariables = ["CLAUDE_CODE_ENTRYPOINT", "SHIM_TASK"] as const;

/** Entry points of Claude Code without a user, such as `claude -p`, in its hooks and its rows. */
export const userlessEntryPoint = /^(sdk-|mcp$|claude-code-github-action$)/;

/** Pure. Whether the chat does a task that a worker of SHIM was given: the worker continues it. */
export function isOfWorker(env: Environment): boolean {
  return Boolean(env["SHIM_TASK"]);
}

/**
 * Pure. Whether a person reads what the client shows, by the environment of its hooks. Those of
 * clients but Claude Code do not say that a script has started them: they count as attended until
 * a transcript says so.
 */
export function hasUser(env: Environment): boolean {
  return !isOfWorker(env) && !userlessEntryPoint.test(env["CLAUDE_CODE_ENTRYPOINT"] ?? "");
}
