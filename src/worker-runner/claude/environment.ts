/** [CX7] Passes no credential of a coordinator and nothing of an outer Claude Code. */
export function claudeEnvironment(
  env: NodeJS.ProcessEnv,
  names: readonly string[],
  home: string,
): Record<string, string> {
  const extraNames = new Set(names);
  const cloudVariables = findCloudVariables(env);
  const isPassed = (name: string): boolean => {
    if (extraNames.has(name)) return true;
    if (outerClientVariables.test(name)) return false;
    return (
      generalVariables.test(name) ||
      clientVariables.test(name) ||
      isSettingVariable(name) ||
      cloudVariables.some((cloud) => cloud.test(name))
    );
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

const clientVariables = /^(ANTHROPIC_\w+|CLAUDE_\w+)$/;
const settingVariables = /^((DISABLE|ENABLE|MAX|MCP)_\w+|BASH_\w+_(MS|LENGTH))$/;
const secretSuffix = /(TOKEN|SECRET|PASSWORD|CREDENTIALS?|KEY)$/;

function isSettingVariable(name: string): boolean {
  return settingVariables.test(name) && !secretSuffix.test(name);
}

const outerClientVariables =
  /^(CLAUDECODE|CLAUDE_CODE_(SESSION_ID|ENTRYPOINT|MESSAGING_\w+|SSE_PORT|CHILD_SESSION)|CLAUDE_(PROJECT_DIR|ENV_FILE|PID))$/;

/** Cloud credentials are passed only if Claude Code is set to use that cloud. */
function findCloudVariables(env: NodeJS.ProcessEnv): RegExp[] {
  return [
    ...(env["CLAUDE_CODE_USE_BEDROCK"] ? [/^AWS_\w+$/] : []),
    ...(env["CLAUDE_CODE_USE_VERTEX"] ? [/^(GOOGLE_\w+|GCLOUD_\w+|CLOUDSDK_\w+|CLOUD_ML_REGION|VERTEX_\w+)$/] : []),
    ...(env["CLAUDE_CODE_USE_FOUNDRY"] ? [/^AZURE_\w+$/] : []),
  ];
}
