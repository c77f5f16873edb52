import type { HookClient } from "../../contract/clients.ts";

/**
 * [CX7] Passes no credential of a coordinator, nothing of an outer client, and of the variables
 * that clients read only those of this one.
 *
 * @param names further variables that it gets
 */
export function clientEnvironment(
  client: HookClient,
  env: NodeJS.ProcessEnv,
  names: readonly string[],
  home: string,
): Record<string, string> {
  const extraNames = new Set(names);
  const own = client === "claude-code" ? claudeVariables(env) : [otherVariables[client] ?? none];
  const isPassed = (name: string): boolean => {
    if (extraNames.has(name)) return true;
    if (outerClientVariables.test(name)) return false;
    return generalVariables.test(name) || own.some((variables) => variables.test(name));
  };
  const passed = Object.entries(env).filter((entry): entry is [string, string] => {
    const [name, value] = entry;
    return value !== undefined && isPassed(name);
  });
  return { ...Object.fromEntries(passed), SHIM_HOME: home };
}

const generalVariables = new RegExp(
  `^(${[
    "PATH|HOME|USER|LOGNAME|SHELL|TERM|TZ|LANG|LANGUAGE|LC_\\w+|TMPDIR|TEMP|TMP|XDG_\\w+|NO_COLOR|IS_SANDBOX",
    "https?_proxy|no_proxy|all_proxy|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS",
    "SystemRoot|SystemDrive|windir|ComSpec|PATHEXT|USERPROFILE|HOMEDRIVE|HOMEPATH|(Local)?AppData|Program(Files|Data)(\\(x86\\))?",
  ].join("|")})$`,
  "i",
);

const none = /^$/;

/** Settings and credentials; a client with many providers gets the keys of all. */
const otherVariables: Partial<Readonly<Record<HookClient, RegExp>>> = {
  codex: /^(CODEX_\w+|OPENAI_\w+|AZURE_OPENAI_\w+)$/,
  copilot: /^(COPILOT_\w+|GH_TOKEN|GITHUB_TOKEN)$/,
  cursor: /^CURSOR_\w+$/,
  gemini: /^(GEMINI_\w+|GOOGLE_\w+)$/,
  opencode: /^(OPENCODE_\w+|\w+_API_KEY)$/,
  qwen: /^(QWEN_\w+|OPENAI_\w+|DASHSCOPE_\w+)$/,
};

/** Names of the chat that this process may itself belong to. */
const outerClientVariables = new RegExp(
  `^(${[
    "CLAUDECODE|CLAUDE_CODE_(SESSION_ID|ENTRYPOINT|MESSAGING_\\w+|SSE_PORT|CHILD_SESSION)|CLAUDE_(PROJECT_DIR|ENV_FILE|PID)",
    "CODEX_(SESSION_ID|THREAD_ID|TOOL_CALL_ID|VERSION|MANAGED_\\w+)|COPILOT_(CLI|AGENT_SESSION_ID|HOOK_DIR)",
    "GEMINI_(CLI|CWD|SESSION_ID|PROJECT_DIR)|OPENCODE_PID|QWEN_(PROJECT_DIR|CODE_(SESSION|PROMPT)_ID)",
  ].join("|")})$`,
);

const settingVariables =
  /^(?!\w*(TOKEN|SECRET|PASSWORD|CREDENTIALS?|KEY)$)((DISABLE|ENABLE|MAX|MCP)_\w+|BASH_\w+_(MS|LENGTH))$/;

/** Cloud credentials are passed only if Claude Code is set to use that cloud. */
function claudeVariables(env: NodeJS.ProcessEnv): RegExp[] {
  return [
    /^(ANTHROPIC_\w+|CLAUDE_\w+)$/,
    settingVariables,
    ...(env["CLAUDE_CODE_USE_BEDROCK"] ? [/^AWS_\w+$/] : []),
    ...(env["CLAUDE_CODE_USE_VERTEX"] ? [/^(GOOGLE_\w+|GCLOUD_\w+|CLOUDSDK_\w+|CLOUD_ML_REGION|VERTEX_\w+)$/] : []),
    ...(env["CLAUDE_CODE_USE_FOUNDRY"] ? [/^AZURE_\w+$/] : []),
  ];
}
