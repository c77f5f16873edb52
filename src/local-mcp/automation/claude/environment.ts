/**
 * [CX7] What Claude Code gets of the worker's environment: what programs in general need, what Claude Code reads itself, and what the settings name.
 * Nothing that a coordinator knows the worker by, and nothing of a Claude Code around the worker.
 *
 * @param names further ones, from the settings
 */
export function environmentFor(env: NodeJS.ProcessEnv, names: readonly string[], home: string): Record<string, string> {
  const wanted = new Set(names);
  const clouds = cloudsOf(env);
  const isPassed = (name: string): boolean => {
    if (wanted.has(name)) return true;
    if (ofOuterClient.test(name)) return false;
    return general.test(name) || ofClient.test(name) || isSwitch(name) || clouds.some((cloud) => cloud.test(name));
  };
  const passed = Object.entries(env).filter((entry): entry is [string, string] => {
    const [name, value] = entry;
    return value !== undefined && isPassed(name);
  });
  return { ...Object.fromEntries(passed), SHIM_HOME: home };
}

const general = new RegExp(
  `^(${[
    "PATH|HOME|USER|LOGNAME|SHELL|TERM|TZ|LANG|LANGUAGE|LC_\\w+|TMPDIR|TEMP|TMP|XDG_\\w+|NO_COLOR|IS_SANDBOX",
    "https?_proxy|no_proxy|all_proxy|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS",
    "SystemRoot|SystemDrive|windir|ComSpec|PATHEXT|USERPROFILE|HOMEDRIVE|HOMEPATH|(Local)?AppData|Program(Files|Data)(\\(x86\\))?",
  ].join("|")})$`,
  "i",
);

const ofClient = /^(ANTHROPIC_\w+|CLAUDE_\w+)$/;
/** Names that other programs begin theirs with, too. */
const switches = /^((DISABLE|ENABLE|MAX|MCP)_\w+|BASH_\w+_(MS|LENGTH))$/;
const secret = /(TOKEN|SECRET|PASSWORD|CREDENTIALS?|KEY)$/;

function isSwitch(name: string): boolean {
  return switches.test(name) && !secret.test(name);
}

/** They name a chat that the worker was started from. */
const ofOuterClient =
  /^(CLAUDECODE|CLAUDE_CODE_(SESSION_ID|ENTRYPOINT|MESSAGING_\w+|SSE_PORT|CHILD_SESSION)|CLAUDE_(PROJECT_DIR|ENV_FILE|PID))$/;

/** Credentials of a cloud go along only where Claude Code is told to use that cloud. */
function cloudsOf(env: NodeJS.ProcessEnv): RegExp[] {
  return [
    ...(env["CLAUDE_CODE_USE_BEDROCK"] ? [/^AWS_\w+$/] : []),
    ...(env["CLAUDE_CODE_USE_VERTEX"] ? [/^(GOOGLE_\w+|GCLOUD_\w+|CLOUDSDK_\w+|CLOUD_ML_REGION|VERTEX_\w+)$/] : []),
    ...(env["CLAUDE_CODE_USE_FOUNDRY"] ? [/^AZURE_\w+$/] : []),
  ];
}
